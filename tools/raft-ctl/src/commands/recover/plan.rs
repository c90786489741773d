//! The plan of a new epoch: made from what those that are left hold, and named by its hash.

use std::cmp::Reverse;

use raft_node::model::{
    Batch, BatchBuilder, Configuration, EntryHeader, EntryKind, Epoch, Hash128, Index, LogId,
    LogTime, Member, Term,
};
use raft_node::storage::NewEpoch;
use serde::{Deserialize, Serialize};

use super::quorum::{decides, may_have_decided};
use super::survivor::{self, Place, SeatObject, Survivor};
use crate::codes::Code;
use crate::error::CliError;
use crate::output::VERSION;

/// What is to be done, and why. Its bytes are what the hash is of, and what every directory keeps
/// as `recovery-<epoch>.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    v: u32,
    pub(super) cluster: String,
    pub(super) epoch_before: u64,
    pub(super) epoch: u64,
    /// The term of the first entry of the epoch.
    pub(super) term: u64,
    /// The node whose log the others follow.
    pub(super) base: u16,
    /// The last entry of that log.
    pub(super) last: Place,
    pub(super) last_time_nanoseconds: u64,
    /// What was certainly committed: the newest snapshot's last entry.
    pub(super) committed: u64,
    /// Whether those that are given up may have acknowledged more than is kept.
    pub(super) may_lose: bool,
    /// The members of the new epoch.
    pub(super) seats: Vec<SeatObject>,
    pub(super) survivors: Vec<Kept>,
    /// The members that aren't any more.
    pub(super) given_up: Vec<SeatObject>,
    /// Those that hold data and aren't taken along.
    pub(super) left_out: Vec<u16>,
}

/// One that goes on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) node: u16,
    pub(super) incarnation: String,
    pub(super) boot: u64,
    pub(super) term: u64,
    pub(super) voted_for: Option<u16>,
    pub(super) last: Place,
    pub(super) last_time_nanoseconds: u64,
    pub(super) snapshot: Option<Place>,
    pub(super) torn_bytes: u64,
    /// The last entry that it has in common with the base; `None` where it needs a snapshot.
    pub(super) common: Option<u64>,
}

impl Kept {
    /// How many entries it gets from the base.
    pub(super) fn behind(&self, plan: &Plan) -> u64 {
        plan.last.index - self.common.unwrap_or(self.last.index).min(plan.last.index)
    }

    /// Its entries that the base doesn't hold: none of them was ever committed.
    pub(super) fn replaced(&self) -> Option<(u64, u64)> {
        let common = self.common?;
        (common < self.last.index).then_some((common + 1, self.last.index))
    }
}

/// Plans with those of `survivors` that are to be kept: all of them, if `keep` is empty.
pub(super) fn make(survivors: &[Survivor], keep: &[u16]) -> Result<Plan, CliError> {
    check_together(survivors)?;
    let kept = chosen(survivors, keep)?;
    let longest =
        |survivor: &&&Survivor| (survivor.last, kept.contains(*survivor), Reverse(survivor.node));
    let mut all: Vec<&Survivor> = survivors.iter().collect();
    all.sort_by_key(|one| one.node);
    let base = *all.iter().max_by_key(longest).expect("there is one at least");
    if !kept.contains(&base) {
        return Err(refused(format!(
            "node {} holds the most, entries up to {}: what the others lack would be lost",
            base.node, base.last
        ))
        .hint("keep it, too; or leave its directory out, if what it holds is to be lost"));
    }
    let members = base.configuration();
    check_needed(&members, survivors)?;
    check_followers(base, &kept)?;
    let term = survivors.iter().map(|one| one.term.max(one.last.term)).max().unwrap_or(0) + 1;
    let seats = seats(&members, &kept)?;
    let is_there = |member| survivors.iter().any(|one| one.member() == member);
    let is_gone = |member| !is_there(member);
    let is_kept = |seat: &SeatObject| {
        kept.iter().any(|one| Some(&one.incarnation) == seat.incarnation.as_ref())
    };
    Ok(Plan {
        v: VERSION,
        cluster: base.cluster.clone(),
        epoch_before: base.epoch,
        epoch: base.epoch + 1,
        term,
        base: base.node,
        last: base.last,
        last_time_nanoseconds: base.last_time_nanoseconds,
        committed: survivors
            .iter()
            .filter_map(Survivor::newest_snapshot)
            .map(|p| p.index)
            .max()
            .unwrap_or(0),
        may_lose: survivors.iter().any(|one| may_have_decided(&one.configuration(), is_gone)),
        seats,
        survivors: kept.iter().map(|one| one.kept(base)).collect(),
        given_up: base.seats.iter().filter(|seat| !is_kept(seat)).cloned().collect(),
        left_out: all.iter().filter(|one| !kept.contains(*one)).map(|one| one.node).collect(),
    })
}

