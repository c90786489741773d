//! What a snapshot holds, between the store, which knows what it means, and the storage, which
//! knows how it is kept.

use std::any::Any;

use bytes::BytesMut;

use crate::kv::{FEATURE_LEVEL, IMAGE_LAYOUT, Image, LoadError, Loader, Machine};
use crate::model::{LogId, LogTime};
use crate::storage::{Refusal, SnapshotSink, SnapshotSource};

impl SnapshotSource for Image {
    fn next(&mut self, out: &mut BytesMut, max_bytes: usize) -> bool {
        Image::next(self, out, max_bytes)
    }
}

/// A state machine that is being loaded from a snapshot.
#[derive(Debug)]
pub(crate) enum Loading {
    /// More is to come.
    Open(Box<Loader>),
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
        let Loading::Open(loader) = self else {
            return Err(Refusal::Malformed("there is more behind its end".to_owned()));
        };
        loader.take(payload).map_err(|error| refusal(&error))
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        let Loading::Open(loader) = std::mem::replace(self, Loading::Failed) else {
            return Err(Refusal::Malformed("it ends twice".to_owned()));
        };
        *self = Loading::Loaded(loader.finish().map_err(|error| refusal(&error))?);
        Ok(())
    }
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
