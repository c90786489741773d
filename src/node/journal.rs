//! The log's lines: one for each event, with the role and the term; repeated ones are counted.

mod snapshots;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use log::{Level, debug, error, info, log, warn};

use super::driver::Notice;
use crate::model::{Configuration, Member, NodeId, Term, Time};
use crate::raft::{Event, RoleKind};
use crate::wire::Awaited;

/// The same line is written at most once in this time.
const REPEAT: Duration = Duration::from_secs(10);

/// For how many different lines it is remembered when they were written.
const KEPT: usize = 256;

/// Writes the lines.
#[derive(Debug)]
pub(crate) struct Journal {
    term: Term,
    role: &'static str,
    repeats: Repeats,
    waits: Vec<Awaited>,
    waits_told: Option<Time>,
}

impl Journal {
    pub(crate) fn new() -> Journal {
        Journal {
            term: Term::ZERO,
            role: "forming",
            repeats: Repeats::default(),
            waits: Vec::new(),
            waits_told: None,
        }
    }

    /// The node is part of a cluster and begins to follow.
    pub(crate) fn follows(&mut self, term: Term) {
        self.term = term;
        self.role = "follower";
    }

    /// The node repairs its log before it takes part.
    pub(crate) fn repairs(&mut self, term: Term) {
        self.term = term;
        self.role = "repairing";
    }

    pub(crate) fn info(&self, event: &str, detail: &str) {
        info!(term = self.term.0, role = self.role, detail = detail; "{event}");
    }

    pub(crate) fn error(&self, event: &str, detail: &str) {
        error!(term = self.term.0, role = self.role, detail = detail; "{event}");
    }

    pub(crate) fn listening(&self, address: SocketAddr) {
        let address = address.to_string();
        info!(term = self.term.0, role = self.role, address = address.as_str(); "listening");
    }

    /// What the driver tells.
    pub(crate) fn notice(&mut self, now: Time, notice: &Notice) {
        let (term, role) = (self.term.0, self.role);
        match notice {
            Notice::Core(event) => self.core(now, event),
            Notice::SlowSync(took) => {
                if let Some(more) = self.repeats.allow(now, "slow_sync", "") {
                    let took = took.as_secs_f64();
                    warn!(term = term, role = role, took_seconds = took, repeated = more; "slow_sync");
                }
            }
            Notice::DiskWaits(age) => {
                let age = age.as_secs_f64();
                warn!(term = term, role = role, since_seconds = age; "disk_waits");
            }
            Notice::DiskFull(text) => self.error("disk_full", text),
            Notice::DiskHasRoom => self.info("disk_has_room", "writes go on"),
            Notice::NoSpare(text) => {
                if let Some(more) = self.repeats.allow(now, "no_spare", "") {
                    warn!(
                        term = term, role = role, reason = text.as_str(), repeated = more;
                        "no_spare"
                    );
                }
            }
            Notice::Settings => self.info("settings_changed", "by an entry"),
            Notice::FeatureLevel(level) => {
                info!(term = term, role = role, level = *level; "feature_level");
            }
            Notice::CaughtUp { entries } => {
                info!(term = term, role = role, entries = *entries; "caught_up");
            }
            Notice::Disputed(report) => {
                if let Some(more) = self.repeats.allow(now, "state_disputed", "") {
                    let (index, hash) = (report.index.0, format!("{:032x}", report.hash));
                    error!(
                        term = term, role = role, index = index, own_hash = hash.as_str(),
                        repeated = more;
                        "state_disputed"
                    );
                }
            }
            Notice::SnapshotSaved { .. }
            | Notice::NoRoomForSnapshot { .. }
            | Notice::NoRoomForPiece(_)
            | Notice::SnapshotBad { .. }
            | Notice::Compacted { .. } => self.snapshot_notice(now, notice),
        }
    }

    /// A connection has ended, or couldn't be made.
    pub(crate) fn dropped(
        &mut self,
        level: Level,
        now: Time,
        remote: Option<SocketAddr>,
        node: Option<NodeId>,
        reason: &str,
    ) {
        // A stranger's port is another one each time.
        let who = match (node, remote) {
            (Some(node), _) => format!("node {node}"),
            (None, Some(remote)) => remote.ip().to_string(),
            (None, None) => String::new(),
        };
        let Some(more) = self.repeats.allow(now, "connection_dropped", &format!("{who} {reason}"))
        else {
            return;
        };
        let (term, role) = (self.term.0, self.role);
        let from = remote.map(|remote| remote.to_string()).unwrap_or(who);
        let node = node.map_or(0, NodeId::number);
        log!(
            level, term = term, role = role, peer = node, address = from.as_str(), reason = reason,
            repeated = more;
            "connection_dropped"
        );
    }

    /// The process didn't run for a while.
    pub(crate) fn was_away(&mut self, now: Time, passed: Duration) {
        if let Some(more) = self.repeats.allow(now, "was_away", "") {
            let passed = passed.as_secs_f64();
            warn!(
                term = self.term.0, role = self.role, seconds = passed, repeated = more;
                "was_away"
            );
        }
    }

    /// A client has gone, as clients do.
    pub(crate) fn client_gone(&self, remote: SocketAddr, reason: &str) {
        let remote = remote.to_string();
        debug!(
            term = self.term.0, role = self.role, address = remote.as_str(), reason = reason;
            "client_gone"
        );
    }

    pub(crate) fn connected(&self, member: Member, remote: SocketAddr, is_called: bool) {
        let remote = remote.to_string();
        let direction = if is_called { "called" } else { "accepted" };
        debug!(
            term = self.term.0, role = self.role, peer = member.id.number(),
            address = remote.as_str(), direction = direction;
            "connected"
        );
    }

