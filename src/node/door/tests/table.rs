//! Each check of the door, case by case.

use crate::model::{Incarnation, Seat, Standing};
use crate::node::door::*;

const CLUSTER: ClusterId = ClusterId(7);

fn member(number: u16, life: u128) -> Member {
    let id = NodeId::new(number).unwrap();
    Member { id, incarnation: Incarnation(life) }
}

fn door(number: u16) -> Door {
    Door::new(Myself {
        member: member(number, 100),
        boot: Boot(1),
        start: StartNumber(u64::from(number)),
        cluster_name: "raft".to_owned(),
        nodes_hash: 5,
        restores: None,
        address: format!("host{number}:3111"),
        keeps_nothing: false,
    })
}

fn members() -> Configuration {
    let seat = |number, life: Option<u128>| Seat {
        id: NodeId::new(number).unwrap(),
        incarnation: life.map(Incarnation),
        standing: Standing::Voter,
        address: String::new(),
    };
    Configuration::new(vec![seat(1, Some(100)), seat(2, Some(100)), seat(3, None)])
}

/// A node of the cluster whose log ends at `last` in term 4.
fn formed(members: &Configuration, last: u64) -> Standpoint<'_> {
    Standpoint {
        cluster: Some((CLUSTER, Epoch(1))),
        term: Term(4),
        last: LogId::new(Term(4), Index(last)),
        members: Some((Index(1), members)),
        settled: Some((Index(1), members)),
        feature_level: 1,
        is_stopping: false,
    }
}

fn unformed() -> Standpoint<'static> {
    Standpoint {
        cluster: None,
        term: Term::ZERO,
        last: LogId::ORIGIN,
        members: None,
        settled: None,
        feature_level: 0,
        is_stopping: false,
    }
}

/// What node 2 says to node 1, as `change` has it, and what node 1 says to that.
fn judged(change: impl FnOnce(&mut Hello)) -> Result<Footing, HelloRefusal> {
    let members = members();
    let standpoint = formed(&members, 20);
    let mut hello = door(2).hello(NodeId::new(1), &standpoint);
    change(&mut hello);
    door(1).judge(&hello, &standpoint).map_err(|refused| refused.code)
}

#[test]
fn a_member_is_let_in_in_both_directions() {
    let members = members();
    let standpoint = formed(&members, 20);
    let (mut one, mut two) = (door(1), door(2));
    let hello = two.hello(NodeId::new(1), &standpoint);
    assert_eq!(one.judge(&hello, &standpoint), Ok(Footing::Members));
    let answer = one.answer(&hello, &standpoint, None);
    assert!(matches!(answer.verdict, Verdict::Accepted { protocol: 1, feature_level: 1 }));
    let id = NodeId::new(1).unwrap();
    let accepted = two.judge_answer(Some(id), &answer, &standpoint);
    assert_eq!(accepted, Ok((member(1, 100), Footing::Members)));
    let other = two.judge_answer(NodeId::new(3), &answer, &standpoint);
    assert_eq!(other.unwrap_err().code, HelloRefusal::WRONG_NODE);
}

