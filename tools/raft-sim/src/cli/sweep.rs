//! Many seeds, in several processes.

use std::env;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use raft_sim::world::marker_names;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::output::{complain, quote, say, written};
use super::run::again;
use super::worker::{Line, Told};
use super::{FINDING, FINE, INTERRUPTED, SweepArgs, TAG, USAGE, as_arguments};

/// A seed that takes longer doesn't come to an end.
const PATIENCE: Duration = Duration::from_secs(300);

/// A worker and where it is.
struct Worker {
    child: Child,
    /// The seed that it is at, and since when.
    at: Option<u64>,
    since: Instant,
    /// The seed after the last that it has ended.
    next: u64,
    took_ms: u64,
}

/// What came of all seeds so far.
#[derive(Default)]
struct Sum {
    seeds: u64,
    steps: u64,
    simulated_us: u64,
    commits: u64,
    answered: u64,
    took_ms: u64,
    markers: Vec<u64>,
    findings: Vec<(u64, String)>,
    /// The seeds of which not everything could be decided, and how many checks of each were given
    /// up.
    undecided: Vec<(u64, u64)>,
}

type News = (usize, Option<Line>);

pub(super) fn sweep(args: &SweepArgs) -> u8 {
    let processors = thread::available_parallelism().map_or(1, |count| count.get() as u16);
    let jobs = u64::from(args.jobs.unwrap_or(processors)).min(args.seeds.end - args.seeds.first);
    let bar = progress(args.seeds.end - args.seeds.first);
    let (sender, news) = channel();
    let mut sum = Sum { markers: vec![0; marker_names().count()], ..Sum::default() };
    let interrupted = Arc::new(AtomicBool::new(false));
    if let Err(error) = flag::register(SIGINT, interrupted.clone()) {
        complain(&format!("signals can't be waited for: {error}"));
        return USAGE;
    }
    let begun = Instant::now();
    let mut workers = Vec::new();
    for number in 0..jobs {
        match start(args, jobs, args.seeds.first + number, &sender, workers.len()) {
            Ok(worker) => workers.push(Some(worker)),
            Err(error) => {
                complain(&format!("a process can't be started: {error}"));
                stop(&mut workers);
                return USAGE;
            }
        }
    }
    let mut is_interrupted = false;
    while goes_on(args, &workers, &sum) {
        if interrupted.load(Ordering::Relaxed) {
            is_interrupted = true;
            break;
        }
        if let Err(error) = hear(args, jobs, &mut workers, &news, &sender, &mut sum) {
            complain(&format!("a process can't be started: {error}"));
            stop(&mut workers);
            return USAGE;
        }
        bar.set_position(sum.seeds);
        bar.set_message(sum.message());
    }
    stop(&mut workers);
    bar.finish_and_clear();
    sum.findings.sort();
    sum.undecided.sort_unstable();
    let mut text = if args.json { sum.json() } else { sum.text(begun.elapsed(), args) };
    if is_interrupted && !args.json {
        text = format!("interrupted before all seeds were run\n{text}");
    }
    let code = match sum.findings.is_empty() {
        false => FINDING,
        true if is_interrupted => INTERRUPTED,
        true => FINE,
    };
    written(say([text]), code)
}

/// Without `--all` it ends once no lower seed than the first that finds something is left, so that
/// the same one is told however many processes there are.
fn goes_on(args: &SweepArgs, workers: &[Option<Worker>], sum: &Sum) -> bool {
    let first = sum.findings.iter().map(|(seed, _)| *seed).min().filter(|_| !args.all);
    let mut workers = workers.iter().flatten();
    workers.any(|worker| first.is_none_or(|first| worker.at.unwrap_or(worker.next) < first))
}

/// Takes one piece of news in.
fn hear(
    args: &SweepArgs,
    jobs: u64,
    workers: &mut [Option<Worker>],
    news: &Receiver<News>,
    sender: &Sender<News>,
    sum: &mut Sum,
) -> io::Result<()> {
    match news.recv_timeout(Duration::from_secs(1)) {
        Ok((place, Some(line))) => {
            let Some(worker) = &mut workers[place] else { return Ok(()) };
            match line {
                Line::Begins(seed) => (worker.at, worker.since) = (Some(seed), Instant::now()),
                Line::Ended(seed, told) => {
                    (worker.at, worker.next) = (None, seed.saturating_add(jobs));
                    sum.add(seed, told);
                }
                Line::Took(milliseconds) => {
                    sum.took_ms += milliseconds - worker.took_ms;
                    worker.took_ms = milliseconds;
                }
            }
        }
        Ok((place, None)) => {
            let Some(mut worker) = workers[place].take() else { return Ok(()) };
            let status = worker.child.wait()?;
            if let Some(seed) = worker.at {
                let finding = Some(format!("the process that runs it ends: {status}"));
                sum.add(seed, Told { finding, ..Told::default() });
                worker.next = seed.saturating_add(jobs);
            }
            if worker.next < args.seeds.end {
                workers[place] = Some(start(args, jobs, worker.next, sender, place)?);
            }
        }
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
    }
    for worker in workers.iter_mut().flatten() {
        if let Some(seed) = worker.at.filter(|_| worker.since.elapsed() > PATIENCE) {
            let finding = Some(format!("it doesn't come to an end within {PATIENCE:?}"));
            sum.add(seed, Told { finding, ..Told::default() });
            (worker.at, worker.next) = (None, seed.saturating_add(jobs));
            worker.child.kill()?;
        }
    }
    Ok(())
}