    /// For whom a node waits that isn't part of a cluster: told when it changes and every ten
    /// seconds.
    pub(crate) fn waits(&mut self, now: Time, waits: Vec<Awaited>, joins: bool) {
        let is_due = self.waits_told.is_none_or(|told| told + REPEAT <= now);
        if !is_due && self.waits == waits {
            return;
        }
        self.waits_told = Some(now);
        let missing =
            |node: &Awaited| format!("node {} at {}: {}", node.id, node.address, node.why);
        let missing: Vec<String> = waits.iter().map(missing).collect();
        let missing = match missing.is_empty() {
            true if joins => "a cluster that takes this node in: `raft-ctl members add`".to_owned(),
            true => "the lowest node that is there, to found the cluster".to_owned(),
            false => missing.join("; "),
        };
        self.info(if joins { "waiting_to_join" } else { "waiting_to_form" }, &missing);
        self.waits = waits;
    }

    /// When the wait is to be told again.
    pub(crate) fn waits_deadline(&self) -> Option<Time> {
        self.waits_told.map(|told| told + REPEAT)
    }

    fn core(&mut self, now: Time, event: &Event) {
        match event {
            Event::Role { role, term, reason } => {
                self.role = role_name(*role);
                self.term = *term;
                let reason = *reason;
                info!(term = term.0, role = self.role, reason = reason; "role");
            }
            Event::Leader { leader, term } => {
                self.term = *term;
                let leader = leader.map_or(0, |leader| leader.id.number());
                match leader {
                    0 => info!(term = term.0, role = self.role; "leader_lost"),
                    leader => info!(term = term.0, role = self.role, leader = leader; "leader"),
                }
            }
            Event::Voted { candidate, term } => {
                let candidate = candidate.id.number();
                info!(term = term.0, role = self.role, candidate = candidate; "voted");
            }
            Event::Replaced { keep, dropped } => {
                let (keep, dropped) = (keep.0, dropped.0);
                warn!(
                    term = self.term.0, role = self.role, keep = keep, dropped = dropped;
                    "log_end_replaced"
                );
            }
            Event::Configuration { index, configuration } => {
                let members = describe(configuration);
                info!(
                    term = self.term.0, role = self.role, index = index.0,
                    members = members.as_str();
                    "configuration"
                );
            }
            Event::Transfer { to, what } => {
                let (to, what) = (to.id.number(), *what);
                info!(term = self.term.0, role = self.role, to = to, what = what; "transfer");
            }
            Event::Behind { peer, base } => {
                let (peer, base) = (peer.id.number(), base.index.0);
                warn!(
                    term = self.term.0, role = self.role, peer = peer, log_begins_behind = base;
                    "member_too_far_behind"
                );
            }
            Event::Dropped { from, reason } => self.message_dropped(now, from.id, reason),
            Event::Sending { .. }
            | Event::Receiving { .. }
            | Event::Installed { .. }
            | Event::SnapshotLost(_) => self.snapshot_event(event),
        }
    }

    fn message_dropped(&mut self, now: Time, from: NodeId, reason: &str) {
        let from = from.number();
        if let Some(more) = self.repeats.allow(now, "message_dropped", &format!("{from} {reason}"))
        {
            debug!(
                term = self.term.0, role = self.role, peer = from, reason = reason,
                repeated = more;
                "message_dropped"
            );
        }
    }
}

const fn role_name(role: RoleKind) -> &'static str {
    match role {
        RoleKind::Follower => "follower",
        RoleKind::PreCandidate => "pre_candidate",
        RoleKind::Candidate => "candidate",
        RoleKind::Leader => "leader",
    }
}

/// The members in a few words: `1 voter host:port, 2 vacant voter host:port`.
pub(crate) fn describe(configuration: &Configuration) -> String {
    let seats = configuration.seats().iter().map(|seat| {
        let vacant = if seat.incarnation.is_none() { "vacant " } else { "" };
        let standing = format!("{:?}", seat.standing).to_lowercase();
        format!("{} {vacant}{standing} {}", seat.id, seat.address)
    });
    seats.collect::<Vec<_>>().join(", ")
}

/// When lines were written, and how many were not since.
#[derive(Debug, Default)]
struct Repeats {
    lines: BTreeMap<(&'static str, String), (Time, u64)>,
}

impl Repeats {
    /// Whether a line may be written now; tells how many like it weren't since the last one.
    fn allow(&mut self, now: Time, event: &'static str, key: &str) -> Option<u64> {
        let key = (event, key.to_owned());
        if let Some((written, count)) = self.lines.get_mut(&key) {
            if *written + REPEAT > now {
                *count += 1;
                return None;
            }
            *written = now;
            return Some(std::mem::take(count));
        }
        if self.lines.len() >= KEPT {
            self.lines.retain(|_, (written, _)| *written + REPEAT > now);
        }
        if self.lines.len() >= KEPT {
            return None;
        }
        self.lines.insert(key, (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_repeats_is_counted_and_written_again_in_a_while() {
        let mut repeats = Repeats::default();
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        assert_eq!(repeats.allow(at(0), "dropped", "a"), Some(0));
        assert_eq!(repeats.allow(at(1), "dropped", "a"), None);
        assert_eq!(repeats.allow(at(2), "dropped", "b"), Some(0));
        assert_eq!(repeats.allow(at(9), "dropped", "a"), None);
        assert_eq!(repeats.allow(at(11), "dropped", "a"), Some(2));
    }

    #[test]
    fn lines_that_are_all_different_are_bounded_too() {
        let mut repeats = Repeats::default();
        let written = (0..1000)
            .filter(|number| repeats.allow(Time::ZERO, "dropped", &number.to_string()).is_some());
        assert_eq!(written.count(), KEPT);
    }
}
