//! Majorities, of one set of voters or of two while a configuration is joint (paper, section 6).

use crate::model::{Configuration, MAX_SEATS, Member};

/// The voters of a configuration, made for counting.
///
/// A vacant seat counts in the size of its set and can't be part of a majority. A set without
/// voters has no majority.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Voters {
    outgoing: Vec<Option<Member>>,
    /// Only while the configuration is joint.
    incoming: Option<Vec<Option<Member>>>,
}

/// How a vote stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tally {
    Won,
    Lost,
    Open,
}

impl Voters {
    pub(super) fn new(configuration: &Configuration) -> Voters {
        let set = |counts: fn(&crate::model::Seat) -> bool| -> Vec<Option<Member>> {
            let seats = configuration.seats().iter();
            seats.filter(|seat| counts(seat)).map(|seat| seat.member()).collect()
        };
        let outgoing = set(|seat| seat.standing.votes_in_outgoing());
        let incoming =
            configuration.is_joint().then(|| set(|seat| seat.standing.votes_in_incoming()));
        Voters { outgoing, incoming }
    }

    pub(super) fn contains(&self, member: Member) -> bool {
        self.sets().any(|set| set.contains(&Some(member)))
    }

    /// The highest level that a majority of each set has reached, where `level` tells that of
    /// one voter. `lowest` is the level of a vacant seat, and the answer of an empty set.
    pub(super) fn reached<L: Copy + Ord>(&self, lowest: L, level: impl Fn(Member) -> L) -> L {
        let reached = self.sets().map(|set| {
            let mut levels = [lowest; MAX_SEATS as usize];
            let levels = &mut levels[..set.len()];
            for (slot, voter) in levels.iter_mut().zip(set) {
                *slot = voter.map_or(lowest, &level);
            }
            levels.sort_unstable_by(|one, other| other.cmp(one));
            levels.get(set.len() / 2).copied().unwrap_or(lowest)
        });
        reached.min().unwrap_or(lowest)
    }

    /// Whether a majority of each set fulfils `holds`.
    pub(super) fn agree(&self, holds: impl Fn(Member) -> bool) -> bool {
        self.reached(false, holds)
    }

    /// How a vote stands, where `vote` tells what each voter answered, if it did.
    pub(super) fn tally(&self, vote: impl Fn(Member) -> Option<bool>) -> Tally {
        if self.agree(|voter| vote(voter) == Some(true)) {
            Tally::Won
        } else if self.agree(|voter| vote(voter) != Some(false)) {
            Tally::Open
        } else {
            Tally::Lost
        }
    }

    fn sets(&self) -> impl Iterator<Item = &Vec<Option<Member>>> {
        std::iter::once(&self.outgoing).chain(&self.incoming)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Incarnation, NodeId, Seat, Standing};

    fn seat(id: u16, vacant: bool, standing: Standing) -> Seat {
        let incarnation = (!vacant).then_some(Incarnation(u128::from(id)));
        Seat { id: NodeId::new(id).unwrap(), incarnation, standing, address: String::new() }
    }

    fn member(id: u16) -> Member {
        Member { id: NodeId::new(id).unwrap(), incarnation: Incarnation(u128::from(id)) }
    }

    /// Up to nine seats, and for each what it counts for, whether it is vacant, and its level.
    fn seats() -> impl Strategy<Value = Vec<(usize, bool, u64)>> {
        prop::collection::vec((0..8_usize, prop::bool::weighted(0.2), 0..6_u64), 0..10)
    }

    fn build(seats: &[(usize, bool, u64)]) -> (Configuration, BTreeMap<Member, u64>) {
        let made = seats
            .iter()
            .zip(1..)
            .map(|(&(standing, vacant, _), id)| seat(id, vacant, Standing::ALL[standing]));
        let levels = seats.iter().zip(1..).map(|(&(_, _, level), id)| (member(id), level));
        (Configuration::new(made.collect()), levels.collect())
    }

    /// The majority rule as the paper says it: more than half of each set, one after the other.
    fn majority(configuration: &Configuration, holds: &dyn Fn(Member) -> bool) -> bool {
        let more_than_half = |counts: &dyn Fn(&Seat) -> bool| {
            let set: Vec<&Seat> =
                configuration.seats().iter().filter(|seat| counts(seat)).collect();
            let holding = set.iter().filter(|seat| seat.member().is_some_and(holds)).count();
            holding * 2 > set.len()
        };
        more_than_half(&|seat| seat.standing.votes_in_outgoing())
            && more_than_half(&|seat| seat.standing.votes_in_incoming())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn what_is_reached_is_what_trying_every_level_finds(seats in seats()) {
            let (configuration, levels) = build(&seats);
            let expected = (0..6)
                .filter(|&tried| majority(&configuration, &|member| levels[&member] >= tried))
                .max()
                .unwrap_or(0);
            let reached = Voters::new(&configuration).reached(0, |member| levels[&member]);
            prop_assert_eq!(reached, expected);
        }

        #[test]
        fn a_vote_is_lost_exactly_when_no_further_answers_could_win_it(seats in seats()) {
            let (configuration, levels) = build(&seats);
            // Levels 0 and 1: granted; 2 and 3: refused; else open.
            let vote = |member: Member| match levels[&member] {
                0 | 1 => Some(true),
                2 | 3 => Some(false),
                _ => None,
            };
            let expected = if majority(&configuration, &|member| vote(member) == Some(true)) {
                Tally::Won
            } else if majority(&configuration, &|member| vote(member) != Some(false)) {
                Tally::Open
            } else {
                Tally::Lost
            };
            prop_assert_eq!(Voters::new(&configuration).tally(vote), expected);
        }
    }

    #[test]
    fn nobody_decides_in_an_empty_configuration() {
        let voters = Voters::new(&Configuration::default());
        assert_eq!(voters.reached(0, |_| 9), 0);
        assert!(!voters.agree(|_| true));
        assert_eq!(voters.tally(|_| Some(true)), Tally::Lost);
    }

    #[test]
    fn vacant_seats_count_in_the_size_only() {
        let seats = [(1, false), (2, false), (3, true), (4, true)];
        let seats = seats.iter().map(|&(id, vacant)| seat(id, vacant, Standing::Voter)).collect();
        let voters = Voters::new(&Configuration::new(seats));
        assert!(!voters.agree(|_| true), "two present of four are no majority");
    }

    #[test]
    fn a_joint_configuration_needs_both_majorities() {
        let seats = vec![
            seat(1, false, Standing::Voter),
            seat(2, false, Standing::Outgoing),
            seat(3, false, Standing::Demoted),
            seat(4, false, Standing::Incoming),
            seat(5, false, Standing::Incoming),
        ];
        let voters = Voters::new(&Configuration::new(seats));
        let ids = |ids: &'static [u16]| move |member: Member| ids.contains(&member.id.number());
        assert!(!voters.agree(ids(&[1, 2, 3])));
        assert!(!voters.agree(ids(&[1, 4, 5])));
        assert!(voters.agree(ids(&[1, 2, 4])));
        assert!(voters.agree(ids(&[2, 3, 4, 5])));
    }
}