#[test]
fn each_thing_that_does_not_fit_has_its_own_refusal() {
    let versions = VersionRange { lowest: 8, highest: 9 };
    let refusal = |change: fn(&mut Hello)| judged(change).unwrap_err();
    assert_eq!(judged(|hello| hello.party.protocol = versions), Err(HelloRefusal::PROTOCOL));
    assert_eq!(judged(|hello| hello.party.features = versions), Err(HelloRefusal::FEATURE_LEVEL));
    let unknown = |hello: &mut Hello| hello.purpose = Purpose::Unknown(9);
    assert_eq!(refusal(unknown), HelloRefusal::ROLE);
    let proves = |hello: &mut Hello| hello.authentication.method = 3;
    assert_eq!(refusal(proves), HelloRefusal::AUTHENTICATION);
    let name = |hello: &mut Hello| hello.party.cluster_name = "other".to_owned();
    assert_eq!(refusal(name), HelloRefusal::WRONG_NAME);
    let cluster = |hello: &mut Hello| hello.party.cluster = Some(ClusterId(8));
    assert_eq!(refusal(cluster), HelloRefusal::WRONG_CLUSTER);
    let epoch = |hello: &mut Hello| hello.party.epoch = Epoch(2);
    assert_eq!(refusal(epoch), HelloRefusal::WRONG_EPOCH);
    let node = |hello: &mut Hello| hello.to.id = NodeId::new(3);
    assert_eq!(refusal(node), HelloRefusal::WRONG_NODE);
    let life = |hello: &mut Hello| hello.to.incarnation = Some(Incarnation(9));
    assert_eq!(refusal(life), HelloRefusal::WRONG_INCARNATION);
    let same = |hello: &mut Hello| hello.party.member = Some(member(1, 9));
    assert_eq!(refusal(same), HelloRefusal::SAME_NODE);
    let copy = |hello: &mut Hello| hello.party.member = Some(member(1, 100));
    assert_eq!(refusal(copy), HelloRefusal::CLONE);
}

#[test]
fn who_was_left_behind_by_a_later_epoch_is_told_so_and_recognises_it() {
    let members = members();
    let old = formed(&members, 20);
    let new = Standpoint { cluster: Some((CLUSTER, Epoch(2))), ..formed(&members, 21) };
    let (mut one, mut two) = (door(1), door(2));
    let hello = two.hello(NodeId::new(1), &old);
    let refused = one.judge(&hello, &new).unwrap_err();
    assert_eq!(refused.code, HelloRefusal::WRONG_EPOCH);
    for part in ["epoch 2", "without node 2", "epoch 1", "raft-ctl recover apply"] {
        assert!(refused.text.contains(part), "{part}: {}", refused.text);
    }
    let answer = one.answer(&hello, &new, Some(&refused));
    assert!(two.is_left_behind_by(&answer.party, &old));
    assert!(!one.is_left_behind_by(&hello.party, &new));
    // The other way round it is the same, and only one of the two was left behind.
    let hello = one.hello(NodeId::new(2), &new);
    let refused = two.judge(&hello, &old).unwrap_err();
    assert!(refused.text.contains("node 1 is in epoch 2"), "{}", refused.text);
    assert!(two.is_left_behind_by(&hello.party, &old));
    // Strangers and those of another cluster say nothing about this one.
    let mut party = hello.party;
    party.member = Some(member(1, 9));
    assert!(!two.is_left_behind_by(&party, &old));
    party.member = Some(member(1, 100));
    party.cluster = Some(ClusterId(8));
    assert!(!two.is_left_behind_by(&party, &old));
    assert!(!two.is_left_behind_by(&party, &unformed()));
}

#[test]
fn a_voter_whose_directory_was_wiped_is_refused_and_told_what_to_do() {
    let members = members();
    let standpoint = formed(&members, 20);
    let mut hello = door(2).hello(NodeId::new(1), &unformed());
    hello.party.member = Some(member(2, 200));
    let refused = door(1).judge(&hello, &standpoint).unwrap_err();
    assert_eq!((refused.code, refused.index), (HelloRefusal::WIPED, Index(1)));
    assert!(refused.code.is_guard() && refused.text.contains("Put the data directory back"));
}

#[test]
fn who_comes_for_a_vacant_seat_hears_of_the_founding_first() {
    let members = members();
    let mut hello = door(3).hello(NodeId::new(1), &unformed());
    assert_eq!(door(1).judge(&hello, &formed(&members, 20)), Ok(Footing::Founders));
    hello.party.member = Some(member(4, 100));
    let refused = door(1).judge(&hello, &formed(&members, 20)).unwrap_err();
    assert_eq!(refused.code, HelloRefusal::REMOVED);
}

