//! The ledgers of all nodes: one for each life of a node, since who has lost its directory comes back
//! as another member under the same number.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

use raft_node::model::{LogId, Member};

use super::ledger::Ledger;

/// The ledgers of all machines, and of the lives that are over.
#[derive(Debug, Default)]
pub(crate) struct Ledgers {
    /// By machine: of the life whose directory it has now, and who that is. It isn't known before
    /// the first start with that directory.
    now: Vec<(Option<Member>, Ledger)>,
    past: BTreeMap<Member, Ledger>,
}

impl Ledgers {
    pub(crate) fn new(machines: usize) -> Ledgers {
        let now = (0..machines).map(|_| (None, Ledger::default())).collect();
        Ledgers { now, past: BTreeMap::new() }
    }

    /// A process begins on this machine, with the directory of this member.
    pub(crate) fn begins(&mut self, machine: usize, member: Member) {
        self.now[machine].0 = Some(member);
    }

    /// The directory of this machine is lost, and with it the life of the node.
    pub(crate) fn is_over(&mut self, machine: usize) {
        let (member, ledger) = std::mem::take(&mut self.now[machine]);
        if let Some(member) = member {
            self.past.insert(member, ledger);
        }
    }

    /// The machine has the directory of another one from now on.
    pub(crate) fn forget(&mut self, machine: usize) {
        self.now[machine] = (None, Ledger::default());
    }

    /// Who has its directory on this machine.
    pub(crate) fn member(&self, machine: usize) -> Option<Member> {
        self.now[machine].0
    }

    /// Whether the directory of this member is lost.
    pub(crate) fn is_past(&self, member: Member) -> bool {
        self.past.contains_key(&member)
    }

    /// What this member has, or had until it was lost.
    pub(crate) fn of(&self, member: Member) -> Option<&Ledger> {
        // A copy runs behind the original.
        let mut now = self.now.iter().filter(|(one, _)| *one == Some(member));
        now.next().map(|(_, ledger)| ledger).or_else(|| self.past.get(&member))
    }

    /// Where each log ends.
    pub(crate) fn ends(&self) -> Vec<LogId> {
        self.now.iter().map(|(_, ledger)| ledger.last()).collect()
    }
}

impl Index<usize> for Ledgers {
    type Output = Ledger;

    fn index(&self, machine: usize) -> &Ledger {
        &self.now[machine].1
    }
}

impl IndexMut<usize> for Ledgers {
    fn index_mut(&mut self, machine: usize) -> &mut Ledger {
        &mut self.now[machine].1
    }
}
