//! The machine: what committed entries do to the state.

use std::ops::Deref;

use bytes::BytesMut;

use super::answer::Answer;
use super::command::{Command, Operation, SessionPart};
use super::point::{FEATURE_LEVEL, FeatureLevel, Point, PointReport};
use super::session::{Admission, Moment};
use super::settings::Settings;
use super::state::State;
use crate::model::{EntryKind, EntryRef, Founding, LogId, LogTime, Malformed};

/// The replicated state machine. It applies every committed entry exactly once, in order;
/// nothing else changes it, and the same entries give the same state and the same answers
/// everywhere.
///
/// ```
/// use bytes::BytesMut;
/// use raft_node::kv::{Answer, Command, Machine, Operation};
/// use raft_node::model::{EntryHeader, EntryKind, EntryRef, Index, LogId, LogTime, Term};
///
/// let mut command = Vec::new();
/// let operation = Operation::Put { key: b"k", value: b"v" };
/// Command::Change { session: None, operation }.encode(&mut command);
/// let id = LogId::new(Term(1), Index(1));
/// let header = EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(5) };
/// let mut entry = BytesMut::new();
/// header.encode(&command, &mut entry);
///
/// let mut machine = Machine::new();
/// let before = machine.view();
/// let mut answer = BytesMut::new();
/// machine.apply(EntryRef::read(&entry)?, &mut answer)?;
/// assert_eq!(Answer::decode(&answer)?, Answer::Put { version: 1 });
/// assert_eq!((machine.keys(), before.keys()), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Machine {
    state: State,
}

/// What an applied entry came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// There is nothing to tell.
    Nothing,
    /// A command was answered; the answer was appended to the caller's buffer.
    Answered {
        /// The entry that carried the command out: this one, or an earlier one that held the
        /// same number of the same session. Tell it with the answer, so that each retry is told
        /// the same.
        id: LogId,
    },
    /// A point was reached.
    Point {
        /// What to report.
        report: PointReport,
        /// Whether a snapshot is to be taken of this state.
        snapshot: bool,
    },
    /// The settings changed.
    Settings,
    /// The feature level was raised.
    FeatureLevel(u32),
}

/// Why an entry can't be applied. The state is as it was before; a node stops rather than
/// differ from the others.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApplyError {
    /// The entry is of a kind that this version doesn't know.
    #[error(
        "entry {id} is of kind {}, which version {} doesn't know; nothing is lost: start a newer \
         version of raft on this directory",
        kind.0,
        env!("CARGO_PKG_VERSION")
    )]
    NewerKind {
        /// The entry.
        id: LogId,
        /// Its kind.
        kind: EntryKind,
    },
    /// The entry raises the feature level above that of this version.
    #[error(
        "entry {id} raises the feature level to {level}, which needs version {version} and isn't \
         known to version {}; nothing is lost: start that version or a newer one on this directory",
        env!("CARGO_PKG_VERSION")
    )]
    NewerLevel {
        /// The entry.
        id: LogId,
        /// The new level.
        level: u32,
        /// The lowest version that knows the level.
        version: String,
    },
    /// The entry's payload isn't one of this version, though its kind is.
    #[error(
        "entry {id} ({}) can't be read by version {}: {error}; nothing is lost: a newer version \
         has let it in, start that one on this directory",
        kind.name().unwrap_or("unknown"),
        env!("CARGO_PKG_VERSION")
    )]
    Undecodable {
        /// The entry.
        id: LogId,
        /// Its kind.
        kind: EntryKind,
        /// What is wrong with its payload.
        error: Malformed,
    },
}

impl Machine {
    /// The machine before the first entry.
    #[must_use]
    pub fn new() -> Machine {
        Machine::default()
    }

    /// The machine that has come to this state.
    pub(super) const fn of(state: State) -> Machine {
        Machine { state }
    }