#[test]
fn who_was_removed_is_told_so_once_that_is_committed() {
    let before = members();
    let seats = before.seats().iter().filter(|seat| seat.id.number() != 2);
    let after = before.followed_by(seats.cloned().collect());
    let hello = door(2).hello(NodeId::new(1), &formed(&before, 20));
    let appended = Standpoint { members: Some((Index(9), &after)), ..formed(&before, 20) };
    assert_eq!(door(1).judge(&hello, &appended), Ok(Footing::Members));
    let committed = Standpoint { settled: Some((Index(9), &after)), ..appended };
    let refused = door(1).judge(&hello, &committed).unwrap_err();
    assert_eq!((refused.code, refused.index), (HelloRefusal::REMOVED, Index(9)));
    assert!(refused.text.contains("empty its data directory"), "{}", refused.text);
}

#[test]
fn another_life_is_refused_unless_it_holds_more_of_the_log_or_nothing_is_kept() {
    let another = |hello: &mut Hello| hello.party.member = Some(member(2, 9));
    let ahead = |hello: &mut Hello| hello.party.last = LogId::new(Term(4), Index(21));
    assert_eq!(judged(another), Err(HelloRefusal::WIPED));
    let newer = |hello: &mut Hello| {
        another(hello);
        ahead(hello);
    };
    assert_eq!(judged(newer), Ok(Footing::Members), "this node may be the one that lags");
    let empty = |hello: &mut Hello| {
        newer(hello);
        hello.party.cluster = None;
    };
    assert_eq!(judged(empty), Err(HelloRefusal::WIPED), "it can't hold any");
    let members = members();
    let standpoint = formed(&members, 20);
    let mut hello = door(2).hello(NodeId::new(1), &standpoint);
    another(&mut hello);
    let mut keeps_nothing = door(1);
    keeps_nothing.me.keeps_nothing = true;
    assert_eq!(keeps_nothing.judge(&hello, &standpoint), Ok(Footing::Members));
}

#[test]
fn unequal_files_keep_a_cluster_from_forming_and_a_formed_one_does_not_mind() {
    let mut hello = door(2).hello(NodeId::new(1), &unformed());
    assert_eq!(door(1).judge(&hello, &unformed()), Ok(Footing::Founders));
    hello.party.nodes_hash = 6;
    let refused = door(1).judge(&hello, &unformed()).unwrap_err();
    assert_eq!(refused.code, HelloRefusal::WRONG_NODES);
    assert_eq!(judged(|hello| hello.party.nodes_hash = 6), Ok(Footing::Members));
}

#[test]
fn only_nodes_that_restore_the_same_snapshot_or_none_form_a_cluster() {
    let snapshot =
        |hash| Some(SnapshotId { last: LogId::new(Term(3), Index(500)), bytes: 9000, hash });
    let restoring = |number, restores| {
        let me = Myself { restores, ..door(number).me().clone() };
        Door::new(me)
    };
    let all = [None, snapshot(1), snapshot(2)];
    for (mine, yours) in all.iter().flat_map(|one| all.map(|other| (*one, other))) {
        let hello = restoring(2, yours).hello(NodeId::new(1), &unformed());
        let judged = restoring(1, mine).judge(&hello, &unformed());
        if mine == yours {
            assert_eq!(judged, Ok(Footing::Founders));
            continue;
        }
        let refused = judged.unwrap_err();
        assert_eq!(refused.code, HelloRefusal::WRONG_SNAPSHOT);
        assert!(refused.text.contains("--restore and the same file"), "{}", refused.text);
    }
    // Who has formed doesn't speak of it any more, and doesn't ask.
    let members = members();
    let hello = restoring(2, snapshot(1)).hello(NodeId::new(1), &formed(&members, 600));
    assert_eq!(hello.party.restores, None);
    let hello = restoring(2, snapshot(1)).hello(NodeId::new(1), &unformed());
    assert_eq!(door(1).judge(&hello, &formed(&members, 600)), Ok(Footing::Founders));
}

