//! Majorities, worked out beside the nodes' own arithmetic.

use raft_node::model::{Configuration, Seat, Standing};

/// Whether a majority of each set of voters is of those for whom `has` holds.
pub(super) fn decides(members: &Configuration, has: impl Fn(&Seat) -> bool) -> bool {
    let is_joint = members.seats().iter().any(|seat| {
        matches!(seat.standing, Standing::Incoming | Standing::Outgoing | Standing::Demoted)
    });
    let before = |seat: &&Seat| {
        matches!(
            seat.standing,
            Standing::Voter
                | Standing::Leaving
                | Standing::Retiring
                | Standing::Outgoing
                | Standing::Demoted
        )
    };
    let after = |seat: &&Seat| matches!(seat.standing, Standing::Voter | Standing::Incoming);
    let majority = |voters: Vec<&Seat>| {
        let count = voters.iter().filter(|seat| has(seat)).count();
        count > voters.len() / 2
    };
    majority(members.seats().iter().filter(before).collect())
        && (!is_joint || majority(members.seats().iter().filter(after).collect()))
}

#[cfg(test)]
mod tests {
    use raft_node::model::{Incarnation, NodeId};

    use super::*;

    fn members(standings: &[Standing]) -> Configuration {
        let seat = |(standing, number): (&Standing, u16)| Seat {
            id: NodeId::new(number).unwrap(),
            incarnation: Some(Incarnation(number.into())),
            standing: *standing,
            address: format!("host{number}:1"),
        };
        Configuration::new(standings.iter().zip(1..).map(seat).collect())
    }

    fn decide(standings: &[Standing], ids: &[u16]) -> bool {
        decides(&members(standings), |seat| ids.contains(&seat.id.number()))
    }

    #[test]
    fn a_majority_of_the_only_voters_decides() {
        use Standing::{Joining, Learner, Leaving, Voter};
        let standings = [Voter, Voter, Leaving, Learner, Joining];
        assert!(decide(&standings, &[1, 3]));
        assert!(!decide(&standings, &[1, 4, 5]));
    }

    #[test]
    fn while_there_are_two_sets_each_of_them_decides() {
        use Standing::{Demoted, Incoming, Outgoing, Voter};
        let standings = [Voter, Outgoing, Demoted, Incoming, Incoming];
        assert!(decide(&standings, &[1, 2, 4]));
        assert!(!decide(&standings, &[1, 2, 3]), "one of the three that are to vote");
        assert!(!decide(&standings, &[1, 4, 5]), "one of the three that have voted");
    }
}
