//! What one of those that are left holds: told by its directory, or by a file made from it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use raft_node::model::{
    ClusterId, Configuration, Incarnation, Index, LogId, MAX_ADDRESS_BYTES, MAX_SEATS, Member,
    NodeId, Seat, Standing, Term,
};
use raft_node::storage::{Inspection, RealDisk, StorageError, Survey};
use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::commands::log::failed;
use crate::commands::seats::standing_name;
use crate::error::CliError;
use crate::output::VERSION;

/// The highest term, index or epoch that a file may name: what a data directory may hold.
const MOST: u64 = 1 << 62;

/// An entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// Compared first, as when logs are compared for a vote.
    pub(super) term: u64,
    pub(super) index: u64,
}

/// From which entry on the log has which term.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    pub(super) term: u64,
    pub(super) first: u64,
}

/// A seat of a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeatObject {
    pub(super) id: u16,
    pub(super) incarnation: Option<String>,
    pub(super) standing: String,
    pub(super) address: String,
}

/// What one of those that are left holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Survivor {
    v: u32,
    pub(super) node: u16,
    pub(super) incarnation: String,
    pub(super) cluster: String,
    pub(super) epoch: u64,
    pub(super) boot: u64,
    pub(super) term: u64,
    pub(super) voted_for: Option<u16>,
    pub(super) base: Place,
    pub(super) terms: Vec<Run>,
    pub(super) last: Place,
    pub(super) last_time_nanoseconds: u64,
    pub(super) snapshots: Vec<Place>,
    pub(super) torn_bytes: u64,
    pub(super) configuration_index: u64,
    pub(super) seats: Vec<SeatObject>,
}

impl From<LogId> for Place {
    fn from(id: LogId) -> Place {
        Place { term: id.term.0, index: id.index.0 }
    }
}