impl Survivor {
    fn kept(&self, base: &Survivor) -> Kept {
        Kept {
            node: self.node,
            incarnation: self.incarnation.clone(),
            boot: self.boot,
            term: self.term,
            voted_for: self.voted_for,
            last: self.last,
            last_time_nanoseconds: self.last_time_nanoseconds,
            snapshot: self.newest_snapshot(),
            torn_bytes: self.torn_bytes,
            common: self.common(base),
        }
    }
}

fn refused(text: impl Into<String>) -> CliError {
    CliError::new(Code::NoPlan, text)
}

/// They must be different nodes of one cluster, in one epoch.
fn check_together(survivors: &[Survivor]) -> Result<(), CliError> {
    let first = &survivors[0];
    for (at, one) in survivors.iter().enumerate() {
        let node = one.node;
        if survivors[..at].iter().any(|other| other.node == node) {
            return Err(CliError::usage(format!("node {node} is given twice"))
                .hint("give the latest directory of each node that is left, once"));
        }
        if one.cluster != first.cluster {
            return Err(refused(format!(
                "node {} is of cluster {}, and node {node} of cluster {}",
                first.node, first.cluster, one.cluster
            ))
            .hint("give directories of one cluster only"));
        }
        if one.epoch != first.epoch {
            return Err(refused(format!(
                "node {} is in epoch {}, and node {node} in epoch {}",
                first.node, first.epoch, one.epoch
            ))
            .hint(
                "where a `recover apply` was cut short, give it again with the same plan: \
                 recovery-<epoch>.json in the directory of the later epoch holds that plan, and \
                 --from reads it. Else the earlier epoch was given up: leave its directories out",
            ));
        }
    }
    Ok(())
}

fn chosen<'a>(survivors: &'a [Survivor], keep: &[u16]) -> Result<Vec<&'a Survivor>, CliError> {
    if let Some(missing) = keep.iter().find(|node| survivors.iter().all(|one| one.node != **node)) {
        let text = format!("--keep names node {missing}, whose directory isn't given");
        return Err(CliError::usage(text));
    }
    let is_kept = |one: &&Survivor| keep.is_empty() || keep.contains(&one.node);
    let mut kept: Vec<&Survivor> = survivors.iter().filter(is_kept).collect();
    kept.sort_by_key(|one| one.node);
    Ok(kept)
}

/// Where a majority is left nothing is to be given up.
fn check_needed(members: &Configuration, survivors: &[Survivor]) -> Result<(), CliError> {
    let is_there = |member: Member| survivors.iter().any(|one| one.member() == member);
    if !decides(members, is_there) {
        return Ok(());
    }
    let voters = members.seats().iter().filter(|seat| seat.standing.votes());
    let there = voters.clone().filter(|seat| seat.member().is_some_and(is_there)).count();
    Err(CliError::new(
        Code::NotLost,
        format!("{there} of {} voters are left, which is a majority", voters.count()),
    )
    .hint("start them: they go on as they are, and lose nothing; nothing was changed"))
}

