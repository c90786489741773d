//! Who founds, who joins, and which of two foundings gives way.

mod orders;

use super::*;

fn id(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

fn member(number: u16) -> Member {
    Member { id: id(number), incarnation: Incarnation(100 + u128::from(number)) }
}

fn plan(nodes: u16, quorum_is_enough: bool) -> Plan {
    let founder =
        |number| Founder { id: id(number), address: format!("host{number}:3111"), votes: true };
    Plan {
        cluster_name: "raft".to_owned(),
        cluster: None,
        founders: (1..=nodes).map(founder).collect(),
        quorum_is_enough,
        joins: false,
        settings: vec![7],
    }
}

fn forming(me: u16, nodes: u16, quorum_is_enough: bool) -> Forming {
    Forming::new(member(me), plan(nodes, quorum_is_enough), Time::ZERO)
}

fn founds(forming: &Forming, milliseconds: u64) -> Option<Founding> {
    let now = Time::ZERO + Duration::from_millis(milliseconds);
    forming.found(now, LogTime(5), 77).map(|offer| offer.founding)
}

#[test]
fn the_lowest_founds_when_all_are_there() {
    let mut forming = forming(1, 3, false);
    forming.came(member(2), false, Time::ZERO);
    assert!(founds(&forming, 60_000).is_none(), "node 3 isn't there");
    forming.came(member(3), false, Time::ZERO);
    let founding = founds(&forming, 0).expect("all are there");
    assert_eq!((founding.cluster, founding.founder), (ClusterId(77), id(1)));
    let seats = founding.configuration.seats();
    assert!(seats.iter().all(|seat| seat.member() == Some(member(seat.id.number()))));
}

#[test]
fn no_other_founds() {
    let mut forming = forming(2, 3, false);
    forming.came(member(1), false, Time::ZERO);
    forming.came(member(3), false, Time::ZERO);
    assert!(founds(&forming, 60_000).is_none());
}

#[test]
fn nobody_founds_beside_a_node_that_is_part_of_a_cluster() {
    for quorum_is_enough in [false, true] {
        let mut forming = forming(1, 3, quorum_is_enough);
        forming.came(member(2), true, Time::ZERO);
        forming.came(member(3), false, Time::ZERO);
        assert!(founds(&forming, 60_000).is_none());
    }
}

#[test]
fn a_quorum_is_enough_when_it_was_asked_for_and_leaves_seats_for_the_absent() {
    let mut forming = forming(2, 3, true);
    assert!(founds(&forming, 60_000).is_none(), "one of three is no quorum");
    forming.came(member(3), false, Time::ZERO);
    assert!(founds(&forming, 999).is_none(), "others may be about to come");
    assert_eq!(forming.deadline(), Some(Time::ZERO + LATECOMERS));
    let founding = founds(&forming, 1000).expect("a quorum is there");
    let lives: Vec<_> = founding.configuration.seats().iter().map(Seat::member).collect();
    assert_eq!(lives, [None, Some(member(2)), Some(member(3))]);
}

#[test]
fn one_node_alone_forms_its_cluster_at_once() {
    assert!(founds(&forming(1, 1, false), 0).is_some());
}

#[test]
fn a_node_says_for_whom_it_waits_and_why() {
    let mut forming = forming(1, 3, false);
    forming.came(member(2), false, Time::ZERO);
    forming.is_missing(id(2), "connection refused".to_owned(), Time::ZERO);
    let waits: Vec<_> = forming.waits_for().into_iter().map(|node| (node.id, node.why)).collect();
    let expected =
        [(id(2), "connection refused".to_owned()), (id(3), "not reached yet".to_owned())];
    assert_eq!(waits, expected);
}

#[test]
fn with_a_quorum_both_sides_say_which_node_needs_the_leave_to_found() {
    let (mut lower, mut higher) = (forming(1, 3, false), forming(2, 3, true));
    lower.came(member(2), false, Time::ZERO);
    higher.came(member(1), false, Time::ZERO);
    for waiting in [lower, higher] {
        let waits = waiting.waits_for();
        assert!(waits.iter().any(|node| node.id == id(1) && node.why.contains("--form")));
    }
}

#[test]
fn an_offer_is_taken_if_it_is_the_cluster_that_the_file_means() {
    let mut founder = forming(1, 3, true);
    founder.came(member(2), false, Time::ZERO);
    let offer = encode(&founds(&founder, 1000).unwrap(), LogTime(5));
    assert_eq!(forming(2, 3, false).accepts(&offer), Ok(()));
    assert_eq!(forming(3, 3, false).accepts(&offer), Ok(()), "the seat is vacant");
    let added = Forming::new(member(4), plan(4, false), Time::ZERO);
    assert_eq!(added.accepts(&offer), Ok(()), "a member that came after the founding");
    let renamed = Plan { cluster_name: "other".to_owned(), ..plan(3, false) };
    let renamed = Forming::new(member(2), renamed, Time::ZERO);
    assert!(renamed.accepts(&offer).unwrap_err().contains("other"));
    let pinned = Plan { cluster: Some(ClusterId(4)), ..plan(3, false) };
    let pinned = Forming::new(member(2), pinned, Time::ZERO);
    assert!(pinned.accepts(&offer).unwrap_err().contains("ClusterId"));
}

#[test]
fn a_founding_gives_way_only_to_one_with_a_seat_for_this_life() {
    let own = founding(1, 50);
    assert_eq!(is_founder(member(2), &plan(3, false), &own), Ok(()));
    let wiped = Member { incarnation: Incarnation(9), ..member(2) };
    let refused = is_founder(wiped, &plan(3, false), &own).unwrap_err();
    assert!(refused.contains("another life"));
    let refused = is_founder(member(4), &plan(4, false), &own).unwrap_err();
    assert!(refused.contains("no member"));
}

#[test]
fn a_node_that_joins_never_founds_and_says_who_does_not_take_it_in() {
    for quorum_is_enough in [false, true] {
        let plan = Plan { joins: true, ..plan(3, quorum_is_enough) };
        let mut joining = Forming::new(member(1), plan, Time::ZERO);
        joining.came(member(2), false, Time::ZERO);
        joining.is_missing(id(3), "node 1 is no member".to_owned(), Time::ZERO);
        assert!(founds(&joining, 60_000).is_none());
        joining.came(member(3), false, Time::ZERO);
        assert!(founds(&joining, 60_000).is_none(), "not even when all are there and empty");
        assert_eq!(joining.deadline(), None);
        joining.is_missing(id(3), "node 1 is no member".to_owned(), Time::ZERO);
        let waits = joining.waits_for();
        assert_eq!((waits.len(), waits[0].id), (1, id(3)));
    }
}

fn founding(founder: u16, cluster: u128) -> Founding {
    let seat = |seat| Seat {
        id: id(seat),
        incarnation: Some(member(seat).incarnation),
        standing: Standing::Voter,
        address: String::new(),
    };
    Founding {
        cluster: ClusterId(cluster),
        epoch: FIRST_EPOCH,
        founder: id(founder),
        name: "raft".to_owned(),
        configuration: Configuration::new((1..=3).map(seat).collect()),
        settings: Vec::new(),
    }
}

#[test]
fn a_founding_gives_way_to_a_later_leader_then_to_the_lower_founder_then_to_the_lower_id() {
    let own = founding(2, 50);
    let gives_way = |own_term, other: &Founding, other_term| {
        let own = Claim { founding: &own, last_term: Term(own_term) };
        own.gives_way_to(&Claim { founding: other, last_term: Term(other_term) })
    };
    assert!(gives_way(0, &founding(3, 90), 1));
    assert!(gives_way(1, &founding(3, 90), 2));
    assert!(!gives_way(2, &founding(1, 10), 1));
    assert!(!gives_way(0, &founding(3, 10), 0));
    assert!(gives_way(0, &founding(1, 90), 0));
    assert!(gives_way(0, &founding(2, 40), 0));
    assert!(!gives_way(0, &founding(2, 60), 0));
    assert!(!gives_way(0, &own, 1), "the same founding");
    let mut of_two = founding(1, 10);
    of_two.configuration = Configuration::new(of_two.configuration.seats()[..2].to_vec());
    assert!(!gives_way(0, &of_two, 9), "its majorities are others");
}

#[test]
fn only_a_log_with_one_entry_of_each_term_may_be_undecided() {
    let may_be = |term, index| may_be_undecided(LogId::new(Term(term), Index(index)));
    assert!(may_be(0, 1) && may_be(1, 2) && may_be(7, 2) && may_be(7, 8));
    assert!(!may_be(1, 3) && !may_be(7, 9));
    assert!(may_be(u64::MAX, 2));
}

#[test]
fn a_learner_neither_founds_nor_keeps_the_lowest_voter_from_it() {
    let with_learner = |me| {
        let mut plan = plan(4, true);
        plan.founders[0].votes = false;
        Forming::new(member(me), plan, Time::ZERO)
    };
    let (mut learner, mut voter) = (with_learner(1), with_learner(2));
    for other in 2..=4 {
        learner.came(member(other), false, Time::ZERO);
    }
    assert!(founds(&learner, 60_000).is_none());
    voter.came(member(1), false, Time::ZERO);
    assert!(founds(&voter, 60_000).is_none(), "the learner doesn't count");
    voter.came(member(3), false, Time::ZERO);
    let founding = founds(&voter, 1000).expect("two of three voters are there");
    assert_eq!(founding.founder, id(2));
}
