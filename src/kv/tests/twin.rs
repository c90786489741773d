//! A second machine, written for being plain: no sharing, no running sums, a search through all
//! of it at each step.

use std::collections::BTreeMap;

use super::*;
use crate::model::Hash128;

#[derive(Clone, Debug, Default)]
pub(super) struct Twin {
    pub(super) map: BTreeMap<Vec<u8>, (Vec<u8>, u64, u64)>,
    sessions: Vec<TwinSession>,
    forgotten: u64,
    settings: Settings,
    index: u64,
    time: u64,
}

#[derive(Clone, Debug)]
struct TwinSession {
    name: Vec<u8>,
    opened_at: u64,
    lowest: u64,
    closed: bool,
    active_index: u64,
    active_time: u64,
    answers: BTreeMap<u64, (u64, Vec<u8>)>,
}

impl Twin {
    fn next(&mut self, time: u64) {
        self.index += 1;
        self.time = self.time.max(time);
        let timeout = self.settings.session_timeout.as_nanos() as u64;
        let now = self.time;
        self.forget(|session| session.active_time + timeout <= now);
    }

    pub(super) fn set(&mut self, time: u64, settings: Settings) {
        self.next(time);
        self.settings = settings;
        let timeout = settings.session_timeout.as_nanos() as u64;
        let now = self.time;
        self.forget(|session| session.active_time + timeout <= now);
        self.shrink();
    }

    /// Gives which entry the command was answered by, and the answer.
    pub(super) fn command(&mut self, time: u64, command: &Command<'_>) -> (Index, Vec<u8>) {
        self.next(time);
        let (index, answer) = match command {
            Command::Change { session: None, operation } => (self.index, self.change(operation)),
            Command::Change { session: Some(part), operation } => self.once(part, operation),
            Command::OpenSession(id) => (self.index, bytes(&self.open(id))),
            Command::CloseSession(id) => (self.index, bytes(&self.close(id))),
        };
        self.shrink();
        (Index(index), answer)
    }

    fn once(&mut self, part: &SessionPart<'_>, operation: &Operation<'_>) -> (u64, Vec<u8>) {
        let refused = |refusal| bytes(&Answer::Refused(refusal));
        let id = &part.id;
        if self.find(id).is_none()
            && let Err(refusal) = self.may_open(id, part.number == 1, false)
        {
            return (self.index, refused(refusal));
        }
        if self.find(id).is_none() {
            self.begin(id);
        }
        let (index, time) = (self.index, self.time);
        let session = self.find(id).unwrap();
        if session.closed {
            return (index, refused(Refusal::SessionForgotten));
        }
        let lowest = session.lowest;
        if part.number < lowest {
            return (index, refused(Refusal::NumberForgotten { lowest }));
        }
        let lowest = lowest.max(part.lowest);
        if part.number > lowest + 1023 {
            return (index, refused(Refusal::AboveWindow { lowest }));
        }
        session.lowest = lowest;
        session.answers.retain(|number, _| *number >= lowest);
        (session.active_index, session.active_time) = (index, time);
        if let Some((at, answer)) = session.answers.get(&part.number) {
            return (*at, answer.clone());
        }
        let answer = self.change(operation);
        self.find(id).unwrap().answers.insert(part.number, (index, answer.clone()));
        (index, answer)
    }

