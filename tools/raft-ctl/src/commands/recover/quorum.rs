//! Majorities, of the one set of voters or of both while a configuration is joint.

use raft_node::model::{Configuration, Member, Seat};

/// Whether those who `are_there` could have decided something by themselves: a majority of each
/// set. A vacant seat counts and is never there.
pub(super) fn decides(members: &Configuration, are_there: impl Fn(Member) -> bool) -> bool {
    halves(members).into_iter().all(|half| is_majority(&half, &are_there))
}

/// Whether they are a majority of one of the sets at least: in a configuration that wasn't
/// committed, that may have been enough.
pub(super) fn may_have_decided(
    members: &Configuration,
    are_there: impl Fn(Member) -> bool,
) -> bool {
    halves(members).into_iter().any(|half| is_majority(&half, &are_there))
}

fn is_majority(half: &[&Seat], are_there: &impl Fn(Member) -> bool) -> bool {
    let there = half.iter().filter(|seat| seat.member().is_some_and(are_there)).count();
    there > half.len() / 2
}

fn halves(members: &Configuration) -> [Vec<&Seat>; 2] {
    let seats = || members.seats().iter();
    [
        seats().filter(|seat| seat.standing.votes_in_outgoing()).collect(),
        seats().filter(|seat| seat.standing.votes_in_incoming()).collect(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_node::model::{Incarnation, NodeId, Standing};

    fn members(standings: &[Standing]) -> Configuration {
        let seat = |(at, standing): (usize, &Standing)| Seat {
            id: NodeId::new(at as u16 + 1).unwrap(),
            incarnation: Some(Incarnation(at as u128 + 1)),
            standing: *standing,
            address: String::new(),
        };
        Configuration::new(standings.iter().enumerate().map(seat).collect())
    }

    #[test]
    fn half_is_no_majority_and_learners_count_for_nothing() {
        let four = members(&[Standing::Voter; 4]);
        assert!(!decides(&four, |member| member.id.number() <= 2));
        assert!(decides(&four, |member| member.id.number() <= 3));
        let with_learner = members(&[Standing::Voter, Standing::Learner, Standing::Learner]);
        assert!(decides(&with_learner, |member| member.id.number() == 1));
        assert!(!decides(&with_learner, |member| member.id.number() > 1));
    }

    #[test]
    fn of_a_joint_configuration_both_sets_decide_and_each_alone_may_have() {
        let joint = members(&[
            Standing::Voter,
            Standing::Outgoing,
            Standing::Outgoing,
            Standing::Incoming,
            Standing::Incoming,
        ]);
        let old = |member: Member| member.id.number() <= 3;
        assert!(!decides(&joint, old) && may_have_decided(&joint, old));
        assert!(decides(&joint, |member| [1, 2, 4].contains(&member.id.number())));
        assert!(!may_have_decided(&joint, |member| member.id.number() == 1));
    }
}
