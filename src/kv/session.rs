//! Sessions: what makes a command take effect exactly once.
//!
//! A session is a name and an opening time. A command in it carries a number; the answer to it is
//! remembered, so that the same number again is answered and not carried out. Nothing here looks
//! at a clock: what is forgotten, and when, follows from the log.

use std::ops::Bound;
use std::sync::Arc;

use super::answer::SessionState;
use super::command::{SessionId, SessionPart};
use super::key::Key;
use super::part::{AnswerRecord, SessionRecord};
use super::refusal::Refusal;
use super::settings::{MIN_ANSWER_BYTES, Settings};
use super::tree::{Tree, Value};
use super::{ANSWER_OVERHEAD, SESSION_WINDOW, TOLD_VALUE_BYTES};
use crate::model::{Hash128, Index, LogId, LogTime};

/// The tags of a session's and of a remembered answer's element in the state hash, and of the
/// mark of what was forgotten.
const ELEMENT: u8 = 2;
const ANSWER_ELEMENT: u8 = 3;
const FORGOTTEN_ELEMENT: u8 = 5;

/// The lowest number of a closed session: above every number that a command can have.
pub(super) const CLOSED: u64 = u64::MAX;

// The session that a command belongs to is the one active last. With this it is never forgotten
// for its own answers.
pub(super) const LONGEST_ANSWER: u64 = TOLD_VALUE_BYTES as u64 + 64;
const _: () = assert!(SESSION_WINDOW * (LONGEST_ANSWER + ANSWER_OVERHEAD) <= MIN_ANSWER_BYTES);

/// All sessions that are remembered. Cloning it takes no time.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    table: Tree<Key, Session>,
    /// The same sessions by the entry of their last activity, the longest inactive first, with
    /// the time of it.
    by_activity: Tree<Index, (LogTime, Key)>,
    /// The latest opening time among all sessions that were forgotten. No session opens with
    /// this time or an earlier one.
    forgotten: LogTime,
    answer_bytes: u64,
    sum: u128,
}

#[derive(Clone, Debug)]
struct Session {
    opened_at: LogTime,
    lowest: u64,
    active_index: Index,
    active_at: LogTime,
    answers: Tree<u64, Remembered>,
}

#[derive(Clone, Debug)]
struct Remembered {
    id: LogId,
    answer: Arc<[u8]>,
}

impl Value for Session {}

impl Value for (LogTime, Key) {}

impl Value for Remembered {
    fn count(&self) -> usize {
        Arc::strong_count(&self.answer)
    }
}

/// The entry that is being applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moment {
    pub(super) id: LogId,
    pub(super) time: LogTime,
}

/// What becomes of a command in a session that wasn't refused.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is the first with its number: carry it out and remember the answer.
    Fresh,
    /// Its number was carried out by this entry, with this answer.
    Repeated { id: LogId, answer: Arc<[u8]> },
}

/// How a session may come to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// Not by this command.
    No,
    /// In no other living session's place.
    Yielding,
    /// In place of an earlier session of the same name.
    Replacing,
}

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Known,
    New,
}

impl Sessions {
    /// Whether the command of `part` is to be carried out. A refusal changes nothing.
    pub(super) fn admit(
        &mut self,
        part: &SessionPart<'_>,
        now: Moment,
    ) -> Result<Admission, Refusal> {
        let opening = if part.number == 1 { Opening::Yielding } else { Opening::No };
        match self.place(part.id, opening, now)? {
            Place::New => {
                self.insert(part.id, 1, now);
                Ok(Admission::Fresh)
            }
            Place::Known => self.admit_known(part, now),
        }
    }

    fn admit_known(&mut self, part: &SessionPart<'_>, now: Moment) -> Result<Admission, Refusal> {
        let session = self.table.get(part.id.name).expect("its place is known");
        if session.lowest == CLOSED {
            return Err(Refusal::SessionForgotten);
        }
        if part.number < session.lowest {
            return Err(Refusal::NumberForgotten { lowest: session.lowest });
        }
        let lowest = session.lowest.max(part.lowest);
        if part.number - lowest >= SESSION_WINDOW {
            return Err(Refusal::AboveWindow { lowest });
        }
        let repeated = session.answers.get(&part.number).cloned();
        self.touch(part.id.name, lowest, now);
        Ok(match repeated {
            Some(Remembered { id, answer }) => Admission::Repeated { id, answer },
            None => Admission::Fresh,
        })
    }

    /// Remembers the answer to the command of `part`, which was just carried out.
    pub(super) fn remember(&mut self, part: &SessionPart<'_>, now: Moment, answer: &[u8]) {
        debug_assert!(answer.len() as u64 <= LONGEST_ANSWER, "{} bytes", answer.len());
        let remembered = Remembered { id: now.id, answer: answer.into() };
        self.hold(part.id.name, part.number, remembered);
    }