    fn open(&mut self, id: &SessionId<'_>) -> Answer<'static> {
        let (index, time) = (self.index, self.time);
        if let Some(session) = self.find(id) {
            if session.closed {
                return Answer::Refused(Refusal::SessionForgotten);
            }
            (session.active_index, session.active_time) = (index, time);
            return Answer::SessionOpened;
        }
        match self.may_open(id, true, true) {
            Ok(()) => {
                self.begin(id);
                Answer::SessionOpened
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn close(&mut self, id: &SessionId<'_>) -> Answer<'static> {
        if self.find(id).is_none() {
            match self.may_open(id, true, false) {
                Ok(()) => self.begin(id),
                Err(Refusal::SessionForgotten) => return Answer::SessionClosed,
                Err(refusal) => return Answer::Refused(refusal),
            }
        }
        let (index, time) = (self.index, self.time);
        let session = self.find(id).unwrap();
        session.closed = true;
        session.answers.clear();
        (session.active_index, session.active_time) = (index, time);
        Answer::SessionClosed
    }

    /// Whether a session that isn't there may come to be.
    fn may_open(&self, id: &SessionId<'_>, opens: bool, replaces: bool) -> Result<(), Refusal> {
        let other = self.sessions.iter().find(|session| session.name == id.name);
        if !opens
            || id.opened_at.0 <= self.forgotten
            || other.is_some_and(|other| other.opened_at > id.opened_at.0)
        {
            return Err(Refusal::SessionForgotten);
        }
        if id.opened_at.0 > self.time {
            return Err(Refusal::OpeningAhead { now: LogTime(self.time) });
        }
        match other {
            Some(other) if !other.closed && !replaces => {
                Err(Refusal::SessionInUse { opened_at: LogTime(other.opened_at) })
            }
            _ => Ok(()),
        }
    }

    fn find(&mut self, id: &SessionId<'_>) -> Option<&mut TwinSession> {
        self.sessions
            .iter_mut()
            .find(|session| session.name == id.name && session.opened_at == id.opened_at.0)
    }

    fn begin(&mut self, id: &SessionId<'_>) {
        self.sessions.retain(|session| session.name != id.name);
        self.sessions.push(TwinSession {
            name: id.name.to_vec(),
            opened_at: id.opened_at.0,
            lowest: 1,
            closed: false,
            active_index: self.index,
            active_time: self.time,
            answers: BTreeMap::new(),
        });
    }

    fn forget(&mut self, goes: impl Fn(&TwinSession) -> bool) {
        for session in self.sessions.iter().filter(|session| goes(session)) {
            self.forgotten = self.forgotten.max(session.opened_at);
        }
        self.sessions.retain(|session| !goes(session));
    }

    fn shrink(&mut self) {
        loop {
            let answers = self.sessions.iter().flat_map(|session| session.answers.values());
            let bytes: u64 = answers.map(|(_, answer)| answer.len() as u64 + 64).sum();
            if self.sessions.len() <= self.settings.max_sessions as usize
                && bytes <= self.settings.max_answer_bytes
            {
                return;
            }
            let oldest = self.sessions.iter().map(|session| session.active_index).min().unwrap();
            self.forget(|session| session.active_index == oldest);
        }
    }

    fn change(&mut self, operation: &Operation<'_>) -> Vec<u8> {
        let found = self.map.get(operation.key()).cloned();
        bytes(&match *operation {
            Operation::Put { key, value } => Answer::Put { version: self.write(key, value) },
            Operation::Delete { key } => {
                Answer::Deleted { existed: self.map.remove(key).is_some() }
            }
            Operation::CompareAndSwap { key, expected, value } => {
                let swaps = match (expected, &found) {
                    (Expected::Absent, None) => true,
                    (Expected::Value(wanted), Some((is, _, _))) => wanted == is,
                    (Expected::Version(wanted), Some((_, is, _))) => wanted == *is,
                    _ => false,
                };
                match &found {
                    _ if swaps => Answer::Swapped { version: self.write(key, value) },
                    None => Answer::NotSwapped(Found::Absent),
                    Some((value, version, mod_index)) => Answer::NotSwapped(Found::Value(Item {
                        value,
                        version: *version,
                        mod_index: Index(*mod_index),
                    })),
                }
            }
            Operation::Increment { key, by } => {
                let text = found.map_or("0".to_owned(), |(value, _, _)| {
                    String::from_utf8_lossy(&value).into_owned()
                });
                match text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
                    None => Answer::Refused(Refusal::NotANumber),
                    Some(number) => match number.checked_add(by) {
                        None => Answer::Refused(Refusal::Overflow),
                        Some(value) => {
                            let version = self.write(key, value.to_string().as_bytes());
                            Answer::Incremented { value, version }
                        }
                    },
                }
            }
        })
    }

    fn write(&mut self, key: &[u8], value: &[u8]) -> u64 {
        let version = self.map.get(key).map_or(0, |(_, version, _)| *version) + 1;
        self.map.insert(key.to_vec(), (value.to_vec(), version, self.index));
        version
    }

    /// The state hash as docs/state-machine.md defines it, over everything.
    pub(super) fn hash(&self) -> u128 {
        let mut elements: Vec<Vec<u8>> = Vec::new();
        for (key, (value, version, index)) in &self.map {
            let length = (key.len() as u32).to_le_bytes();
            let numbers = [version.to_le_bytes(), index.to_le_bytes()].concat();
            elements.push([&[1][..], &numbers, &length, key, value].concat());
        }
        for session in &self.sessions {
            let lowest = if session.closed { u64::MAX } else { session.lowest };
            let numbers = [session.opened_at, lowest, session.active_index, session.active_time]
                .map(u64::to_le_bytes)
                .concat();
            elements.push([&[2][..], &numbers, &session.name].concat());
            for (number, (index, answer)) in &session.answers {
                let numbers = [*number, *index, 3].map(u64::to_le_bytes).concat();
                let name = [&[session.name.len() as u8], &session.name[..]].concat();
                elements.push([&[3][..], &name, &numbers, answer].concat());
            }
        }
        elements.push([&[4][..], &self.settings.encode()].concat());
        elements.push([&[5][..], &self.forgotten.to_le_bytes()].concat());
        elements.push([&[6][..], &0_u32.to_le_bytes()].concat());
        elements.iter().fold(0, |sum, element| {
            sum.wrapping_add(Hash128::element(element[0]).bytes(&element[1..]).finish())
        })
    }
}

fn bytes(answer: &Answer<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    answer.encode(&mut bytes);
    bytes
}
