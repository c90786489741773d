//! Reading the content of a snapshot.

use std::ops::Range;

use super::SESSION_WINDOW;
use super::answer::Item;
use super::machine::Machine;
use super::part::{AnswerRecord, End, Head, LAYOUT, Part, SessionRecord};
use super::point::FEATURE_LEVEL;
use super::session::{CLOSED, Sessions};
use super::settings::Settings;
use super::state::State;
use crate::model::{LogId, Malformed};

/// Makes a machine from the bytes that an [`Image`](super::Image) gave, as they come, however
/// they are cut. Beside the state it holds one part of the content, 8 MiB at most.
///
/// The machine that comes out is in every respect the one that the image was taken of. Whatever
/// no image would give is refused; see [`LoadError`].
#[derive(Debug, Default)]
pub struct Loader {
    state: State,
    stage: Stage,
    /// The beginning of a part that isn't whole yet.
    cut: Vec<u8>,
    /// How many bytes of the content stand before `cut`.
    offset: u64,
    /// The session that answers belong to.
    session: Vec<u8>,
    /// The numbers that the next answer of it may have.
    numbers: Range<u64>,
    found: End,
    failed: Option<LoadError>,
}

/// Which parts may come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
enum Stage {
    #[default]
    Head,
    Sessions,
    Keys,
    Nothing,
}

/// What became of the bytes at the beginning of a part.
enum Taken {
    /// They were the whole part, so long.
    Whole { length: usize },
    /// The part is cut; it has at least so many bytes.
    Nothing { needed: usize },
}

/// Why bytes aren't the content of a snapshot. Offsets count from the first byte of the content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// The content is of a layout that this version doesn't know.
    #[error(
        "the snapshot's content is of layout {layout}, which version {} doesn't know; nothing is \
         lost: start a newer version of raft on this directory",
        env!("CARGO_PKG_VERSION")
    )]
    UnknownLayout {
        /// The layout.
        layout: u8,
    },
    /// The feature level is above that of this version.
    #[error(
        "the snapshot's state is of feature level {level}, which version {} doesn't know; nothing \
         is lost: start a newer version of raft on this directory",
        env!("CARGO_PKG_VERSION")
    )]
    NewerLevel {
        /// The feature level.
        level: u32,
    },
    /// A part can't be read.
    #[error(
        "the snapshot's content is damaged: in the part at offset {offset}, {error}; nothing of it \
         is used"
    )]
    Malformed {
        /// What is wrong with it. The offset in it counts from the beginning of the part, or of
        /// the settings.
        error: Malformed,
        /// Where the part begins.
        offset: u64,
    },
    /// A field has a value that isn't possible together with what stands before it.
    #[error(
        "the snapshot's content is damaged: in the part at offset {offset}, {field} can't be \
         {found}; nothing of it is used"
    )]
    Impossible {
        /// The field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// Where the part begins.
        offset: u64,
    },
    /// There is more than the settings of the same content allow.
    #[error(
        "the snapshot's content is damaged: up to offset {offset} it holds more {parts} than its \
         own settings allow; nothing of it is used"
    )]
    TooMany {
        /// What there is too much of.
        parts: &'static str,
        /// Where the first part begins that is too much.
        offset: u64,
    },
    /// A part stands where it can't: the keys, the names of sessions or the numbers of a
    /// session's answers don't rise, or it is of a kind that can't follow the one before.
    #[error(
        "the snapshot's content is damaged: the {part} at offset {offset} can't follow what \
         stands before it; nothing of it is used"
    )]
    OutOfOrder {
        /// What it is.
        part: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// There are more or fewer parts of a kind than the content says at its end.
    #[error(
        "the snapshot's content is damaged: it says that it holds {told} {parts}, and holds \
         {found}; nothing of it is used"
    )]
    WrongCount {
        /// What was counted.
        parts: &'static str,
        /// How many there should be.
        told: u64,
        /// How many there are.
        found: u64,
    },
    /// The state has another hash than the one that the image was taken of.
    #[error(
        "the snapshot's content is damaged: its state hash is {found:032x} where {told:032x} is \
         told; nothing of it is used"
    )]
    WrongHash {
        /// What the content says.
        told: u128,
        /// What the hash is.
        found: u128,
    },
    /// The content ends before its last part.
    #[error("the snapshot's content ends too early, at offset {offset}; nothing of it is used")]
    Cut {
        /// How many bytes there are.
        offset: u64,
    },
}