    /// Applies the next entry. The answer to a command is appended to `out`.
    ///
    /// # Errors
    ///
    /// An entry of a newer version, or one that can't be read, changes nothing.
    ///
    /// # Panics
    ///
    /// If the entry isn't the next one.
    pub fn apply(
        &mut self,
        entry: EntryRef<'_>,
        out: &mut BytesMut,
    ) -> Result<Applied, ApplyError> {
        let id = entry.id();
        let next = self.state.applied.index.next();
        assert_eq!(id.index, next, "entries are applied one by one, in order");
        let work = Work::decode(entry)?;
        self.state.advance(id, entry.time());
        Ok(match work {
            Work::Nothing => Applied::Nothing,
            Work::Founding(settings) => {
                self.state.set(settings);
                Applied::Nothing
            }
            Work::Settings(settings) => {
                self.state.set(settings);
                Applied::Settings
            }
            Work::Command(command) => Applied::Answered { id: self.state.command(command, out) },
            Work::Point(Point { snapshot }) => {
                let report = PointReport { index: id.index, hash: self.state.state_hash() };
                Applied::Point { report, snapshot }
            }
            Work::FeatureLevel(level) if level > self.state.feature_level => {
                self.state.feature_level = level;
                Applied::FeatureLevel(level)
            }
            Work::FeatureLevel(_) => Applied::Nothing,
        })
    }

    /// An immutable image of the state, made without copying it. It may be read and dropped on
    /// another thread.
    #[must_use]
    pub fn view(&self) -> State {
        self.state.clone()
    }
}

/// What can be read of a machine is what can be read of an image of it.
impl Deref for Machine {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

/// An entry, read before anything is changed.
enum Work<'a> {
    Nothing,
    Founding(Settings),
    Settings(Settings),
    Command(Command<'a>),
    Point(Point),
    FeatureLevel(u32),
}

impl<'a> Work<'a> {
    fn decode(entry: EntryRef<'a>) -> Result<Work<'a>, ApplyError> {
        let (id, kind) = (entry.id(), entry.kind());
        let work = match kind {
            EntryKind::NOOP | EntryKind::CONFIGURATION => Ok(Work::Nothing),
            EntryKind::FOUNDING => decode_founding(entry.payload()).map(Work::Founding),
            EntryKind::COMMAND => Command::decode(entry.payload()).map(Work::Command),
            EntryKind::SETTINGS => Settings::decode(entry.payload()).map(Work::Settings),
            EntryKind::POINT => Point::decode(entry.payload()).map(Work::Point),
            EntryKind::FEATURE_LEVEL => match FeatureLevel::decode(entry.payload()) {
                Ok(FeatureLevel { level, version }) if level > FEATURE_LEVEL => {
                    return Err(ApplyError::NewerLevel { id, level, version: version.to_owned() });
                }
                decoded => decoded.map(|raised| Work::FeatureLevel(raised.level)),
            },
            _ => return Err(ApplyError::NewerKind { id, kind }),
        };
        work.map_err(|error| ApplyError::Undecodable { id, kind, error })
    }
}

fn decode_founding(payload: &[u8]) -> Result<Settings, Malformed> {
    Settings::decode(&Founding::decode(payload)?.settings)
}

impl State {
    fn advance(&mut self, id: LogId, time: LogTime) {
        self.applied = id;
        self.log_time = self.log_time.max(time);
        self.sessions.expire(&self.settings, self.log_time);
    }

    fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.sessions.expire(&settings, self.log_time);
        self.sessions.shrink(&settings);
    }

    /// Carries a command out, appends the answer and tells which entry it is the answer of.
    fn command(&mut self, command: Command<'_>, out: &mut BytesMut) -> LogId {
        let now = Moment { id: self.applied, time: self.log_time };
        let answer = match command {
            Command::Change { session: Some(part), operation } => {
                return self.change_once(&part, &operation, now, out);
            }
            Command::Change { session: None, operation } => {
                self.store.change(&operation, now.id.index, out);
                return now.id;
            }
            Command::OpenSession(id) => self.sessions.open(id, now).map(|()| Answer::SessionOpened),
            Command::CloseSession(id) => {
                self.sessions.close(id, now).map(|()| Answer::SessionClosed)
            }
        };
        answer.unwrap_or_else(Answer::Refused).encode(out);
        self.sessions.shrink(&self.settings);
        now.id
    }

    fn change_once(
        &mut self,
        part: &SessionPart<'_>,
        operation: &Operation<'_>,
        now: Moment,
        out: &mut BytesMut,
    ) -> LogId {
        match self.sessions.admit(part, now) {
            Ok(Admission::Fresh) => {
                let start = out.len();
                self.store.change(operation, now.id.index, out);
                self.sessions.remember(part, now, &out[start..]);
                self.sessions.shrink(&self.settings);
                now.id
            }
            Ok(Admission::Repeated { id, answer }) => {
                out.extend_from_slice(&answer);
                id
            }
            Err(refusal) => {
                Answer::Refused(refusal).encode(out);
                now.id
            }
        }
    }
}