#[test]
fn of_two_clusters_one_of_which_binds_nobody_only_foundings_are_spoken_of() {
    let members = members();
    let lonely = |hello: &mut Hello| {
        hello.party.cluster = Some(ClusterId(8));
        hello.party.last = LogId::new(Term::ZERO, Index(1));
    };
    assert_eq!(judged(lonely), Ok(Footing::Founders));
    let mut hello = door(2).hello(NodeId::new(1), &formed(&members, 20));
    hello.party.cluster = Some(ClusterId(8));
    assert_eq!(door(1).judge(&hello, &formed(&members, 1)), Ok(Footing::Founders));
}

#[test]
fn an_earlier_start_and_a_copy_are_refused_and_a_later_start_is_not() {
    let members = members();
    let standpoint = formed(&members, 20);
    let mut one = door(1);
    let mut say = |boot, start| {
        let mut hello = door(2).hello(NodeId::new(1), &standpoint);
        hello.party.boot = Boot(boot);
        hello.party.start = StartNumber(start);
        one.judge(&hello, &standpoint).map_err(|refused| refused.code)
    };
    assert_eq!(say(3, 77), Ok(Footing::Members));
    assert_eq!(say(3, 77), Ok(Footing::Members), "the same start may call again");
    assert_eq!(say(3, 78), Err(HelloRefusal::CLONE));
    assert_eq!(say(2, 76), Err(HelloRefusal::REGRESSED));
    assert_eq!(say(4, 79), Ok(Footing::Members));
    assert_eq!(say(3, 77), Err(HelloRefusal::REGRESSED));
}

#[test]
fn who_has_lost_what_he_had_acknowledged_is_recognised() {
    let members = members();
    let standpoint = formed(&members, 20);
    let says = |boot: u64, term: u64, last: u64| {
        let mut one = door(1);
        let level = PeerLevel { member: member(2, 100), matched: Index(15), boot: Boot(2) };
        one.learn((Term(4), Index(10)), &[level], &members);
        let mut hello = door(2).hello(NodeId::new(1), &standpoint);
        hello.party.boot = Boot(boot);
        hello.party.term = Term(term);
        hello.party.last = LogId::new(Term(term), Index(last));
        one.judge(&hello, &standpoint).map_err(|refused| refused.code)
    };
    assert_eq!(says(2, 4, 15), Ok(Footing::Members));
    assert_eq!(says(1, 4, 15), Err(HelloRefusal::REGRESSED), "an earlier boot");
    assert_eq!(says(3, 3, 15), Err(HelloRefusal::REGRESSED), "an earlier term");
    assert_eq!(says(3, 4, 14), Err(HelloRefusal::REGRESSED), "a shorter log in that term");
    assert_eq!(says(3, 5, 12), Ok(Footing::Members), "replaced lawfully above what was committed");
    assert_eq!(says(3, 5, 9), Err(HelloRefusal::REGRESSED), "less than what is committed");
}

#[test]
fn a_client_may_know_no_cluster_and_is_held_to_the_one_that_it_names() {
    let client = |cluster| {
        judged(|hello| {
            hello.purpose = Purpose::Client;
            hello.party.member = None;
            hello.party.cluster = cluster;
            hello.party.cluster_name = String::new();
        })
    };
    assert_eq!(client(None), Ok(Footing::Members));
    assert_eq!(client(Some(CLUSTER)), Ok(Footing::Members));
    assert_eq!(client(Some(ClusterId(8))), Err(HelloRefusal::WRONG_CLUSTER));
}

#[test]
fn a_node_that_is_shutting_down_lets_nobody_in() {
    let members = members();
    let standpoint = Standpoint { is_stopping: true, ..formed(&members, 20) };
    let hello = door(2).hello(NodeId::new(1), &standpoint);
    let refused = door(1).judge(&hello, &standpoint).unwrap_err();
    assert_eq!(refused.code, HelloRefusal::STOPPING);
}