fn start(
    args: &SweepArgs,
    jobs: u64,
    first: u64,
    sender: &Sender<News>,
    place: usize,
) -> io::Result<Worker> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["worker", "--first", &first.to_string(), "--end", &args.seeds.end.to_string()]);
    command.args(["--step", &jobs.to_string()]);
    command.args(as_arguments(&args.choices.choices()));
    // An interruption from the terminal is this process's to deal with.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let lines = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let sender = sender.clone();
    thread::spawn(move || {
        for text in BufReader::new(lines).lines().map_while(Result::ok) {
            if let Some(line) = Line::read(&text)
                && sender.send((place, Some(line))).is_err()
            {
                return;
            }
        }
        // Whoever doesn't listen any more needn't know.
        let _ = sender.send((place, None));
    });
    Ok(Worker { child, at: None, since: Instant::now(), next: first, took_ms: 0 })
}

fn stop(workers: &mut [Option<Worker>]) {
    for worker in workers.iter_mut().flatten() {
        // One that has ended meanwhile is no loss.
        let _ = worker.child.kill();
        let _ = worker.child.wait();
    }
}

fn progress(seeds: u64) -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr_with_hz(5),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} seeds  {per_sec}  {msg}");
    let bar = ProgressBar::with_draw_target(Some(seeds), target);
    bar.set_style(style.expect("the template is right"));
    bar
}

impl Sum {
    fn add(&mut self, seed: u64, told: Told) {
        self.seeds += 1;
        self.steps += told.steps;
        self.simulated_us += told.simulated_us;
        self.commits += told.commits;
        self.answered += told.answered;
        for (number, count) in told.markers {
            if let Some(sum) = self.markers.get_mut(number) {
                *sum += count;
            }
        }
        if told.undecided > 0 {
            self.undecided.push((seed, told.undecided));
        }
        if let Some(finding) = told.finding {
            self.findings.push((seed, finding));
        }
    }

    fn per_cpu_minute(&self, amount: f64) -> f64 {
        amount * 60_000.0 / (self.took_ms.max(1) as f64)
    }

    fn text(&self, took: Duration, args: &SweepArgs) -> String {
        let hours = self.simulated_us as f64 / 3.6e9;
        let mut text = format!(
            "{} seeds in {:.1} s ({:.1} a second), {:.2} simulated hours, {} steps\n\
             in each minute of processor time: {:.2} simulated hours, {:.0} calls answered, {:.0} \
             entries committed\n\
             in each second of processor time: {:.0} steps\n",
            self.seeds,
            took.as_secs_f64(),
            self.seeds as f64 / took.as_secs_f64().max(0.001),
            hours,
            self.steps,
            self.per_cpu_minute(hours),
            self.per_cpu_minute(self.answered as f64),
            self.per_cpu_minute(self.commits as f64),
            self.per_cpu_minute(self.steps as f64) / 60.0,
        );
        for (name, count) in marker_names().zip(&self.markers).filter(|(_, count)| **count > 0) {
            text += &format!("{count:>12}  {name}\n");
        }
        let never = marker_names().zip(&self.markers).filter(|(_, count)| **count == 0);
        for (name, _) in never {
            text += &format!("       never  {name}\n");
        }
        for (seed, checks) in &self.undecided {
            text += &format!("UNDECIDED seed {seed}@{TAG}: {checks} checks were given up\n");
        }
        if self.findings.is_empty() {
            return text
                + match self.undecided.is_empty() {
                    true => "nothing was found",
                    false => "nothing was found in what could be decided",
                };
        }
        let choices = as_arguments(&args.choices.choices());
        for (seed, finding) in &self.findings {
            text += &format!("FOUND seed {seed}@{TAG}: {finding}\n");
        }
        text + "replay the first with: " + &again("replay", self.findings[0].0, &choices)
    }

    fn message(&self) -> String {
        match self.undecided.len() {
            0 => format!("{} found", self.findings.len()),
            undecided => format!("{} found, {undecided} undecided", self.findings.len()),
        }
    }

    fn json(&self) -> String {
        let finding =
            |(seed, text): &(u64, String)| format!("{{\"seed\":{seed},\"text\":{}}}", quote(text));
        let findings: Vec<String> = self.findings.iter().map(finding).collect();
        let given_up =
            |(seed, checks): &(u64, u64)| format!("{{\"seed\":{seed},\"checks\":{checks}}}");
        let undecided: Vec<String> = self.undecided.iter().map(given_up).collect();
        let marker = |(name, count): (&str, &u64)| format!("{}:{count}", quote(name));
        let markers: Vec<String> = marker_names().zip(&self.markers).map(marker).collect();
        format!(
            "{{\"tag\":\"{TAG}\",\"seeds\":{},\"steps\":{},\"simulated_s\":{:.3},\"cpu_ms\":{},\
             \"commits\":{},\"answered\":{},\"markers\":{{{}}},\"undecided\":[{}],\
             \"findings\":[{}]}}",
            self.seeds,
            self.steps,
            self.simulated_us as f64 / 1e6,
            self.took_ms,
            self.commits,
            self.answered,
            markers.join(","),
            undecided.join(","),
            findings.join(",")
        )
    }
}
