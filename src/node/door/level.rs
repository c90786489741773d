//! What is known of a member's durable state, and whether it still has that.

use super::{Refused, refuse};
use crate::model::{Boot, Index, Member, Term};
use crate::wire::{HelloRefusal, Party};

/// What was told of a member's log, and under which boot.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Level {
    /// The latest term in which it acknowledged anything.
    pub(super) term: Term,
    /// What it acknowledged in that term.
    pub(super) matched: Index,
    /// What it acknowledged and a leader of the same term had committed, in any term: that is
    /// never lawfully lost.
    pub(super) floor: Index,
    pub(super) boot: Boot,
}

impl Level {
    /// Whether the member still has this.
    pub(super) fn judge(&self, member: Member, party: &Party) -> Result<(), Refused> {
        let last = party.last.index;
        let lost = if party.boot < self.boot {
            Some(format!("it was started {} times, and says {}", self.boot, party.boot))
        } else if self.matched == Index::ZERO {
            None
        } else if party.term < self.term {
            Some(format!("it was in term {}, and says {}", self.term, party.term))
        } else if party.term == self.term && last < self.matched {
            Some(format!("it held entry {} durably, and its log ends at {last}", self.matched))
        } else if last < self.floor {
            Some(format!(
                "it held entry {}, which is committed, and its log ends at {last}",
                self.floor
            ))
        } else {
            None
        };
        let Some(lost) = lost else { return Ok(()) };
        let text = format!(
            "node {} has lost durable state: {lost}. An older copy of its directory was put \
             back. Stop it and put the latest one back, if there is one",
            member.id
        );
        Err(refuse(HelloRefusal::REGRESSED, text))
    }
}
