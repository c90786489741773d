//! The benchmark: load from many connections, and what came of it.

mod cluster;
mod connection;
pub(crate) mod limits;
mod load;
mod plan;
mod report;
mod targets;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cli::{BenchArgs, Operation};
use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::progress::Progress;
use cluster::Cluster;
use load::{Keys, Load, Seen, Watch, Window};
use plan::Plan;
use report::{Generator, Latency, Limits, Report};

/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// A cluster that doesn't answer for longer at the end of a measurement isn't there any more.
const LONGEST_SILENCE: Duration = Duration::from_secs(2);

/// Filling takes as long as it takes, while something happens.
const LONGEST_FILL: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn run(args: &BenchArgs, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    if context.global.dry_run {
        return Err(CliError::usage("bench has no --dry-run: it writes, or it measures nothing"));
    }
    let plan = Plan::new(args, context.consistency(), context.timeout())?;
    let cluster = Cluster::find(&plan, context)?;
    let limits = measure_limits(args, context)?;
    if plan.operation != Operation::Put {
        fill(&plan, &cluster)?;
    }
    let before = cluster.written(context);
    let seen = measure(&plan, &cluster)?;
    let after = cluster.written(context);
    if seen.done == 0 {
        return Err(nothing_done(&seen));
    }
    let mut report = report(&plan, &cluster, &seen, limits);
    if plan.operation != Operation::Get {
        let batches = before.zip(after);
        let entries = batches.and_then(|(before, after)| after.entries_per_write(before));
        report.entries_per_write = entries.map(limits::rounded);
    }
    report.print(out)?;
    Ok(Exit::Done)
}

/// What this machine can do at best.
fn measure_limits(args: &BenchArgs, context: &Context) -> Result<Limits, CliError> {
    if args.no_limits {
        return Ok(Limits::default());
    }
    let configured = context.config.as_ref().map(|config| config.cluster.data_directory.clone());
    let disk = match (&args.disk, configured) {
        (Some(directory), _) => Some(measure_disk(directory)?),
        // A directory that isn't on this machine, or can't be written, leaves the figure out.
        (None, Some(directory)) => limits::disk(&directory).ok(),
        (None, None) => None,
    };
    Ok(Limits { disk, loopback: limits::loopback().ok() })
}

fn measure_disk(directory: &PathBuf) -> Result<limits::DiskLimits, CliError> {
    limits::disk(directory)
        .map_err(|error| CliError::file(Path::new(directory), "measured", &error))
}

/// Writes every key once.
fn fill(plan: &Plan, cluster: &Cluster) -> Result<(), CliError> {
    let plan = plan.filling();
    let now = Instant::now();
    let end = now + LONGEST_FILL;
    let window = Window { start: now, measured_from: end, end };
    let next = Arc::new(AtomicU64::new(0));
    let crew = Crew::start(&plan, window, cluster, || Keys::Each(Arc::clone(&next)))?;
    let mut progress = Progress::filling(plan.keys);
    let mut last = (0, Instant::now());
    while !crew.is_finished() {
        thread::sleep(PROGRESS_INTERVAL);
        let done = crew.done();
        progress.set(done);
        if done > last.0 {
            last = (done, Instant::now());
        } else if last.1.elapsed() > plan.timeout {
            crew.stop();
        }
    }
    progress.clear();
    let written = crew.done();
    let seen = crew.join()?;
    if written < plan.keys {
        let failed = seen.errors.values().sum::<u64>();
        if written + failed < plan.keys {
            return Err(nothing_done(&seen));
        }
        output::note(&format!("{failed} of the keys couldn't be written before they are read"));
    }
    Ok(())
}

/// Runs the load for the time that is planned.
fn measure(plan: &Plan, cluster: &Cluster) -> Result<Seen, CliError> {
    let start = Instant::now();
    let measured_from = start + plan.warm_up;
    let window = Window { start, measured_from, end: measured_from + plan.measured };
    let crew = Crew::start(plan, window, cluster, || Keys::Random)?;
    let mut progress = Progress::time(plan.warm_up + plan.measured);
    let mut before = 0;
    let mut last_answer = start;
    while !crew.is_finished() {
        thread::sleep(PROGRESS_INTERVAL);
        progress.set(start.elapsed().as_millis() as u64);
        let done = crew.done();
        let rate = (done - before) as f64 / PROGRESS_INTERVAL.as_secs_f64();
        let phase = if Instant::now() < measured_from { "  warming up" } else { "" };
        progress.say(format!("{} ops/s{phase}", output::count(rate as u64)));
        if done > before {
            last_answer = Instant::now();
        } else if last_answer.elapsed() > plan.timeout {
            crew.stop();
        }
        before = done;
    }
    progress.clear();
    let silence = window.end.min(Instant::now()).saturating_duration_since(last_answer);
    let seen = crew.join()?;
    // A change of the leader takes less, and belongs to what is measured.
    if before > 0 && !seen.errors.is_empty() && silence > LONGEST_SILENCE.min(plan.timeout) {
        return Err(fell_silent(before, last_answer - start, &seen));
    }
    Ok(seen)
}

