//! Which connections lead to which member, and which of them is spoken on.

use std::collections::BTreeMap;

use super::connection::ConnectionId;
use crate::model::{Boot, Member};

/// The connections to the members of the own cluster. Each member calls each other one, so there
/// may be two; the one whose hello came last is spoken on, and all are listened to.
#[derive(Debug, Default)]
pub(crate) struct Links {
    members: BTreeMap<Member, Vec<Link>>,
}

/// One connection to a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub(crate) connection: ConnectionId,
    /// Whether this node has called the member on it.
    pub(crate) is_called: bool,
    /// How often the member's directory was started, as its hello said.
    pub(crate) boot: Boot,
    /// Where it is reached, as its hello said.
    pub(crate) address: String,
    /// The highest feature level that it supports, as its hello said.
    pub(crate) supports: u32,
}

impl Links {
    /// There is a new connection; it takes the place of an earlier one of the same direction,
    /// which is given back to be closed, and of those of an earlier start.
    pub(crate) fn add(&mut self, member: Member, link: Link) -> Vec<ConnectionId> {
        let links = self.members.entry(member).or_default();
        let replaced = |other: &Link| other.is_called == link.is_called || other.boot < link.boot;
        let old = links.extract_if(.., |other| replaced(other)).map(|old| old.connection).collect();
        links.push(link);
        old
    }

    /// A connection is gone. Tells whether it was the one that is spoken on, and which one is now.
    pub(crate) fn remove(
        &mut self,
        member: Member,
        connection: ConnectionId,
    ) -> Option<Option<Link>> {
        let links = self.members.get_mut(&member)?;
        let at = links.iter().position(|link| link.connection == connection)?;
        let was_spoken_on = at + 1 == links.len();
        links.remove(at);
        let next = links.last().cloned();
        if next.is_none() {
            self.members.remove(&member);
        }
        was_spoken_on.then_some(next)
    }

    /// All connections to a member.
    pub(crate) fn all_to(&self, member: Member) -> impl Iterator<Item = ConnectionId> {
        self.members.get(&member).into_iter().flatten().map(|link| link.connection)
    }

    /// The connection on which this node speaks to a member.
    pub(crate) fn to(&self, member: Member) -> Option<ConnectionId> {
        self.members.get(&member)?.last().map(|link| link.connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Incarnation, NodeId};

    fn member() -> Member {
        Member { id: NodeId::new(2).unwrap(), incarnation: Incarnation(5) }
    }

    fn link(connection: usize, is_called: bool, boot: u64) -> Link {
        let connection = ConnectionId(connection);
        Link { connection, is_called, boot: Boot(boot), address: String::new(), supports: 1 }
    }

    #[test]
    fn the_newest_hello_wins_and_the_other_direction_stands_by() {
        let mut links = Links::default();
        assert_eq!(links.add(member(), link(1, true, 1)), []);
        assert_eq!(links.add(member(), link(2, false, 1)), []);
        assert_eq!(links.to(member()), Some(ConnectionId(2)));
        assert_eq!(links.add(member(), link(3, false, 1)), [ConnectionId(2)]);
        assert_eq!(links.remove(member(), ConnectionId(3)), Some(Some(link(1, true, 1))));
        assert_eq!(links.remove(member(), ConnectionId(1)), Some(None));
        assert_eq!(links.to(member()), None);
    }

    #[test]
    fn a_later_start_replaces_all_connections_of_the_earlier_one() {
        let mut links = Links::default();
        links.add(member(), link(1, true, 1));
        links.add(member(), link(2, false, 1));
        assert_eq!(links.add(member(), link(3, false, 2)), [ConnectionId(1), ConnectionId(2)]);
    }

    #[test]
    fn losing_the_one_that_stands_by_changes_nothing() {
        let mut links = Links::default();
        links.add(member(), link(1, true, 1));
        links.add(member(), link(2, false, 1));
        assert_eq!(links.remove(member(), ConnectionId(1)), None);
        assert_eq!(links.to(member()), Some(ConnectionId(2)));
    }
}