    /// Opens a session explicitly, or keeps alive the one that was opened so before.
    pub(super) fn open(&mut self, id: SessionId<'_>, now: Moment) -> Result<(), Refusal> {
        match self.place(id, Opening::Replacing, now)? {
            Place::New => self.insert(id, 1, now),
            Place::Known => {
                let lowest = self.table.get(id.name).expect("its place is known").lowest;
                if lowest == CLOSED {
                    return Err(Refusal::SessionForgotten);
                }
                self.touch(id.name, lowest, now);
            }
        }
        Ok(())
    }

    /// Closes a session: from now on none of its commands takes effect, nor does its opening.
    /// Its name and opening time stay for as long as those of any other session. Raising
    /// `forgotten` instead would refuse the openings of clients that began a little earlier.
    pub(super) fn close(&mut self, id: SessionId<'_>, now: Moment) -> Result<(), Refusal> {
        match self.place(id, Opening::Yielding, now) {
            Ok(Place::New) => self.insert(id, CLOSED, now),
            Ok(Place::Known) => self.touch(id.name, CLOSED, now),
            Err(Refusal::SessionForgotten) => {}
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Forgets the sessions whose time has come.
    pub(super) fn expire(&mut self, settings: &Settings, now: LogTime) {
        while self.due(settings).is_some_and(|due| due <= now) {
            self.forget_oldest();
        }
    }

    /// Forgets the sessions longest inactive until the rest keeps to the bounds.
    pub(super) fn shrink(&mut self, settings: &Settings) {
        while !self.keeps_to(settings) {
            self.forget_oldest();
        }
    }

    /// When the next session expires.
    pub(super) fn due(&self, settings: &Settings) -> Option<LogTime> {
        let (_, (active_at, _)) = self.by_activity.first()?;
        Some(*active_at + settings.session_timeout)
    }

    /// What is remembered of the session of this name.
    pub(super) fn state(&self, name: &[u8]) -> Option<SessionState> {
        self.table.get(name).map(|session| SessionState {
            opened_at: session.opened_at,
            active_at: session.active_at,
            lowest: session.lowest,
            answers: session.answers.len() as u32,
        })
    }

    /// How many sessions are remembered, closed ones included.
    pub(super) fn len(&self) -> u64 {
        self.table.len() as u64
    }

    /// The sum of the hashes of all sessions, their answers and the mark of what was forgotten.
    pub(super) fn sum(&self) -> u128 {
        let mark = Hash128::element(FORGOTTEN_ELEMENT).u64(self.forgotten.0).finish();
        self.sum.wrapping_add(mark)
    }

    /// The latest opening time among all sessions that were forgotten.
    pub(super) const fn forgotten(&self) -> LogTime {
        self.forgotten
    }

    /// The sessions behind `name` in the order of their names, each with its answers in the
    /// order of their numbers.
    pub(super) fn behind(
        &self,
        name: &[u8],
    ) -> impl Iterator<Item = (SessionRecord<'_>, impl Iterator<Item = AnswerRecord<'_>>)> {
        self.table.from(Bound::Excluded(name)).map(|(name, session)| {
            let answers = session.answers.iter().map(|(&number, remembered)| AnswerRecord {
                number,
                id: remembered.id,
                answer: &remembered.answer,
            });
            (session.record(name.bytes()), answers)
        })
    }

    /// No sessions, and this mark of those that were forgotten.
    pub(super) fn none_since(forgotten: LogTime) -> Sessions {
        Sessions { forgotten, ..Sessions::default() }
    }

    /// Takes up a session that another replica remembers, still without its answers. Gives false
    /// if there is one of this name or with this activity.
    pub(super) fn take_up(&mut self, record: &SessionRecord<'_>) -> bool {
        let name = Key::new(record.name);
        let has_name = self.table.get(&name).is_some();
        if has_name || self.by_activity.get(&record.active_index).is_some() {
            return false;
        }
        let session = Session {
            opened_at: record.opened_at,
            lowest: record.lowest,
            active_index: record.active_index,
            active_at: record.active_at,
            answers: Tree::default(),
        };
        self.sum = self.sum.wrapping_add(element(record.name, &session));
        self.by_activity.insert(record.active_index, (record.active_at, name.clone()));
        self.table.insert(name, session);
        true
    }

    /// Takes up an answer of a session that was taken up.
    pub(super) fn take_up_answer(&mut self, name: &[u8], record: &AnswerRecord<'_>) {
        let remembered = Remembered { id: record.id, answer: record.answer.into() };
        self.hold(name, record.number, remembered);
    }

    /// Whether there are no more sessions and bytes of answers than the settings allow.
    pub(super) fn keeps_to(&self, settings: &Settings) -> bool {
        self.table.len() <= settings.max_sessions as usize
            && self.answer_bytes <= settings.max_answer_bytes
    }

    /// Whether the times of the last activities are in the order of their entries.
    pub(super) fn is_in_order(&self) -> bool {
        self.by_activity.iter().map(|(_, (active_at, _))| active_at).is_sorted()
    }

    /// Whether the session is known, or may be opened, or is refused.
    fn place(&self, id: SessionId<'_>, opening: Opening, now: Moment) -> Result<Place, Refusal> {
        let known = self.table.get(id.name);
        match known {
            Some(session) if session.opened_at == id.opened_at => return Ok(Place::Known),
            Some(session) if session.opened_at > id.opened_at => {
                return Err(Refusal::SessionForgotten);
            }
            _ => {}
        }
        if id.opened_at <= self.forgotten || opening == Opening::No {
            return Err(Refusal::SessionForgotten);
        }
        if id.opened_at > now.time {
            return Err(Refusal::OpeningAhead { now: now.time });
        }
        match known {
            Some(session) if session.lowest != CLOSED && opening == Opening::Yielding => {
                Err(Refusal::SessionInUse { opened_at: session.opened_at })
            }
            _ => Ok(Place::New),
        }
    }

    /// Makes a session, in place of an earlier one of the same name: as long as the new one is
    /// remembered, it is by its later opening time that the earlier one's commands are refused.
    fn insert(&mut self, id: SessionId<'_>, lowest: u64, now: Moment) {
        self.remove(id.name);
        let session = Session {
            opened_at: id.opened_at,
            lowest,
            active_index: now.id.index,
            active_at: now.time,
            answers: Tree::default(),
        };
        self.sum = self.sum.wrapping_add(element(id.name, &session));
        self.by_activity.insert(now.id.index, (now.time, Key::new(id.name)));
        self.table.insert(Key::new(id.name), session);
    }

    /// Adds an answer that the session of this name, which is there, doesn't have yet.
    fn hold(&mut self, name: &[u8], number: u64, remembered: Remembered) {
        let session = self.table.get_mut(name).expect("the caller has found or made it");
        self.sum = self.sum.wrapping_add(answer_element(name, number, &remembered));
        self.answer_bytes += remembered.weight();
        session.answers.insert(number, remembered);
    }

    /// Notes that a known session is active, and drops the answers below `lowest`.
    fn touch(&mut self, name: &[u8], lowest: u64, now: Moment) {
        let session = self.table.get_mut(name).expect("its place is known");
        self.sum = self.sum.wrapping_sub(element(name, session));
        while let Some((&number, remembered)) = session.answers.first()
            && number < lowest
        {
            self.sum = self.sum.wrapping_sub(answer_element(name, number, remembered));
            self.answer_bytes -= remembered.weight();
            session.answers.remove(&number);
        }
        let before = session.active_index;
        session.lowest = lowest;
        session.active_index = now.id.index;
        session.active_at = now.time;
        self.sum = self.sum.wrapping_add(element(name, session));
        let (_, key) = self.by_activity.remove(&before).expect("both maps hold the same sessions");
        self.by_activity.insert(now.id.index, (now.time, key));
    }

    fn forget_oldest(&mut self) {
        let (_, (_, name)) = self.by_activity.first().expect("there is one to be forgotten");
        let name = name.clone();
        let session = self.remove(name.bytes()).expect("both maps hold the same sessions");
        self.forgotten = self.forgotten.max(session.opened_at);
    }

    fn remove(&mut self, name: &[u8]) -> Option<Session> {
        let session = self.table.remove(name)?;
        self.sum = self.sum.wrapping_sub(element(name, &session));
        for (number, remembered) in session.answers.iter() {
            self.sum = self.sum.wrapping_sub(answer_element(name, *number, remembered));
            self.answer_bytes -= remembered.weight();
        }
        self.by_activity.remove(&session.active_index);
        Some(session)
    }
}

impl Session {
    fn record<'a>(&self, name: &'a [u8]) -> SessionRecord<'a> {
        SessionRecord {
            opened_at: self.opened_at,
            lowest: self.lowest,
            active_index: self.active_index,
            active_at: self.active_at,
            name,
        }
    }
}

impl Remembered {
    fn weight(&self) -> u64 {
        self.answer.len() as u64 + ANSWER_OVERHEAD
    }
}

fn element(name: &[u8], session: &Session) -> u128 {
    Hash128::element(ELEMENT)
        .u64(session.opened_at.0)
        .u64(session.lowest)
        .u64(session.active_index.0)
        .u64(session.active_at.0)
        .bytes(name)
        .finish()
}

fn answer_element(name: &[u8], number: u64, remembered: &Remembered) -> u128 {
    Hash128::element(ANSWER_ELEMENT)
        .bytes(&[name.len() as u8])
        .bytes(name)
        .u64(number)
        .u64(remembered.id.index.0)
        .u64(remembered.id.term.0)
        .bytes(&remembered.answer)
        .finish()
}