impl Loader {
    /// A loader that has read nothing.
    #[must_use]
    pub fn new() -> Loader {
        Loader::default()
    }

    /// Takes in the next bytes.
    ///
    /// # Errors
    ///
    /// What was taken in so far is no content of a snapshot. From then on each call gives the
    /// same error.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let taken = match self.failed {
            Some(error) => Err(error),
            None => self.take_parts(bytes),
        };
        self.failed = taken.err();
        taken
    }

    /// The machine, when all bytes were taken in.
    ///
    /// # Errors
    ///
    /// The content isn't complete, or an error was given before.
    pub fn finish(self) -> Result<Machine, LoadError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.stage == Stage::Nothing => Ok(Machine::of(self.state)),
            None => Err(LoadError::Cut { offset: self.offset + self.cut.len() as u64 }),
        }
    }

    fn take_parts(&mut self, mut bytes: &[u8]) -> Result<(), LoadError> {
        let mut cut = std::mem::take(&mut self.cut);
        while !cut.is_empty() {
            match self.take_part(&cut)? {
                Taken::Whole { .. } => cut.clear(),
                Taken::Nothing { needed } => {
                    let (more, rest) = bytes.split_at(bytes.len().min(needed - cut.len()));
                    if more.is_empty() {
                        break;
                    }
                    cut.extend_from_slice(more);
                    bytes = rest;
                }
            }
        }
        while !bytes.is_empty() {
            match self.take_part(bytes)? {
                Taken::Whole { length } => bytes = &bytes[length..],
                Taken::Nothing { .. } => {
                    cut.extend_from_slice(bytes);
                    break;
                }
            }
        }
        self.cut = cut;
        Ok(())
    }

    /// Takes in the part that `bytes`, which aren't empty, begin with.
    fn take_part(&mut self, bytes: &[u8]) -> Result<Taken, LoadError> {
        match self.stage {
            Stage::Head if bytes[0] != LAYOUT => {
                return Err(LoadError::UnknownLayout { layout: bytes[0] });
            }
            Stage::Nothing => {
                return Err(self.misplaced("byte"));
            }
            _ => {}
        }
        let (part, length) = match Part::decode(bytes) {
            Ok(decoded) => decoded,
            Err(Malformed::Short { offset, needed, .. }) => {
                return Ok(Taken::Nothing { needed: offset + needed });
            }
            Err(error) => return Err(LoadError::Malformed { error, offset: self.offset }),
        };
        match part {
            Part::Head(head) if self.stage == Stage::Head => self.take_head(&head)?,
            Part::Session(session) if self.stage == Stage::Sessions => {
                self.take_session(&session)?
            }
            Part::Answer(answer) if self.stage == Stage::Sessions => self.take_answer(&answer)?,
            Part::Key(key, item) if self.stage != Stage::Head => self.take_key(key, item)?,
            Part::End(end) if self.stage != Stage::Head => self.take_end(&end)?,
            _ => return Err(self.misplaced("part")),
        }
        self.offset += length as u64;
        Ok(Taken::Whole { length })
    }

    fn take_head(&mut self, head: &Head<'_>) -> Result<(), LoadError> {
        if head.feature_level > FEATURE_LEVEL {
            return Err(LoadError::NewerLevel { level: head.feature_level });
        }
        let settings = Settings::decode(head.settings)
            .map_err(|error| LoadError::Malformed { error, offset: self.offset })?;
        self.require(head.forgotten <= head.log_time, "forgotten", head.forgotten.0)?;
        self.state = State {
            sessions: Sessions::none_since(head.forgotten),
            settings,
            feature_level: head.feature_level,
            applied: head.applied,
            log_time: head.log_time,
            ..State::default()
        };
        self.stage = Stage::Sessions;
        Ok(())
    }

    fn take_session(&mut self, session: &SessionRecord<'_>) -> Result<(), LoadError> {
        let applied = self.state.applied.index;
        let SessionRecord { opened_at, active_index, active_at, .. } = *session;
        self.require(active_at <= self.state.log_time, "time of the last activity", active_at.0)?;
        self.require(opened_at <= active_at, "opening time", opened_at.0)?;
        self.require(active_index <= applied, "index of the last activity", active_index.0)?;
        self.require(session.lowest > 0, "lowest number", session.lowest)?;
        if session.name <= &self.session[..] || !self.state.sessions.take_up(session) {
            return Err(self.misplaced("session"));
        }
        self.session.clear();
        self.session.extend_from_slice(session.name);
        self.numbers = match session.lowest {
            CLOSED => CLOSED..CLOSED,
            lowest => lowest..lowest.saturating_add(SESSION_WINDOW),
        };
        self.found.sessions += 1;
        self.keep_to_settings("sessions")
    }

    fn take_answer(&mut self, answer: &AnswerRecord<'_>) -> Result<(), LoadError> {
        if !self.numbers.contains(&answer.number) {
            return Err(self.misplaced("answer"));
        }
        let (LogId { index, term }, applied) = (answer.id, self.state.applied);
        self.require(index <= applied.index, "index", index.0)?;
        self.require(term <= applied.term, "term", term.0)?;
        self.numbers.start = answer.number + 1;
        self.state.sessions.take_up_answer(&self.session, answer);
        self.found.answers += 1;
        self.keep_to_settings("answers")
    }

    fn take_key(&mut self, key: &[u8], item: Item<'_>) -> Result<(), LoadError> {
        let Item { version, mod_index, .. } = item;
        self.stage = Stage::Keys;
        self.require(mod_index <= self.state.applied.index, "modification index", mod_index.0)?;
        // Each write takes an entry.
        self.require((1..=mod_index.0).contains(&version), "version", version)?;
        if !self.state.store.push(key, item) {
            return Err(self.misplaced("key"));
        }
        self.found.keys += 1;
        Ok(())
    }

    fn take_end(&mut self, told: &End) -> Result<(), LoadError> {
        if !self.state.sessions.is_in_order() {
            return Err(self.misplaced("activity of a session"));
        }
        self.found.hash = self.state.state_hash();
        let End { sessions, answers, keys, hash } = self.found;
        for (parts, told, found) in [
            ("sessions", told.sessions, sessions),
            ("answers", told.answers, answers),
            ("keys", told.keys, keys),
        ] {
            if told != found {
                return Err(LoadError::WrongCount { parts, told, found });
            }
        }
        if told.hash != hash {
            return Err(LoadError::WrongHash { told: told.hash, found: hash });
        }
        self.stage = Stage::Nothing;
        Ok(())
    }

    fn keep_to_settings(&self, parts: &'static str) -> Result<(), LoadError> {
        if self.state.sessions.keeps_to(&self.state.settings) {
            return Ok(());
        }
        Err(LoadError::TooMany { parts, offset: self.offset })
    }

    fn require(&self, holds: bool, field: &'static str, found: u64) -> Result<(), LoadError> {
        if holds {
            return Ok(());
        }
        Err(LoadError::Impossible { field, found, offset: self.offset })
    }

    fn misplaced(&self, part: &'static str) -> LoadError {
        LoadError::OutOfOrder { part, offset: self.offset }
    }
}
