use serde_json::{Value, json};

use super::*;

/// Seats of voters, with the incarnation that `of` gives them.
fn voters(ids: &[u16]) -> Value {
    ids.iter().map(|id| seat(*id, "voter")).collect()
}

fn seat(id: u16, standing: &str) -> Value {
    let (life, address) = (life(id), format!("10.0.0.{id}:3111"));
    json!({"id": id, "incarnation": life, "standing": standing, "address": address})
}

fn life(id: u16) -> String {
    format!("{id:032x}")
}

/// A node whose log holds the entries whose terms these are, from 1 on.
fn of(node: u16, terms: &[u64], seats: &Value) -> Survivor {
    let mut runs: Vec<Value> = Vec::new();
    for (at, term) in terms.iter().enumerate() {
        if at == 0 || terms[at - 1] != *term {
            runs.push(json!({"term": term, "first": at + 1}));
        }
    }
    let last = json!({"term": terms.last(), "index": terms.len()});
    changed(
        json!({
            "v": 1, "node": node, "incarnation": life(node), "cluster": life(7), "epoch": 1,
            "boot": 3, "term": terms.last(), "voted_for": null,
            "base": {"term": 0, "index": 0}, "terms": runs, "last": last,
            "last_time_nanoseconds": 1000, "snapshots": [], "torn_bytes": 0,
            "configuration_index": 1, "seats": seats,
        }),
        &[],
    )
}

fn changed(mut survivor: Value, changes: &[(&str, Value)]) -> Survivor {
    for (key, value) in changes {
        survivor[key] = value.clone();
    }
    serde_json::from_value(survivor).unwrap()
}

fn but(survivor: &Survivor, changes: &[(&str, Value)]) -> Survivor {
    changed(serde_json::to_value(survivor).unwrap(), changes)
}

fn refusal(survivors: &[Survivor], keep: &[u16]) -> CliError {
    make(survivors, keep).unwrap_err()
}

#[test]
fn the_others_follow_the_one_that_would_win_an_election() {
    let five = voters(&[1, 2, 3, 4, 5]);
    let (long, new) = (of(1, &[0, 1, 1, 1, 1], &five), of(4, &[0, 1, 1, 3], &five));
    for survivors in [[long.clone(), new.clone()], [new.clone(), long.clone()]] {
        let plan = make(&survivors, &[]).unwrap();
        assert_eq!((plan.base, plan.last), (4, Place { term: 3, index: 4 }));
        assert_eq!((plan.epoch_before, plan.epoch, plan.term), (1, 2, 4));
        let replaced: Vec<_> = plan.survivors.iter().map(Kept::replaced).collect();
        assert_eq!(replaced, [Some((4, 5)), None]);
        assert_eq!(plan.survivors[0].behind(&plan), 1);
        let given_up: Vec<u16> = plan.given_up.iter().map(|seat| seat.id).collect();
        assert_eq!(given_up, [2, 3, 5]);
        assert_eq!(plan, make(&[long.clone(), new.clone()], &[]).unwrap(), "whatever the order");
    }
}

#[test]
fn the_term_is_above_all_that_was_seen() {
    let five = voters(&[1, 2, 3, 4, 5]);
    let voted = but(&of(2, &[0, 1], &five), &[("term", json!(9))]);
    assert_eq!(make(&[of(1, &[0, 1, 1], &five), voted], &[]).unwrap().term, 10);
}

