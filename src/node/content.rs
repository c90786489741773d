//! What a snapshot holds, between the store, which knows what it means, and the storage, which
//! knows how it is kept.

use std::any::Any;
use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use bytes::BytesMut;

use crate::kv::{FEATURE_LEVEL, IMAGE_LAYOUT, Image, LoadError, Loader, Machine};
use crate::model::{LogId, LogTime};
use crate::storage::{Refusal, SnapshotSink, SnapshotSource};

impl SnapshotSource for Image {
    fn next(&mut self, out: &mut BytesMut, max_bytes: usize) -> bool {
        Image::next(self, out, max_bytes)
    }
}

/// How many pieces may wait for the thread that loads: more than storage reads at a time.
const WAITING_PIECES: usize = 32;

/// A state machine that is being loaded from a snapshot.
#[derive(Debug)]
pub(crate) enum Loading {
    /// More is to come.
    Open(Box<Loader>),
    /// More is to come, and a thread loads it.
    Beside(Beside),
    /// It is complete.
    Loaded(Machine),
    /// It can't be.
    Failed,
}

impl Loading {
    /// Nothing is loaded yet.
    pub(crate) fn sink() -> Box<dyn SnapshotSink> {
        Box::new(Loading::Open(Box::default()))
    }

    /// The same, loaded by a thread of its own, while what comes next is read and verified. Only
    /// for a start, when nobody else wants the processor.
    pub(crate) fn sink_beside() -> Box<dyn SnapshotSink> {
        // Where the system has no thread left it is done without.
        Box::new(Beside::start().map_or_else(|_| Loading::Open(Box::default()), Loading::Beside))
    }

    /// The machine that was loaded into a sink that [`Loading::sink`] made.
    pub(crate) fn machine(sink: Box<dyn SnapshotSink>) -> Machine {
        let sink: Box<dyn Any> = sink;
        match sink.downcast::<Loading>().map(|loading| *loading) {
            Ok(Loading::Loaded(machine)) => machine,
            other => unreachable!("the storage fills the sinks it is given, and {other:?} isn't"),
        }
    }
}

/// What is wrong if the file of the snapshot behind `last`, at this log time, holds `machine`:
/// whoever made it may have been wrong.
pub(crate) fn check_end(machine: &Machine, last: LogId, time: LogTime) -> Result<(), String> {
    let (found, found_time) = (machine.applied(), machine.log_time());
    if (found, found_time) == (last, time) {
        return Ok(());
    }
    Err(format!(
        "the file of the snapshot behind entry {last} (log time {}) holds the state behind entry \
         {found} (log time {})",
        time.0, found_time.0
    ))
}

impl SnapshotSink for Loading {
    fn take(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        match self {
            Loading::Open(loader) => loader.take(payload).map_err(|error| refusal(&error)),
            Loading::Beside(beside) => {
                beside.take(payload);
                Ok(())
            }
            Loading::Loaded(_) | Loading::Failed => {
                Err(Refusal::Malformed("there is more behind its end".to_owned()))
            }
        }
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        let machine = match std::mem::replace(self, Loading::Failed) {
            Loading::Open(loader) => loader.finish().map_err(|error| refusal(&error))?,
            Loading::Beside(beside) => beside.finish()?,
            Loading::Loaded(_) | Loading::Failed => {
                return Err(Refusal::Malformed("it ends twice".to_owned()));
            }
        };
        *self = Loading::Loaded(machine);
        Ok(())
    }
}

/// A thread that loads a state machine.
#[derive(Debug)]
pub(crate) struct Beside {
    pieces: SyncSender<Vec<u8>>,
    /// Pieces that were loaded, to be filled again.
    used: Receiver<Vec<u8>>,
    thread: JoinHandle<Result<Machine, Refusal>>,
}

