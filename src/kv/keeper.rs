//! Comparing what the replicas report at points.

use std::collections::{BTreeMap, VecDeque};

use super::PointReport;
use crate::model::{Configuration, Index, Member, Seat, Standing};

/// How many points are kept of each member.
pub const KEPT_POINTS: usize = 64;

/// The last [`KEPT_POINTS`] reports of each member, and what they say about it.
///
/// It tells who differs; it doesn't act.
#[derive(Clone, Debug, Default)]
pub struct PointKeeper {
    reports: BTreeMap<Member, VecDeque<PointReport>>,
}

/// What the reports at one point say about a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Too little was reported to tell, and nothing that was contradicts it.
    Undecided,
    /// It has the state that a majority has.
    Agrees,
    /// A majority has this other state.
    Differs {
        /// The hash that the majority reports.
        majority: u128,
    },
    /// There are several states and none has a majority: nobody can be told to be wrong, and
    /// the cluster isn't healthy.
    Disputed,
}

impl PointKeeper {
    /// Takes in what `member`, maybe this node itself, reports of a point that is committed. A
    /// report of the same point as its last one takes that one's place; one of an earlier point
    /// is dropped.
    pub fn hear(&mut self, member: Member, report: PointReport) {
        let reports = self.reports.entry(member).or_default();
        match reports.back_mut() {
            Some(last) if last.index == report.index => *last = report,
            Some(last) if last.index > report.index => {}
            _ => {
                if reports.len() == KEPT_POINTS {
                    reports.pop_front();
                }
                reports.push_back(report);
            }
        }
    }

    /// Forgets what `member` reported: its state was replaced, or it left.
    pub fn forget(&mut self, member: Member) {
        self.reports.remove(&member);
    }

    /// What `member` reported at `index`.
    #[must_use]
    pub fn report(&self, member: Member, index: Index) -> Option<u128> {
        let reports = self.reports.get(&member)?;
        let at = reports.binary_search_by_key(&index, |report| report.index).ok()?;
        Some(reports[at].hash)
    }

    /// What the reports say about `member` at `index`, counted by the voters of `configuration`;
    /// while it is joint, a majority of each set is needed. It may change when others report.
    #[must_use]
    pub fn verdict(&self, member: Member, index: Index, configuration: &Configuration) -> Verdict {
        let Some(own) = self.report(member, index) else { return Verdict::Undecided };
        let hashes: Vec<u128> =
            self.reports.keys().filter_map(|&other| self.report(other, index)).collect();
        match hashes.iter().find(|&&hash| self.has_majority(hash, index, configuration)) {
            Some(&majority) if majority == own => Verdict::Agrees,
            Some(&majority) => Verdict::Differs { majority },
            None if hashes.iter().all(|&hash| hash == own) => Verdict::Undecided,
            None => Verdict::Disputed,
        }
    }

    fn has_majority(&self, hash: u128, index: Index, configuration: &Configuration) -> bool {
        let reports_it = |seat: &Seat| {
            seat.member().is_some_and(|member| self.report(member, index) == Some(hash))
        };
        [Standing::votes_in_outgoing, Standing::votes_in_incoming].into_iter().all(|votes| {
            let voters = || configuration.seats().iter().filter(|seat| votes(seat.standing));
            2 * voters().filter(|seat| reports_it(seat)).count() > voters().count()
        })
    }
}