#[test]
fn what_may_be_lost_depends_on_whether_the_others_were_a_majority() {
    let three = voters(&[1, 2, 3]);
    assert!(make(&[of(1, &[0, 1], &three)], &[]).unwrap().may_lose);
    let four = voters(&[1, 2, 3, 4]);
    let half = [of(1, &[0, 1], &four), of(2, &[0, 1], &four)];
    assert!(!make(&half, &[]).unwrap().may_lose, "2 of 4 can't decide, nor could the other 2");
    // Node 2 knows of a change, from 1, 2, 3 to 1, 2, 4, 5, 6, that may have been committed.
    let standings = [("voter", 1), ("voter", 2), ("outgoing", 3)];
    let incoming = [("incoming", 4), ("incoming", 5), ("incoming", 6)];
    let joint = standings.iter().chain(&incoming).map(|(standing, id)| seat(*id, standing));
    let joint: Value = joint.collect();
    let survivors = [of(1, &[0, 1], &joint), of(2, &[0, 1, 1], &joint)];
    assert!(make(&survivors, &[]).unwrap().may_lose);
}

#[test]
fn a_majority_that_is_left_needs_no_recovery_and_learners_are_none() {
    let three = voters(&[1, 2, 3]);
    let two = [of(1, &[0, 1], &three), of(2, &[0, 1], &three)];
    let error = refusal(&two, &[]);
    assert_eq!(error.code(), Code::NotLost);
    assert_eq!(refusal(&two, &[1]).code(), Code::NotLost, "whoever is kept");
    let learners: Value =
        [seat(1, "voter"), seat(2, "learner"), seat(3, "learner")].into_iter().collect();
    let plan = make(&[of(2, &[0, 1], &learners), of(3, &[0, 1], &learners)], &[]).unwrap();
    assert!(plan.seats.iter().all(|seat| seat.standing == "voter"));
}

#[test]
fn only_what_was_chosen_goes_on_and_what_holds_the_most_must_be_among_it() {
    let five = voters(&[1, 2, 3, 4, 5]);
    let two = [of(1, &[0, 1, 1], &five), of(2, &[0, 1], &five)];
    let plan = make(&two, &[1]).unwrap();
    assert_eq!((plan.seats.len(), plan.left_out), (1, vec![2]));
    assert_eq!(plan.given_up.len(), 4);
    let error = refusal(&two, &[2]);
    assert_eq!(error.code(), Code::NoPlan);
    assert!(error.json().contains("node 1 holds the most"), "{}", error.json());
    assert_eq!(refusal(&two, &[1, 3]).code(), Code::Usage);
    // Where both hold the same, either may go on alone.
    let same = [of(1, &[0, 1], &five), of(2, &[0, 1], &five)];
    assert_eq!(make(&same, &[]).unwrap().base, 1);
    assert_eq!(make(&same, &[2]).unwrap().base, 2);
}

#[test]
fn directories_that_do_not_belong_together_are_refused() {
    let five = voters(&[1, 2, 3, 4, 5]);
    let (one, two) = (of(1, &[0, 1, 1], &five), of(2, &[0, 1], &five));
    assert_eq!(refusal(&[one.clone(), one.clone()], &[]).code(), Code::Usage);
    let elsewhere = but(&two, &[("cluster", json!(life(8)))]);
    assert_eq!(refusal(&[one.clone(), elsewhere], &[]).code(), Code::NoPlan);
    let later = but(&two, &[("epoch", json!(2))]);
    let error = refusal(&[one.clone(), later], &[]);
    assert!(error.json().contains("recovery-<epoch>.json"), "{}", error.json());
    let contradicts = but(&two, &[("snapshots", json!([{"term": 0, "index": 2}]))]);
    let error = refusal(&[one, contradicts], &[]);
    assert!(error.json().contains("contradicts"), "{}", error.json());
}

#[test]
fn those_that_follow_must_not_be_able_to_elect_one_of_themselves() {
    let new = voters(&[1, 2, 3, 4, 5, 6, 7]);
    let one = of(1, &[0, 1, 1], &new);
    // Nodes 2 and 3 know only the set of 2, 3 and 9.
    let old = voters(&[2, 3, 9]);
    let (two, three) = (of(2, &[0, 1], &old), of(3, &[0, 1], &old));
    let error = refusal(&[one.clone(), two.clone(), three.clone()], &[]);
    assert_eq!(error.code(), Code::NoPlan);
    assert!(error.json().contains("leave node 2 out"), "{}", error.json());
    make(&[one.clone(), two.clone()], &[]).unwrap();
    make(&[one, two, three], &[1, 2]).unwrap();
}

