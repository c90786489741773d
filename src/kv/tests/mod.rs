//! The machine from outside: what its entries do, whatever it is made of.

mod encodings;
mod errors;
mod exactly_once;
mod operations;
mod points;
mod properties;
mod queries;
mod snapshots;
mod twin;

use bytes::BytesMut;

use super::*;
use crate::model::{
    EntryHeader, EntryKind, EntryRef, Index, LogId, LogTime, MAX_ENTRY_BYTES, Malformed, Term,
};

/// One second of log time.
const SECOND: u64 = 1_000_000_000;

/// A machine that is fed entries one behind the other.
#[derive(Debug, Default)]
struct Fed {
    machine: Machine,
    time: u64,
}

impl Fed {
    /// The example of docs/state-machine.md.
    fn example() -> Fed {
        let mut fed = Fed { time: 1_700_000_000 * SECOND, ..Fed::default() };
        fed.put(b"user:1", b"ann");
        fed.put(b"a key that is longer than one node of the tree holds", b"");
        let id = SessionId { name: b"client", opened_at: LogTime(1_600_000_000 * SECOND) };
        let part = SessionPart { id, number: 1, lowest: 1 };
        let operation = Operation::Increment { key: b"counter", by: 41 };
        fed.command(&Command::Change { session: Some(part), operation });
        fed
    }

    /// Applies an entry of `kind` at the present time.
    fn entry(&mut self, kind: EntryKind, payload: &[u8]) -> Result<(Applied, Vec<u8>), ApplyError> {
        let id = LogId::new(Term(3), self.machine.applied().index.next());
        let header = EntryHeader { kind, id, time: LogTime(self.time) };
        let mut bytes = BytesMut::new();
        header.encode(payload, &mut bytes);
        let mut answer = BytesMut::new();
        let applied = self.machine.apply(EntryRef::read(&bytes).unwrap(), &mut answer)?;
        Ok((applied, answer.to_vec()))
    }

    /// Applies a command that passes the door; gives which entry it was answered by, and the
    /// answer.
    fn command(&mut self, command: &Command<'_>) -> (Index, Vec<u8>) {
        let bytes = encoded(command);
        check_command(&bytes, 1 << 20).unwrap();
        let (applied, answer) = self.entry(EntryKind::COMMAND, &bytes).unwrap();
        let Applied::Answered { id } = applied else { panic!("{applied:?}") };
        (id.index, answer)
    }

    /// Applies a change outside of any session, which must be answered so.
    fn change(&mut self, operation: Operation<'_>, expected: &Answer<'_>) {
        let (_, answer) = self.command(&Command::Change { session: None, operation });
        assert_eq!(Answer::decode(&answer).as_ref(), Ok(expected), "{operation:?}");
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.command(&Command::Change { session: None, operation: Operation::Put { key, value } });
    }

    fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.machine.view().get(key).map(|item| item.value.to_vec())
    }

    fn set(&mut self, settings: Settings) {
        self.entry(EntryKind::SETTINGS, &settings.encode()).unwrap();
    }

    fn query(&self, query: &Query<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        query.encode(&mut bytes);
        let mut out = BytesMut::new();
        self.machine.query(&bytes, &mut out).unwrap();
        out.to_vec()
    }
}

fn encoded(command: &Command<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    bytes
}
