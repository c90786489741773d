//! What a snapshot holds, between the store, which knows what it means, and the storage, which
//! knows how it is kept.

use std::any::Any;

use bytes::BytesMut;

use crate::kv::{Image, LoadError, Loader, Machine};
use crate::model::LogId;
use crate::storage::{SinkRefusal, SnapshotSink, SnapshotSource};

impl SnapshotSource for Image {
    fn next(&mut self, out: &mut BytesMut, max_bytes: usize) -> bool {
        Image::next(self, out, max_bytes)
    }
}

/// A state machine that is being loaded from a snapshot.
#[derive(Debug)]
pub(crate) struct Loading {
    /// The entry that the snapshot's file is said to end with.
    last: LogId,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Loading(Loader),
    Loaded(Machine),
    Failed,
}

impl Loading {
    /// A machine that is to be the one behind `last`.
    pub(crate) fn new(last: LogId) -> Loading {
        Loading { last, stage: Stage::Loading(Loader::new()) }
    }

    /// The machine that was loaded into a sink, if it is one of these and is complete.
    pub(crate) fn machine(sink: Box<dyn SnapshotSink>) -> Option<Machine> {
        let sink: Box<dyn Any> = sink;
        match sink.downcast::<Loading>().ok()?.stage {
            Stage::Loaded(machine) => Some(machine),
            Stage::Loading(_) | Stage::Failed => None,
        }
    }
}

impl SnapshotSink for Loading {
    fn take(&mut self, payload: &[u8]) -> Result<(), SinkRefusal> {
        let Stage::Loading(loader) = &mut self.stage else {
            return Err(SinkRefusal::Malformed("there is more behind its end".to_owned()));
        };
        loader.take(payload).map_err(|error| refusal(&error))
    }

    fn finish(&mut self) -> Result<(), SinkRefusal> {
        let Stage::Loading(loader) = std::mem::replace(&mut self.stage, Stage::Failed) else {
            return Err(SinkRefusal::Malformed("it ends twice".to_owned()));
        };
        let machine = loader.finish().map_err(|error| refusal(&error))?;
        let (found, last) = (machine.applied(), self.last);
        if found != last {
            let text = format!("it is the state behind entry {found}, not behind {last}");
            return Err(SinkRefusal::Malformed(text));
        }
        self.stage = Stage::Loaded(machine);
        Ok(())
    }
}

fn refusal(error: &LoadError) -> SinkRefusal {
    match error {
        LoadError::UnknownLayout { .. } | LoadError::NewerLevel { .. } => {
            SinkRefusal::Newer(error.to_string())
        }
        _ => SinkRefusal::Malformed(error.to_string()),
    }
}