fn fell_silent(done: u64, after: Duration, seen: &Seen) -> CliError {
    let message = format!(
        "the cluster stopped answering {} after the start; there is no result",
        output::duration(after)
    );
    CliError::new(Code::TimedOut, message)
        .detail(format!("{} requests were answered until then", output::count(done)))
        .details(kinds(seen))
        .hint("`raft-ctl health` tells what is wrong; the keys that were written stay")
}

/// The threads of the load generator.
struct Crew {
    threads: Vec<JoinHandle<io::Result<Seen>>>,
    watch: Arc<Watch>,
}

impl Crew {
    fn start(
        plan: &Plan,
        window: Window,
        cluster: &Cluster,
        keys: impl Fn() -> Keys,
    ) -> Result<Crew, CliError> {
        let watch = Arc::new(Watch::default());
        let mut threads = Vec::new();
        for number in 0..plan.threads {
            let connections =
                plan.clients / plan.threads + u16::from(number < plan.clients % plan.threads);
            let targets = cluster.targets(plan);
            let load = Load::new(plan, window, keys(), targets, connections, Arc::clone(&watch))
                .map_err(|error| failed(&error))?;
            let spawned = thread::Builder::new().name(format!("load {number}"));
            let thread = spawned.spawn(move || load.run()).map_err(|error| failed(&error))?;
            threads.push(thread);
        }
        Ok(Crew { threads, watch })
    }

    fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    fn done(&self) -> u64 {
        self.watch.done.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.watch.stop.store(true, Ordering::Relaxed);
    }

    /// What all threads have seen together.
    fn join(self) -> Result<Seen, CliError> {
        let mut all = Seen::default();
        for thread in self.threads {
            let seen = thread.join().expect("a thread of the load generator doesn't panic");
            all.add(seen.map_err(|error| failed(&error))?);
        }
        Ok(all)
    }
}

fn failed(error: &io::Error) -> CliError {
    CliError::new(Code::LocalIo, format!("the load can't be generated: {error}"))
        .hint("each connection takes a file: see `ulimit -n`")
}

fn nothing_done(seen: &Seen) -> CliError {
    // Where all failed in one way, that is what happened.
    let mut names = seen.errors.keys();
    let code = names.next().filter(|_| seen.errors.len() == 1).and_then(|name| Code::named(name));
    let hint = match code {
        Some(Code::TooLarge) => "see --value-size, and MaxValueSize in raft.ini",
        _ => "`raft-ctl health` tells what is wrong",
    };
    CliError::new(code.unwrap_or(Code::TimedOut), "not a single request was carried out")
        .details(kinds(seen))
        .hint(hint)
}

/// How often requests failed, and in which ways.
fn kinds(seen: &Seen) -> impl Iterator<Item = String> {
    seen.errors.iter().map(|(code, count)| format!("{}  {code}", output::count(*count)))
}

fn report(plan: &Plan, cluster: &Cluster, seen: &Seen, limits: Limits) -> Report {
    let seconds = plan.measured.as_secs_f64();
    let ops_per_second = seen.done as f64 / seconds;
    let mixed = plan.operation == Operation::Mixed;
    Report {
        v: output::VERSION,
        system: "raft",
        version: env!("CARGO_PKG_VERSION"),
        op: plan.operation.name(),
        nodes: cluster.voters,
        storage: cluster.storage,
        consistency: plan.consistency.name(),
        clients: plan.clients,
        depth: plan.depth,
        key_size: plan.key_bytes,
        value_size: plan.value_bytes,
        keys: plan.keys,
        rate: plan.rate,
        read_ratio: plan.read_ratio,
        seconds,
        warm_up_seconds: plan.warm_up.as_secs_f64(),
        ops: seen.done,
        ops_per_second: limits::rounded(ops_per_second),
        value_bytes_per_second: limits::rounded(ops_per_second * plan.value_bytes as f64),
        latency: Latency::of(&seen.both()),
        put: mixed.then(|| Latency::of(&seen.writes)),
        get: mixed.then(|| Latency::of(&seen.reads)),
        errors: seen.errors.values().sum(),
        errors_by_code: seen.errors.clone(),
        reconnects: seen.reconnects,
        unsent: seen.unsent,
        entries_per_write: None,
        limits,
        generator: Generator::new(plan.threads, seen.busy_share),
    }
}
