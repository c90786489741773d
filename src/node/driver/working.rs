//! What the driver does of its own accord in a turn: apply, answer, propose points, hand out
//! work; and what it watches over.

use std::time::Duration;

use bytes::BytesMut;

use super::applying::Next;
use super::files::Reader;
use super::log::{Finished, SLOW_SYNC, STILL};
use super::points::is_change;
use super::proposals::Outcome;
use super::{Asked, Driver, DriverOutput, Halt, Notice};
use crate::kv::{Applied, FEATURE_LEVEL, FeatureLevel, PointReport, Verdict};
use crate::model::{Batch, EntryKind, EntryRef, Index, Member, Time};
use crate::raft::Input;
use crate::storage::{FileReport, LogReport};
use crate::wire::{RefusalCode, encode_point_report};

/// The most entries that are applied in one turn. While a snapshot is taken of ten million keys an
/// entry can take 8 microseconds, for the nodes of the tree that it is the first to change are
/// copied; a turn is to stay within 5 ms even so.
const APPLY_ENTRIES: usize = 512;

/// The most bytes of entries that are applied in one turn, beyond one piece.
const APPLY_BYTES: usize = 4 << 20;

/// The most queries that are answered in one turn.
const ANSWERS: usize = 4096;

/// The most bytes of answers to queries that are made in one turn, beyond one answer.
const ANSWER_BYTES: usize = 4 << 20;

/// A disk that hasn't finished an operation for so long is worth a line of the log.
const WAITS: Duration = Duration::from_secs(1);

/// How often it is looked whether somebody came whose seat is vacant.
const ARRIVALS: Duration = Duration::from_secs(1);

/// What is left of a turn's budgets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    apply_entries: usize,
    apply_bytes: usize,
    answers: usize,
    answer_bytes: usize,
}

/// What is looked after as time passes.
#[derive(Debug)]
pub(super) struct Watch {
    /// How often the core is told that the disk has work.
    disk_interval: Duration,
    disk_at: Option<Time>,
    /// Whether a person was told that the disk stands still.
    told_of_disk: bool,
    told_of_full: bool,
    /// Whether a person was told that the file thread stands still.
    told_of_files: bool,
    arrivals_at: Option<Time>,
    /// The point at which the replicas differ, and none has a majority.
    pub(super) disputed: Option<Index>,
    /// The last entry at the start: when it is applied, the node has caught up with itself.
    last_at_start: Index,
    first_applied: Option<Index>,
}

impl Watch {
    pub(super) fn new(election_timeout: Duration, last_at_start: Index) -> Watch {
        Watch {
            disk_interval: (election_timeout / 4).min(SLOW_SYNC),
            disk_at: None,
            told_of_disk: false,
            told_of_full: false,
            told_of_files: false,
            arrivals_at: None,
            disputed: None,
            last_at_start,
            first_applied: None,
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.disk_at.into_iter().chain(self.arrivals_at).min()
    }

    /// Somebody may have come whose seat is vacant.
    pub(super) fn look_for_arrivals(&mut self) {
        self.arrivals_at = Some(Time::ZERO);
    }

    pub(super) fn look_for_arrivals_later(&mut self, now: Time) {
        self.arrivals_at = Some(now + ARRIVALS);
    }
}

impl Driver {
    pub(super) fn tick(&mut self) {
        self.budget = Budget {
            apply_entries: APPLY_ENTRIES,
            apply_bytes: APPLY_BYTES,
            answers: ANSWERS,
            answer_bytes: ANSWER_BYTES,
        };
        self.core(Input::Tick);
        self.expire();
        self.watch_disk();
        self.watch_files();
        self.look_for_arrivals();
        self.go_on_stopping();
        if self.leads.is_some() {
            self.look_whether_snapshot_is_due();
            let (machine, raft) = (&self.machine, &self.raft);
            let due = || machine.due().is_some_and(|due| due <= raft.log_time());
            let point = self.points.propose(self.now, due);
            if let Some(point) = point {
                self.propose_point(point);
            }
        }
    }

    /// Does the next thing that is worth doing in this turn, if there is one.
    pub(super) fn work(&mut self) -> bool {
        if let Some(number) = self.reads.close_group() {
            self.core(Input::Read(Asked::Read(number).token()));
            return true;
        }
        if self.apply_some() || self.answer_some() {
            return true;
        }
        if let Some(work) = self.log.next_work(self.now) {
            self.watch.disk_at = Some(self.now + self.watch.disk_interval);
            self.outputs.push_back(DriverOutput::Log(work));
            return true;
        }
        self.make_what_is_durable();
        if let Some(work) = self.files.next_work(self.now) {
            self.outputs.push_back(DriverOutput::File(work));
            return true;
        }
        if let Some((peer, frames)) = self.peers.take_urgent() {
            self.outputs.push_back(DriverOutput::ToPeer { peer, frames });
            return true;
        }
        if let Some((client, replies)) = self.clients.take_replies() {
            self.outputs.push_back(DriverOutput::ToClient { client, replies });
            return true;
        }
        false
    }