impl From<Place> for LogId {
    fn from(place: Place) -> LogId {
        LogId::new(Term(place.term), Index(place.index))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

impl From<&Seat> for SeatObject {
    fn from(seat: &Seat) -> SeatObject {
        SeatObject {
            id: seat.id.number(),
            incarnation: seat.incarnation.map(|incarnation| incarnation.to_string()),
            standing: standing_name(seat.standing).to_owned(),
            address: seat.address.clone(),
        }
    }
}

impl SeatObject {
    fn seat(&self) -> Option<Seat> {
        let all = [
            Standing::Learner,
            Standing::Voter,
            Standing::Incoming,
            Standing::Outgoing,
            Standing::Demoted,
        ];
        let standing = all.into_iter().find(|one| standing_name(*one) == self.standing)?;
        let incarnation = match &self.incarnation {
            Some(text) => Some(incarnation(text)?),
            None => None,
        };
        let fits = self.address.len() <= usize::from(MAX_ADDRESS_BYTES);
        let id = NodeId::new(self.id).filter(|_| fits)?;
        Some(Seat { id, incarnation, standing, address: self.address.clone() })
    }
}

/// The configuration of these seats, if they make one.
pub(super) fn configuration(seats: &[SeatObject]) -> Option<Configuration> {
    let seats: Vec<Seat> = seats.iter().map(SeatObject::seat).collect::<Option<_>>()?;
    let unique: BTreeSet<_> = seats.iter().map(|seat| (seat.id, seat.incarnation)).collect();
    let is_one = unique.len() == seats.len() && seats.len() <= MAX_SEATS as usize;
    is_one.then(|| Configuration::new(seats))
}

/// The 128 bits that a text of 32 hexadecimal digits stands for.
fn bits(text: &str) -> Option<u128> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

pub(super) fn incarnation(text: &str) -> Option<Incarnation> {
    bits(text).map(Incarnation)
}

pub(super) fn cluster(text: &str) -> Option<ClusterId> {
    bits(text).map(ClusterId)
}

pub(super) fn member(node: u16, life: &str) -> Option<Member> {
    Some(Member { id: NodeId::new(node)?, incarnation: incarnation(life)? })
}

/// Whether a number from a file can be one of a log.
pub(super) fn is_counter(number: u64) -> bool {
    number < MOST
}

impl Survivor {
    /// Looks at a directory, or reads the file that was made of one.
    pub(super) fn read(path: &Path) -> Result<Survivor, CliError> {
        match path.is_dir() {
            true => Survivor::look_at(path),
            false => Survivor::from_file(path),
        }
    }

    /// Reads every byte of a directory.
    pub(super) fn look_at(directory: &Path) -> Result<Survivor, CliError> {
        let inspection = Inspection::open(RealDisk, directory);
        let survey = inspection.and_then(|inspection| inspection.survey());
        let survey = survey.map_err(|error| told(&error))?;
        Survivor::new(&survey)
            .map_err(|what| CliError::new(Code::NoPlan, format!("{}: {what}", directory.display())))
    }

    fn new(survey: &Survey) -> Result<Survivor, String> {
        let identity = survey.meta.identity;
        let (Some((cluster, epoch)), Some((since, members))) =
            (identity.cluster, &survey.configuration)
        else {
            return Err(format!("node {} is part of no cluster, and holds nothing", identity.node));
        };
        if let Some(what) = survey.cut_short {
            return Err(format!(
                "a crash has cut short {what}: start node {} alone and stop it again, which puts \
                 that right",
                identity.node
            ));
        }
        Ok(Survivor {
            v: VERSION,
            node: identity.node.number(),
            incarnation: identity.incarnation.to_string(),
            cluster: cluster.to_string(),
            epoch: epoch.0,
            boot: survey.meta.boot.0,
            term: survey.meta.hard_state.term.0,
            voted_for: survey.meta.hard_state.vote.map(|vote| vote.id.number()),
            base: survey.base.into(),
            terms: survey.runs.iter().map(|r| Run { term: r.term.0, first: r.first.0 }).collect(),
            last: survey.last.into(),
            last_time_nanoseconds: survey.last_time.0,
            snapshots: survey.snapshots.iter().map(|snapshot| snapshot.last.into()).collect(),
            torn_bytes: survey.torn.as_ref().map_or(0, |torn| torn.bytes),
            configuration_index: since.0,
            seats: members.seats().iter().map(SeatObject::from).collect(),
        })
    }

    fn from_file(path: &Path) -> Result<Survivor, CliError> {
        let bytes = fs::read(path).map_err(|error| CliError::file(path, "read", &error))?;
        let survivor: Option<Survivor> = serde_json::from_slice(&bytes).ok();
        survivor.filter(Survivor::is_sound).ok_or_else(|| {
            let text = format!("{} isn't what `raft-ctl recover survey` writes", path.display());
            CliError::usage(text).hint("give the directory of a node, or such a file")
        })
    }

    fn is_sound(&self) -> bool {
        let places = [self.base, self.last].into_iter().chain(self.snapshots.iter().copied());
        let mut numbers: Vec<u64> = vec![self.epoch, self.term, self.boot];
        numbers.extend(places.flat_map(|place| [place.term, place.index]));
        numbers.extend(self.terms.iter().flat_map(|run| [run.term, run.first]));
        let rises = |pair: &[Run]| pair[0].first < pair[1].first && pair[0].term < pair[1].term;
        self.v == VERSION
            && numbers.into_iter().all(is_counter)
            && self.terms.windows(2).all(rises)
            && self.base.index <= self.last.index
            && member(self.node, &self.incarnation).is_some()
            && cluster(&self.cluster).is_some()
            && configuration(&self.seats).is_some()
    }

    /// Who it is.
    pub(super) fn member(&self) -> Member {
        member(self.node, &self.incarnation).expect("it was looked at where it came in")
    }

    /// The members as this one knows them.
    pub(super) fn configuration(&self) -> Configuration {
        configuration(&self.seats).expect("it was looked at where it came in")
    }

    /// The last entry of the newest snapshot.
    pub(super) fn newest_snapshot(&self) -> Option<Place> {
        self.snapshots.first().copied()
    }

    /// The term of the entry at `index`; `None` where the log doesn't hold it.
    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        let holds = index > self.base.index && index <= self.last.index;
        let run = self.terms.iter().rfind(|run| run.first <= index);
        run.filter(|_| holds).map(|run| run.term)
    }

    /// The last entry that this log and the other have in common, as far as both reach back.
    pub(super) fn common(&self, other: &Survivor) -> Option<u64> {
        let (mut low, mut high) =
            (self.base.index.max(other.base.index), self.last.index.min(other.last.index));
        if low > high || self.term_at(low) != other.term_at(low) {
            return None;
        }
        // Logs that agree at an entry agree at all before it (paper, section 5.3).
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match self.term_at(middle) == other.term_at(middle) {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        Some(low)
    }
}

/// What an error of the storage means here, where a directory must not be in use.
pub(super) fn told(error: &StorageError) -> CliError {
    match error {
        StorageError::InUse { .. } => CliError::new(Code::InUse, error.to_string())
            .hint("stop the node; nothing may change while a new epoch is planned and begun"),
        StorageError::Changed { .. } => CliError::new(Code::PlanChanged, error.to_string())
            .hint("`raft-ctl recover plan` shows how things stand now"),
        StorageError::Corrupt(_) => failed(error).hint(
            "only a directory that is whole can be relied on. Start and stop its node once if an \
             older snapshot may do; else leave this directory out, if others are left",
        ),
        _ => failed(error),
    }
}