/// Those that don't hold the first entry of the epoch must not be able to elect one of themselves:
/// by the rule of the up-to-date log, those that hold it won't help them.
fn check_followers(base: &Survivor, kept: &[&Survivor]) -> Result<(), CliError> {
    for one in kept.iter().filter(|one| one.node != base.node) {
        let snapshot = one.newest_snapshot().filter(|place| place.index >= base.base.index);
        if snapshot.is_some_and(|place| base.term_at(place.index) != Some(place.term)) {
            return Err(refused(format!(
                "node {} has a snapshot that node {}'s log contradicts: they can't both be right",
                one.node, base.node
            ))
            .hint("keep all directories as they are and report it; nothing was changed"));
        }
        let members = one.configuration();
        let is_follower = |member: Member| {
            kept.iter().any(|other| other.node != base.node && other.member() == member)
        };
        if decides(&members, is_follower) {
            return Err(refused(format!(
                "node {} knows an older set of members, of which it and other survivors are a \
                 majority without node {}, whose log they are to follow",
                one.node, base.node
            ))
            .hint(format!(
                "leave node {} out: it can come in anew with an empty directory",
                one.node
            )));
        }
    }
    Ok(())
}

/// The kept ones as voters, at the addresses that are known of them.
fn seats(members: &Configuration, kept: &[&Survivor]) -> Result<Vec<SeatObject>, CliError> {
    let seat = |one: &&Survivor| {
        let own = one.configuration();
        let known = |members: &Configuration| {
            let found = members.seat(one.member());
            found.or(members.seats().iter().find(|seat| seat.id == one.member().id)).cloned()
        };
        let address = known(members).or_else(|| known(&own)).map(|seat| seat.address);
        let address = address.ok_or_else(|| {
            refused(format!("node {} is no member, as far as the logs tell", one.node))
                .hint("leave it out: it can come in anew with an empty directory")
        })?;
        Ok(SeatObject {
            id: one.node,
            incarnation: Some(one.incarnation.clone()),
            standing: "voter".to_owned(),
            address,
        })
    };
    kept.iter().map(seat).collect()
}

impl Plan {
    /// What a file of a plan holds, and a directory keeps.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("texts and numbers have a JSON form");
        bytes.push(b'\n');
        bytes
    }

    /// The name of the plan: 16 hexadecimal digits.
    pub(super) fn hash(&self) -> String {
        format!("{:016x}", Hash128::new().bytes(&self.bytes()).finish() as u64)
    }

    /// Reads what [`Plan::bytes`] made.
    pub(super) fn read(bytes: &[u8]) -> Option<Plan> {
        serde_json::from_slice(bytes).ok().filter(Plan::is_sound)
    }

    fn is_sound(&self) -> bool {
        let places = self.survivors.iter().map(|kept| kept.last).chain([self.last]);
        let mut numbers = vec![self.epoch, self.term];
        numbers.extend(places.flat_map(|place| [place.term, place.index]));
        self.v == VERSION
            && numbers.into_iter().all(survivor::is_counter)
            && self.epoch > self.epoch_before
            && self.survivors.iter().all(|kept| self.term > kept.last.term)
            && self.survivors.iter().any(|kept| kept.node == self.base && kept.last == self.last)
            && self
                .survivors
                .iter()
                .all(|kept| survivor::member(kept.node, &kept.incarnation).is_some())
            && survivor::cluster(&self.cluster).is_some()
            && survivor::configuration(&self.seats).is_some()
    }

    /// What is to be done in the directory of `kept`.
    pub(super) fn order(&self, kept: &Kept, seed: u64) -> NewEpoch {
        let sound = "it was looked at where it came in";
        NewEpoch {
            member: survivor::member(kept.node, &kept.incarnation).expect(sound),
            cluster: survivor::cluster(&self.cluster).expect(sound),
            from: Epoch(self.epoch_before),
            to: Epoch(self.epoch),
            last: kept.last.into(),
            term: Term(self.term),
            first: (kept.node == self.base).then(|| self.first_entry()),
            record: self.bytes(),
            seed,
        }
    }

    fn first_entry(&self) -> Batch {
        let members = survivor::configuration(&self.seats);
        let mut payload = Vec::new();
        members.expect("it was looked at where it came in").encode(&mut payload);
        let id = LogId::new(Term(self.term), Index(self.last.index + 1));
        let time = LogTime(self.last_time_nanoseconds);
        let mut builder = BatchBuilder::default();
        builder.push(EntryHeader { kind: EntryKind::CONFIGURATION, id, time }, &payload);
        builder.take().expect("there is an entry in it")
    }
}

#[cfg(test)]
mod tests;
