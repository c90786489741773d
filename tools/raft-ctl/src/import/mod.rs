//! Importing: lines are read, spread over some connections by their keys, and each of them put
//! exactly once.

mod lines;
mod worker;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use raft_node::client::{Failure, Options};

pub(crate) use lines::{Line, Lines, WrongLine};
use worker::{Ended, Shared, Worker};

/// Lines go to the workers in groups of so many.
const GROUP_LINES: usize = 64;

/// How many groups may wait for a worker.
const WAITING_GROUPS: usize = 8;

/// So many wrong lines are no import.
const MOST_WRONG: usize = 1000;

/// What an import came to.
pub(crate) struct Imported {
    /// Lines that were read, empty ones left out.
    pub(crate) lines: u64,
    /// Lines that are done.
    pub(crate) done: u64,
    /// Bytes of their values.
    pub(crate) value_bytes: u64,
    /// Lines that can't be imported, in their order.
    pub(crate) wrong: Vec<WrongLine>,
    /// Why it ended before the input did.
    pub(crate) stopped: Option<Stopped>,
}

/// An import that ended early.
pub(crate) struct Stopped {
    pub(crate) why: Why,
    /// Every line before this one is done or wrong.
    pub(crate) first_undone: u64,
    /// How many lines were under way: they may be done.
    pub(crate) unsure: u64,
}

/// Why an import ended early.
pub(crate) enum Why {
    /// The input can't be read.
    Input(io::Error),
    /// The cluster didn't answer.
    Cluster(Failure),
    /// Too many lines were wrong.
    Wrong,
}

/// Reads all lines and looks at them, sending nothing.
pub(crate) fn check<R: BufRead>(from: R, mut progress: impl FnMut(u64)) -> Imported {
    let mut lines = Lines::new(from);
    let mut imported = empty();
    loop {
        match lines.next() {
            Ok(Some(Ok(line))) => {
                imported.lines += 1;
                imported.value_bytes += line.value.len() as u64;
            }
            Ok(Some(Err(wrong))) => {
                imported.lines += 1;
                imported.wrong.push(wrong);
            }
            Ok(None) => return imported,
            Err(error) => {
                let first_undone = lines.number() + 1;
                let why = Why::Input(error);
                imported.stopped = Some(Stopped { why, first_undone, unsure: 0 });
                return imported;
            }
        }
        progress(lines.bytes());
    }
}

fn empty() -> Imported {
    Imported { lines: 0, done: 0, value_bytes: 0, wrong: Vec::new(), stopped: None }
}

/// Puts every line. `progress` is told how many bytes were read and how many lines are done.
pub(crate) fn import<R: BufRead>(
    from: R,
    options: &Options,
    clients: u16,
    mut progress: impl FnMut(u64, u64),
) -> Result<Imported, Failure> {
    let shared = Shared::default();
    let mut crew = Crew::start(options, clients, &shared)?;
    let mut lines = Lines::new(from);
    let mut imported = empty();
    let mut why = None;
    loop {
        match lines.next() {
            Ok(Some(Ok(line))) => {
                imported.lines += 1;
                if !crew.hand_out(line) {
                    break;
                }
            }
            Ok(Some(Err(wrong))) => {
                imported.lines += 1;
                imported.wrong.push(wrong);
                if imported.wrong.len() >= MOST_WRONG {
                    why = Some(Why::Wrong);
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                why = Some(Why::Input(error));
                break;
            }
        }
        progress(lines.bytes(), shared.done());
    }
    let read_all = why.is_none() && lines.is_at_end();
    let ends = crew.finish(|| progress(lines.bytes(), shared.done()));
    imported.done = shared.done();
    imported.value_bytes = shared.value_bytes();
    imported.wrong.extend(shared.take_refused());
    imported.wrong.sort_by_key(|wrong| wrong.number);
    imported.stopped = stopped(ends, why, if read_all { None } else { Some(lines.number()) });
    Ok(imported)
}

/// What the ends of the workers come to; `read` is the last line that was read where that isn't
/// all of the input.
fn stopped(ends: Vec<Ended>, why: Option<Why>, read: Option<u64>) -> Option<Stopped> {
    let mut first_undone = read.map_or(u64::MAX, |read| read + 1);
    let mut unsure = 0;
    let mut failure = None;
    for end in ends {
        first_undone = first_undone.min(end.first_undone.unwrap_or(u64::MAX));
        unsure += end.unsure;
        failure = failure.or(end.failure);
    }
    let why = failure.map(Why::Cluster).or(why)?;
    Some(Stopped { why, first_undone, unsure })
}

/// The workers, and what waits to be handed to each.
struct Crew {
    senders: Vec<SyncSender<Vec<Line>>>,
    groups: Vec<Vec<Line>>,
    threads: Vec<JoinHandle<Ended>>,
    /// The first line that couldn't be handed out.
    left_over: Option<u64>,
}

impl Crew {
    fn start(options: &Options, clients: u16, shared: &Shared) -> Result<Crew, Failure> {
        let mut crew =
            Crew { senders: Vec::new(), groups: Vec::new(), threads: Vec::new(), left_over: None };
        let run: u64 = rand::random();
        for number in 0..clients {
            let (sender, receiver) = sync_channel(WAITING_GROUPS);
            let name = format!("import-{run:016x}-{number}");
            let worker = Worker::open(options.clone(), &name, receiver, shared.clone())?;
            crew.senders.push(sender);
            crew.groups.push(Vec::with_capacity(GROUP_LINES));
            crew.threads.push(thread::spawn(move || worker.run()));
        }
        Ok(crew)
    }

    /// Gives a line to the worker that has its key; false where that one has ended.
    fn hand_out(&mut self, line: Line) -> bool {
        // One key always goes to one worker, which keeps its lines in order.
        let mut hasher = DefaultHasher::new();
        line.key.hash(&mut hasher);
        let to = (hasher.finish() % self.groups.len() as u64) as usize;
        self.groups[to].push(line);
        if self.groups[to].len() < GROUP_LINES {
            return true;
        }
        self.send(to)
    }

    fn send(&mut self, to: usize) -> bool {
        let group = std::mem::replace(&mut self.groups[to], Vec::with_capacity(GROUP_LINES));
        if group.is_empty() {
            return true;
        }
        match self.senders[to].send(group) {
            Ok(()) => true,
            Err(unsent) => {
                let first = unsent.0.first().map_or(u64::MAX, |line| line.number);
                self.left_over = Some(self.left_over.map_or(first, |left| left.min(first)));
                false
            }
        }
    }

    /// Hands out what is left and waits for the workers to end.
    fn finish(mut self, mut progress: impl FnMut()) -> Vec<Ended> {
        for to in 0..self.groups.len() {
            self.send(to);
        }
        drop(self.senders);
        let mut ends: Vec<Ended> = Vec::new();
        for thread in self.threads {
            while !thread.is_finished() {
                thread::sleep(PROGRESS_INTERVAL);
                progress();
            }
            ends.push(thread.join().expect("a worker doesn't panic"));
        }
        if let Some(first_undone) = self.left_over {
            ends.push(Ended { failure: None, first_undone: Some(first_undone), unsure: 0 });
        }
        ends
    }
}

/// How often progress is told while nothing is left to be read.
const PROGRESS_INTERVAL: std::time::Duration = std::time::Duration::from_millis(20);
