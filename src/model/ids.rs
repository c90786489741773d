//! Names and numbers of the protocol, each a type of its own.

use std::fmt;
use std::num::NonZeroU16;
use std::ops::Add;

/// The number of a node, from 1: its position `N` in the `NodeN` lines of raft.ini.
///
/// An id names a place in the cluster. What votes and what is counted in a quorum is a
/// [`Member`], the id together with an [`Incarnation`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(NonZeroU16);

impl NodeId {
    /// The id `number`, or `None` for 0, which names no node.
    ///
    /// ```
    /// use raft_node::model::NodeId;
    /// assert_eq!(NodeId::new(3).unwrap().number(), 3);
    /// assert!(NodeId::new(0).is_none());
    /// ```
    #[must_use]
    pub const fn new(number: u16) -> Option<NodeId> {
        match NonZeroU16::new(number) {
            Some(number) => Some(NodeId(number)),
            None => None,
        }
    }

    /// The number, at least 1.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// Declares a newtype over 128 random bits, shown as 32 hexadecimal digits.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
    };
}

random_id! {
    /// Which cluster: 128 random bits, drawn once by the founder.
    ClusterId
}

random_id! {
    /// Which life of a node id: 128 random bits, drawn when a data directory is formatted.
    ///
    /// A disk that was wiped comes back with another incarnation, so that promises that the
    /// old one gave are never taken for the new one's.
    Incarnation
}

/// Declares a newtype over `u64` that counts upward from 0.
macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// The number before the first one.
            pub const ZERO: $name = $name(0);

            /// The number after this one.
            ///
            /// # Panics
            ///
            /// At `u64::MAX`, which no counter of a living cluster reaches; numbers from
            /// outside are bounded where they are read.
            #[must_use]
            pub const fn next(self) -> $name {
                match self.0.checked_add(1) {
                    Some(next) => $name(next),
                    None => panic!("counter exhausted"),
                }
            }

            /// The number before this one; 0 stays 0.
            #[must_use]
            pub const fn previous(self) -> $name {
                $name(self.0.saturating_sub(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// A term of leadership (paper, section 5.1). 0 is before the first election.
    Term
}

counter! {
    /// The position of an entry in the log. The first entry has index 1; 0 is before it.
    Index
}

counter! {
    /// The number of a write handed to the log thread. Completion is cumulative: when one is
    /// durable, so are all before it.
    WriteSeq
}

counter! {
    /// The number of a round of heartbeats, by which a leader proves that it still leads.
    Round
}

counter! {
    /// How often a data directory was started, raised durably before the first message.
    Boot
}

counter! {
    /// Which generation of a cluster: raised only when a lost quorum is given up by hand.
    Epoch
}

counter! {
    /// A number drawn at random at each start. Two of them under one [`Boot`] betray a clone.
    StartNumber
}

impl Add<u64> for Index {
    type Output = Index;

    fn add(self, entries: u64) -> Index {
        Index(self.0 + entries)
    }
}

/// The name of an entry: where it stands and in which term it was made.
///
/// The order of the fields is the order of comparison: first the term, then the index. That is
/// the rule by which a voter decides whose log is more up-to-date (paper, section 5.4.1).
///
/// ```
/// use raft_node::model::{Index, LogId, Term};
/// let long = LogId::new(Term(2), Index(90));
/// let new = LogId::new(Term(3), Index(7));
/// assert!(new > long);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogId {
    /// The term in which a leader made the entry.
    pub term: Term,
    /// The entry's position.
    pub index: Index,
}

impl LogId {
    /// The place before the first entry of any log.
    pub const ORIGIN: LogId = LogId { term: Term::ZERO, index: Index::ZERO };

    /// The name of the entry of `term` at `index`.
    #[must_use]
    pub const fn new(term: Term, index: Index) -> LogId {
        LogId { term, index }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// Who takes part: a node id in one of its lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The place in the cluster.
    pub id: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)
    }
}