#[test]
fn who_is_behind_what_the_log_holds_needs_a_snapshot() {
    let five = voters(&[1, 2, 3, 4, 5]);
    let compacted = but(
        &of(1, &[0, 1, 1, 1, 1, 1], &five),
        &[
            ("base", json!({"term": 1, "index": 4})),
            ("terms", json!([{"term": 1, "first": 5}])),
            ("snapshots", json!([{"term": 1, "index": 5}, {"term": 1, "index": 4}])),
        ],
    );
    let plan = make(&[compacted.clone(), of(2, &[0, 1, 1], &five)], &[]).unwrap();
    assert_eq!((plan.committed, plan.survivors[1].common), (5, None));
    let plan = make(&[compacted, of(2, &[0, 1, 1, 1], &five)], &[]).unwrap();
    assert_eq!(plan.survivors[1].common, Some(4));
}

#[test]
fn what_logs_have_in_common_is_what_comparing_each_entry_finds() {
    let five = voters(&[1, 2, 3, 4, 5]);
    // All logs that follow one of two histories up to some entry, and then go on in a later term.
    let mut logs = Vec::new();
    for shared in 1..6 {
        for (term, more) in [(2, 0), (2, 3), (3, 1), (3, 4), (5, 2)] {
            let terms: Vec<u64> = [0, 1, 1, 1, 2, 2][..shared].to_vec();
            logs.push([terms, vec![term; more]].concat());
        }
    }
    for one in &logs {
        for other in &logs {
            let lawful = |log: &[u64]| log.windows(2).all(|pair| pair[0] <= pair[1]);
            let common = one.iter().zip(other).take_while(|(a, b)| a == b).count();
            let again = one.iter().zip(other).skip(common).any(|(a, b)| a == b);
            if again || !lawful(one) || !lawful(other) {
                continue;
            }
            let found = of(1, one, &five).common(&of(2, other, &five));
            assert_eq!(found, Some(common as u64), "{one:?} {other:?}");
        }
    }
}

#[test]
fn a_plan_reads_back_and_any_other_bytes_have_another_name() {
    let five = voters(&[1, 2, 3, 4, 5]);
    let plan = make(&[of(1, &[0, 1, 1], &five), of(2, &[0, 1], &five)], &[]).unwrap();
    let bytes = plan.bytes();
    assert_eq!(Plan::read(&bytes), Some(plan.clone()));
    for at in 0..bytes.len() - 1 {
        let mut other = bytes.clone();
        other[at] ^= 1;
        if let Some(read) = Plan::read(&other) {
            assert!(read.hash() != plan.hash(), "byte {at}");
        }
        assert_eq!(Plan::read(&bytes[..at]), None);
    }
}

#[test]
fn a_plan_with_numbers_that_no_log_has_is_none() {
    let five = voters(&[1, 2, 3, 4, 5]);
    let plan = make(&[of(1, &[0, 1, 1], &five), of(2, &[0, 1], &five)], &[]).unwrap();
    let value = serde_json::to_value(&plan).unwrap();
    let wrong = [
        ("term", json!(u64::MAX)),
        ("term", json!(1)),
        ("epoch", json!(1)),
        ("base", json!(3)),
        ("cluster", json!("none")),
        ("seats", json!([seat(1, "voter"), seat(1, "voter")])),
        ("seats", json!([seat(1, "king")])),
        ("last", json!({"term": 1, "index": 4})),
        ("v", json!(2)),
    ];
    for (key, number) in wrong {
        let mut other = value.clone();
        other[key] = number;
        assert_eq!(Plan::read(&serde_json::to_vec(&other).unwrap()), None, "{key}");
    }
}
