//! The state hash, and who is told to be wrong.

use super::*;
use crate::model::{Configuration, Incarnation, Member, NodeId, Seat, Standing};

#[test]
fn the_hash_of_a_known_state_is_this_number() {
    let hash = |fed: &Fed| format!("{:032x}", fed.machine.state_hash());
    assert_eq!(hash(&Fed::default()), "9adfb06f94a810282642d6efb827e4e2");
    assert_eq!(hash(&Fed::example()), "a37cefd765d0f64e64ce949d326c38c8");
}

#[test]
fn the_hash_tells_the_state_not_the_way_to_it() {
    let put = |fed: &mut Fed, key: &[u8], value: &[u8]| fed.put(key, value);
    let mut straight = Fed::default();
    put(&mut straight, b"a", b"other");
    put(&mut straight, b"b", b"");
    put(&mut straight, b"c", b"");
    straight.change(Operation::Delete { key: b"b" }, &Answer::Deleted { existed: true });
    straight.change(Operation::Delete { key: b"c" }, &Answer::Deleted { existed: true });
    put(&mut straight, b"a", b"one");
    let mut winding = Fed::default();
    put(&mut winding, b"a", b"");
    for _ in 0..4 {
        winding.change(Operation::Delete { key: b"b" }, &Answer::Deleted { existed: false });
    }
    put(&mut winding, b"a", b"one");
    assert_eq!(straight.machine.state_hash(), winding.machine.state_hash());
    put(&mut winding, b"a", b"one");
    straight.entry(EntryKind::NOOP, b"").unwrap();
    assert_ne!(straight.machine.state_hash(), winding.machine.state_hash(), "a version differs");
}

#[test]
fn everything_that_is_state_is_in_the_hash() {
    let id = |seconds| SessionId { name: b"s", opened_at: LogTime(seconds * SECOND) };
    let part = |number, lowest| SessionPart { id: id(5), number, lowest };
    let operation = Operation::Delete { key: b"none" };
    let mut fed = Fed { time: 10 * SECOND, ..Fed::default() };
    let mut hashes = vec![fed.machine.state_hash()];
    let changes: [&dyn Fn(&mut Fed); 8] = [
        &|fed| drop(fed.command(&Command::OpenSession(id(5)))),
        &|fed| drop(fed.command(&Command::OpenSession(id(5)))),
        &|fed| drop(fed.command(&Command::Change { session: Some(part(2, 1)), operation })),
        &|fed| drop(fed.command(&Command::Change { session: Some(part(2, 2)), operation })),
        &|fed| drop(fed.command(&Command::CloseSession(id(5)))),
        &|fed| fed.set(Settings { max_sessions: 7, ..Settings::default() }),
        &|fed| {
            let mut raised = Vec::new();
            FeatureLevel { level: 1, version: "0.1.0" }.encode(&mut raised);
            fed.entry(EntryKind::FEATURE_LEVEL, &raised).unwrap();
        },
        &|fed| {
            fed.time += 3600 * SECOND;
            fed.entry(EntryKind::NOOP, b"").unwrap();
        },
    ];
    for change in changes {
        change(&mut fed);
        hashes.push(fed.machine.state_hash());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 9);
}

#[test]
fn a_point_reports_the_hash_and_says_whether_a_snapshot_is_due() {
    let mut fed = Fed::default();
    fed.put(b"k", b"v");
    for snapshot in [false, true] {
        let mut payload = Vec::new();
        Point { snapshot }.encode(&mut payload);
        let (applied, answer) = fed.entry(EntryKind::POINT, &payload).unwrap();
        let report =
            PointReport { index: fed.machine.applied().index, hash: fed.machine.state_hash() };
        assert_eq!(applied, Applied::Point { report, snapshot });
        assert!(answer.is_empty());
    }
}

fn member(id: u16) -> Member {
    Member { id: NodeId::new(id).unwrap(), incarnation: Incarnation(u128::from(id)) }
}

fn configuration(standings: &[Standing]) -> Configuration {
    let seats = (1..).zip(standings).map(|(id, &standing)| Seat {
        id: member(id).id,
        incarnation: Some(member(id).incarnation),
        standing,
        address: String::new(),
    });
    Configuration::new(seats.collect())
}

/// What the members, numbered from 1, report at index 10, and the verdict on each.
fn verdicts(standings: &[Standing], reports: &[Option<u128>]) -> Vec<Verdict> {
    let mut keeper = PointKeeper::default();
    for (id, report) in (1..).zip(reports) {
        if let Some(hash) = *report {
            keeper.hear(member(id), PointReport { index: Index(10), hash });
        }
    }
    let configuration = configuration(standings);
    (1..=standings.len() as u16)
        .map(|id| keeper.verdict(member(id), Index(10), &configuration))
        .collect()
}

#[test]
fn who_differs_from_a_majority_is_told_so() {
    use Standing::{Incoming, Learner, Outgoing, Voter};
    use Verdict::{Agrees, Disputed, Undecided};
    let differs = Verdict::Differs { majority: 7 };
    let three = [Voter; 3];
    assert_eq!(verdicts(&three, &[Some(7), None, None]), [Undecided; 3]);
    assert_eq!(verdicts(&three, &[Some(7), Some(7), None]), [Agrees, Agrees, Undecided]);
    assert_eq!(verdicts(&three, &[Some(7), Some(8), None]), [Disputed, Disputed, Undecided]);
    assert_eq!(verdicts(&three, &[Some(7), Some(8), Some(7)]), [Agrees, differs, Agrees]);
    assert_eq!(verdicts(&three, &[Some(7), Some(8), Some(9)]), [Disputed; 3]);
    let reports = [Some(7), Some(7), Some(8), Some(8)];
    assert_eq!(verdicts(&[Voter; 4], &reports), [Disputed; 4], "half is no majority");
    let learner = [Voter, Voter, Learner, Learner];
    let reports = [Some(7), Some(7), Some(8), Some(8)];
    assert_eq!(verdicts(&learner, &reports), [Agrees, Agrees, differs, differs]);
    let joint = [Outgoing, Outgoing, Voter, Incoming, Incoming];
    let reports = [Some(7), Some(7), Some(7), Some(8), Some(8)];
    assert_eq!(verdicts(&joint, &reports), [Disputed; 5], "no majority of the incoming set");
    let reports = [Some(8), Some(7), Some(7), Some(7), None];
    assert_eq!(verdicts(&joint, &reports), [differs, Agrees, Agrees, Agrees, Undecided]);
}

#[test]
fn the_keeper_holds_the_last_64_points_of_each_member() {
    let mut keeper = PointKeeper::default();
    for index in 1..=100 {
        let report = PointReport { index: Index(index), hash: u128::from(index) };
        keeper.hear(member(1), report);
    }
    assert_eq!(keeper.report(member(1), Index(36)), None);
    assert_eq!(keeper.report(member(1), Index(37)), Some(37));
    keeper.hear(member(1), PointReport { index: Index(50), hash: 0 });
    assert_eq!(keeper.report(member(1), Index(50)), Some(50), "an old report changes nothing");
    keeper.forget(member(1));
    assert_eq!(keeper.report(member(1), Index(100)), None);
}