    /// Whether something is left that this turn's budgets didn't allow for.
    pub(super) fn has_work_left(&self) -> bool {
        self.applying.has_entries(&self.recent) || self.reads.has_answerable()
    }

    fn apply_some(&mut self) -> bool {
        let before = self.applying.applied();
        while self.budget.apply_bytes > 0 {
            match self.applying.next(&self.recent, self.budget.apply_entries) {
                Next::Entries(piece) => {
                    if !self.apply(&piece) {
                        return false;
                    }
                }
                Next::OnDisk(work) => self.files.read(work),
                Next::Nothing => break,
            }
        }
        let applied = self.applying.applied();
        if applied == before {
            return false;
        }
        self.core(Input::Applied(applied));
        self.reads.applied(applied);
        self.tell_when_caught_up(before, applied);
        true
    }

    /// Applies the entries of a piece. Says whether the node can go on.
    fn apply(&mut self, piece: &Batch) -> bool {
        for entry in piece.iter() {
            if let Err(halt) = self.apply_entry(entry) {
                self.budget.apply_bytes = 0;
                self.halt(halt);
                return false;
            }
        }
        let budget = &mut self.budget;
        budget.apply_entries = budget.apply_entries.saturating_sub(piece.len());
        budget.apply_bytes = budget.apply_bytes.saturating_sub(piece.bytes_len());
        true
    }

    fn apply_entry(&mut self, entry: EntryRef<'_>) -> Result<(), Halt> {
        let id = entry.id();
        self.scratch.clear();
        let applied = self.machine.apply(entry, &mut self.scratch);
        let applied = applied.map_err(|error| Halt::Newer(error.to_string()))?;
        self.applying.applied_to(id.index);
        self.points.applied(entry.kind(), self.now);
        let time = self.machine.log_time();
        self.snapshots.applied(entry.bytes().len(), is_change(entry.kind()), time);
        match self.proposals.applied(id) {
            Some(Outcome::Applied(waiter)) if entry.kind() == EntryKind::CONFIGURATION => {
                self.members_are(waiter, id.index);
            }
            Some(Outcome::Applied(waiter)) => match applied {
                Applied::Answered { id } => self.done(waiter, id),
                _ => self.done(waiter, id),
            },
            Some(Outcome::Replaced(waiter)) => {
                let text = "another leader's entry took its place";
                self.refuse_with(waiter.client, waiter.request, RefusalCode::LeadershipLost, text);
            }
            None => {}
        }
        match applied {
            Applied::Point { report, snapshot } => {
                self.reached_point(report);
                if snapshot {
                    self.reached_snapshot_point(id, time);
                }
            }
            Applied::Settings => self.notice(Notice::Settings),
            Applied::FeatureLevel(level) => self.notice(Notice::FeatureLevel(level)),
            Applied::Nothing | Applied::Answered { .. } => {}
        }
        Ok(())
    }

    fn tell_when_caught_up(&mut self, before: Index, applied: Index) {
        let first = *self.watch.first_applied.get_or_insert(before);
        let goal = self.watch.last_at_start;
        if goal > Index(1) && before < goal && goal <= applied {
            self.notice(Notice::CaughtUp { entries: applied.0 - first.0 });
        }
    }

    fn answer_some(&mut self) -> bool {
        let mut answered = false;
        while self.budget.answers > 0
            && self.budget.answer_bytes > 0
            && let Some(ask) = self.reads.pop_answerable()
        {
            let bytes = self.answer(ask);
            self.budget.answers -= 1;
            self.budget.answer_bytes = self.budget.answer_bytes.saturating_sub(bytes);
            answered = true;
        }
        answered
    }

    pub(super) fn reached_point(&mut self, report: PointReport) {
        self.points.reached(self.about.me, report);
        let PointReport { index, hash } = report;
        self.peers.send_to_all(|out| encode_point_report(index, hash, out));
        self.judge(report.index);
    }

    pub(super) fn hear_report(&mut self, from: Member, report: PointReport) {
        self.points.hear(from, report);
        self.judge(report.index);
    }

    fn judge(&mut self, index: Index) {
        let (_, members) = self.raft.configuration();
        match self.points.verdict(self.about.me, index, members) {
            Verdict::Undecided => {}
            Verdict::Agrees => self.watch.disputed = None,
            Verdict::Disputed => {
                self.watch.disputed = Some(index);
                if let Some(report) = self.points.latest().filter(|report| report.index == index) {
                    self.notice(Notice::Disputed(report));
                }
            }
            Verdict::Differs { majority } => self.differ(index, majority),
        }
    }

