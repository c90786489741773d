//! What real time demands of the indexes: whatever is called after something has returned stands
//! behind it.
//!
//! A stale read may stand as low as it likes; but what it has shown was there, and whatever is
//! called behind it, stale reads aside, stands no lower.

use super::changes::{Changed, Done, Seen};
use super::history::History;
use super::{Check, Verdict};

/// What stands at an index, and when.
#[derive(Clone, Copy, Debug)]
struct Stand {
    called_us: u64,
    ended_us: u64,
    index: u64,
    is_change: bool,
    is_stale: bool,
    place: usize,
}

/// Everything that an answer puts at an index.
pub(super) struct Stands {
    all: Vec<Stand>,
    /// By the time of the return: the highest index until then, and the call that tells of it.
    floors: Vec<(u64, u64, usize)>,
    /// By the time of the call: the highest index that something can have that returned before.
    ceilings: Vec<(u64, u64)>,
}

impl Stands {
    pub(super) fn new(changes: &[Changed], reads: &[Seen]) -> Stands {
        let of_change = |changed: &Changed| {
            let Done { ended_us, at, .. } = changed.done?;
            let (called_us, place) = (changed.called_us, changed.place);
            let (index, is_change, is_stale) = (at?.index.0, true, false);
            Some(Stand { called_us, ended_us, index, is_change, is_stale, place })
        };
        let of_read = |seen: &Seen| Stand {
            called_us: seen.called_us,
            ended_us: seen.ended_us,
            index: seen.index.0,
            is_change: false,
            is_stale: !seen.is_fresh,
            place: seen.place,
        };
        let all: Vec<Stand> =
            changes.iter().filter_map(of_change).chain(reads.iter().map(of_read)).collect();
        let mut floors: Vec<(u64, u64, usize)> =
            all.iter().map(|stand| (stand.ended_us, stand.index, stand.place)).collect();
        floors.sort_unstable();
        let mut highest = (0, 0);
        for (_, index, place) in &mut floors {
            highest = highest.max((*index, *place));
            (*index, *place) = highest;
        }
        let ceiling = |stand: &Stand| {
            (stand.called_us, stand.index.saturating_sub(u64::from(stand.is_change)))
        };
        let fresh = all.iter().filter(|stand| !stand.is_stale);
        let mut ceilings: Vec<(u64, u64)> = fresh.map(ceiling).collect();
        ceilings.sort_unstable();
        let mut lowest = u64::MAX;
        for (_, index) in ceilings.iter_mut().rev() {
            lowest = lowest.min(*index);
            *index = lowest;
        }
        Stands { all, floors, ceilings }
    }

    /// The highest index that something had which had returned before this time, 0 for none.
    pub(super) fn floor(&self, called_us: u64) -> u64 {
        self.highest(called_us).map_or(0, |(index, _)| index)
    }

    fn highest(&self, called_us: u64) -> Option<(u64, usize)> {
        let count = self.floors.partition_point(|(ended_us, ..)| *ended_us < called_us);
        let (_, index, place) = self.floors.get(count.checked_sub(1)?)?;
        Some((*index, *place))
    }

    /// The highest index that a change can have which had returned at this time.
    pub(super) fn ceiling(&self, ended_us: u64) -> u64 {
        let count = self.ceilings.partition_point(|(called_us, _)| *called_us <= ended_us);
        self.ceilings.get(count).map_or(u64::MAX, |(_, index)| *index)
    }

    /// Whether what was called after another had returned stands behind it.
    pub(super) fn check(&self, history: &History, verdict: &mut Verdict) {
        for stand in self.all.iter().filter(|stand| !stand.is_stale) {
            let Some((floor, other)) = self.highest(stand.called_us) else { continue };
            if stand.index < floor || stand.is_change && stand.index == floor {
                let text = "what was called later stands at a lower index";
                verdict.found(history, Check::Indexes, None, text, &[other, stand.place]);
            }
        }
    }
}