impl Beside {
    fn start() -> io::Result<Beside> {
        let (pieces, waiting) = sync_channel(WAITING_PIECES);
        let (loaded, used) = channel();
        let body = move || load(waiting, loaded).map_err(|error| refusal(&error));
        let thread = Builder::new().name("raft-load".to_owned()).spawn(body)?;
        Ok(Beside { pieces, used, thread })
    }

    fn take(&mut self, payload: &[u8]) {
        let mut piece = self.used.try_recv().unwrap_or_default();
        piece.clear();
        piece.extend_from_slice(payload);
        // A thread that takes no more has found an error; the end tells which.
        let _ = self.pieces.send(piece);
    }

    fn finish(self) -> Result<Machine, Refusal> {
        drop(self.pieces);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Loads what comes, until there is no more.
fn load(pieces: Receiver<Vec<u8>>, used: Sender<Vec<u8>>) -> Result<Machine, LoadError> {
    let mut loader = Loader::new();
    for piece in pieces {
        loader.take(&piece)?;
        // Nobody wants it any more where the reading was given up.
        let _ = used.send(piece);
    }
    loader.finish()
}

fn refusal(error: &LoadError) -> Refusal {
    match error {
        LoadError::UnknownLayout { layout } => Refusal::Newer {
            what: "the snapshot's content",
            found: u16::from(*layout),
            supported: u16::from(IMAGE_LAYOUT),
        },
        LoadError::NewerLevel { level } => Refusal::Newer {
            what: "the snapshot's state",
            found: u16::try_from(*level).unwrap_or(u16::MAX),
            supported: FEATURE_LEVEL as u16,
        },
        _ => Refusal::Malformed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Command, Operation};
    use crate::model::{EntryHeader, EntryKind, EntryRef, Index, Term};

    /// A machine that holds something, and the content of its snapshot.
    fn example() -> (Machine, Vec<u8>) {
        let (mut command, mut entry) = (Vec::new(), BytesMut::new());
        let operation = Operation::Put { key: b"key", value: &[7; 1000] };
        Command::Change { session: None, operation }.encode(&mut command);
        let id = LogId::new(Term(1), Index(1));
        let header = EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(5) };
        header.encode(&command, &mut entry);
        let mut machine = Machine::new();
        machine.apply(EntryRef::read(&entry).unwrap(), &mut BytesMut::new()).unwrap();
        let (mut image, mut content) = (machine.image(), BytesMut::new());
        while image.next(&mut content, 100) {}
        (machine, content.to_vec())
    }

    /// Loads a machine from these bytes, which come in many pieces.
    fn load_into(mut sink: Box<dyn SnapshotSink>, content: &[u8]) -> Result<Machine, Refusal> {
        content.chunks(7).try_for_each(|piece| sink.take(piece))?;
        sink.finish()?;
        Ok(Loading::machine(sink))
    }

    #[test]
    fn a_thread_loads_what_is_loaded_without_one() {
        let (machine, content) = example();
        for sink in [Loading::sink(), Loading::sink_beside()] {
            let loaded = load_into(sink, &content).unwrap();
            assert_eq!(loaded.state_hash(), machine.state_hash());
            assert_eq!(loaded.applied(), machine.applied());
        }
    }

    #[test]
    fn what_a_thread_does_not_understand_is_refused_as_without_one() {
        let (_, content) = example();
        let later_layout = [[0xee].as_slice(), &content[1..]].concat();
        let damaged = [&content[..40], [0xee; 40].as_slice(), &content[80..]].concat();
        for bad in [later_layout.as_slice(), &damaged, &content[..content.len() - 1], &[]] {
            let expected = load_into(Loading::sink(), bad).unwrap_err();
            assert_eq!(load_into(Loading::sink_beside(), bad).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_thread_ends_whose_snapshot_is_not_read_to_its_end() {
        let (_, content) = example();
        let mut sink = Beside::start().unwrap();
        sink.take(&content[..100]);
        let Beside { pieces, thread, .. } = sink;
        drop(pieces);
        assert!(matches!(thread.join().unwrap(), Err(Refusal::Malformed(_))));
    }
}