    pub(super) fn log_done(&mut self, report: LogReport, took: Duration) {
        self.files.want_spares(report.spares_wanted);
        self.facts.log_done(&report);
        // Not the time in which the process didn't run.
        let took = self.log.busy_for(self.now).map_or(took, |age| age.min(took));
        if let Finished::Written(seq) = self.log.finished(self.now, report, took) {
            if took >= SLOW_SYNC {
                self.notice(Notice::SlowSync(took));
            }
            if self.watch.told_of_full {
                self.watch.told_of_full = false;
                self.notice(Notice::DiskHasRoom);
            }
            self.core(Input::Persisted(seq));
        }
        self.watch.told_of_disk = false;
        self.watch.disk_at = None;
    }

    pub(super) fn log_full(&mut self, text: String) {
        if let Some(seq) = self.log.found_full(self.now) {
            self.core(Input::VotePersisted(seq));
        }
        self.watch.disk_at = None;
        if !self.watch.told_of_full {
            self.watch.told_of_full = true;
            self.notice(Notice::DiskFull(text));
        }
    }

    pub(super) fn file_done(&mut self, report: FileReport) {
        self.watch.told_of_files = false;
        match report {
            FileReport::SpareReady => self.files.spare_done(true),
            FileReport::NoRoomForSpare(error) => {
                self.files.spare_done(false);
                self.notice(Notice::NoSpare(error.to_string()));
            }
            FileReport::Entries { ticket, batch } => match self.files.read_done(ticket).reader {
                Reader::Machine => self.applying.fetched(batch),
                Reader::Peer { peer, ticket } => {
                    let first = batch.first().index;
                    let bytes = self.peers.keep_read(peer, batch);
                    self.core(Input::LogRead { peer, ticket, first, bytes });
                }
                Reader::Borrower(borrower) => self.log_part_read(borrower, Some(&batch)),
            },
            FileReport::NotHeld { ticket } => {
                let work = self.files.read_done(ticket);
                if let Reader::Borrower(borrower) = work.reader {
                    self.log_part_read(borrower, None);
                } else if work.reader == Reader::Machine && work.first <= self.applying.applied() {
                    // The state was replaced meanwhile, and the log begins anew.
                    self.applying.not_fetched();
                } else if work.reader == Reader::Machine {
                    let first = work.first;
                    let text = format!("entry {first} is committed, but the log doesn't hold it");
                    self.halt(Halt::Corrupt(text));
                }
            }
            report => self.snapshot_work_done(report),
        }
    }

    fn watch_disk(&mut self) {
        let Some(age) = self.log.stuck_for(self.now) else { return };
        if self.watch.disk_at.is_some_and(|at| at > self.now) {
            return;
        }
        self.watch.disk_at = Some(self.now + self.watch.disk_interval);
        self.core(Input::DiskWaiting(age));
        let Some(age) = self.log.busy_for(self.now) else { return };
        if age >= STILL {
            self.halt(Halt::DiskStill(age));
        } else if age >= WAITS && !self.watch.told_of_disk {
            self.watch.told_of_disk = true;
            self.notice(Notice::DiskWaits(age));
        }
    }

    /// The file thread's work may take its time, but a disk from which nothing can be read is no
    /// better than one to which nothing can be written.
    fn watch_files(&mut self) {
        let Some(age) = self.files.busy_for(self.now) else { return };
        if age >= STILL && self.files.is_waited_for() {
            self.halt(Halt::DiskStill(age));
        } else if age >= WAITS && !self.watch.told_of_files {
            self.watch.told_of_files = true;
            self.notice(Notice::DiskWaits(age));
        }
    }

    /// When the file thread's work is to be looked at again.
    pub(super) fn files_deadline(&self) -> Option<Time> {
        match self.watch.told_of_files {
            false => self.files.busy_until(WAITS),
            true => self.files.busy_until(STILL).filter(|_| self.files.is_waited_for()),
        }
    }

    /// What a leader does when members have come: they may fill vacant seats, or all of them
    /// support more than the cluster uses.
    fn look_for_arrivals(&mut self) {
        if self.watch.arrivals_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.watch.arrivals_at = None;
        if self.leads.is_some() {
            self.receive_arrivals();
            self.raise_level();
        }
    }

    /// Raises the feature level to that of this program, once all voters support it.
    fn raise_level(&mut self) {
        if self.machine.feature_level() >= FEATURE_LEVEL {
            return;
        }
        let (_, configuration) = self.raft.configuration();
        let me = self.about.me;
        let supports = |member| member == me || self.peers.supports(member) >= Some(FEATURE_LEVEL);
        let mut voters = configuration.seats().iter().filter(|seat| seat.standing.votes());
        if voters.all(|seat| seat.member().is_some_and(supports)) {
            let mut payload = BytesMut::new();
            let version = env!("CARGO_PKG_VERSION");
            FeatureLevel { level: FEATURE_LEVEL, version }.encode(&mut payload);
            self.propose_own(EntryKind::FEATURE_LEVEL, payload);
        }
        // Until it is applied; the proposal may be lost.
        self.watch.look_for_arrivals_later(self.now);
    }
}
