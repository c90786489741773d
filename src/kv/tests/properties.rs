//! Any sequence of entries does to the machine what it does to its plain twin.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::twin::Twin;
use super::*;

/// A step of log time: the shortest session timeout is a few of them.
pub(super) const TICK: u64 = SECOND / 3;

const KEYS: [&[u8]; 4] = [b"a", b"ab", b"counter", b"a key that is longer than one node holds"];
const VALUES: [&[u8]; 5] = [b"", b"7", b"-12", b"9223372036854775806", b"text"];
const NAMES: [&[u8]; 4] = [b"s", b"t", b"u", b"a session with quite a long name"];

/// Owned, so that it can be sent again.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Command(Vec<u8>),
    /// The command that was sent so many steps ago, unchanged.
    Again(usize),
    Settings(Settings),
    Wait(u64),
}

fn operations() -> impl Strategy<Value = Operation<'static>> {
    let key = prop::sample::select(&KEYS[..]);
    let value = prop::sample::select(&VALUES[..]);
    let expected = prop_oneof![
        Just(Expected::Absent),
        prop::sample::select(&VALUES[..]).prop_map(Expected::Value),
        (0..4_u64).prop_map(Expected::Version),
    ];
    let by = prop_oneof![1..4_i64, Just(-1), Just(i64::MAX), Just(i64::MIN)];
    (key, value, expected, by, 0..8).prop_map(|(key, value, expected, by, which)| match which {
        0 | 1 => Operation::Put { key, value },
        2 => Operation::Delete { key },
        3 | 4 => Operation::CompareAndSwap { key, expected, value },
        _ => Operation::Increment { key, by },
    })
}

fn ids() -> impl Strategy<Value = SessionId<'static>> {
    (prop::sample::select(&NAMES[..]), 0..12_u64)
        .prop_map(|(name, tick)| SessionId { name, opened_at: LogTime(tick * TICK) })
}

fn parts() -> impl Strategy<Value = SessionPart<'static>> {
    let number = prop_oneof![4 => 1..6_u64, 1 => 1022..1030_u64];
    (ids(), number, 0..6_u64).prop_map(|(id, number, back)| {
        let lowest = number.saturating_sub(back).max(1);
        SessionPart { id, number, lowest }
    })
}

fn commands() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => operations().prop_map(|operation| encoded(&Command::Change { session: None, operation })),
        9 => (parts(), operations()).prop_map(|(part, operation)| {
            encoded(&Command::Change { session: Some(part), operation })
        }),
        1 => ids().prop_map(|id| encoded(&Command::OpenSession(id))),
        1 => ids().prop_map(|id| encoded(&Command::CloseSession(id))),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    (1..4_u64, 1..5_u32).prop_map(|(seconds, max_sessions)| Settings {
        session_timeout: std::time::Duration::from_secs(seconds),
        max_sessions,
        ..Settings::default()
    })
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => commands().prop_map(Step::Command),
        8 => (1..12_usize).prop_map(Step::Again),
        1 => settings().prop_map(Step::Settings),
        4 => (0..3_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

/// What was applied, and what came of it.
pub(super) enum Seen<'a> {
    Command(&'a Command<'a>, Index, Vec<u8>),
    Settings(Settings),
}

/// Runs the steps on a new machine; `each` is told of every entry after it was applied.
fn run(steps: &[Step], each: impl FnMut(&Fed, Seen<'_>)) -> Fed {
    let mut fed = Fed { time: TICK, ..Fed::default() };
    go_on(&mut fed, &mut Vec::new(), steps, each);
    fed
}

/// Runs the steps on a machine that was `sent` these commands before.
pub(super) fn go_on<'a>(
    fed: &mut Fed,
    sent: &mut Vec<&'a [u8]>,
    steps: &'a [Step],
    mut each: impl FnMut(&Fed, Seen<'_>),
) {
    for step in steps {
        let bytes = match step {
            Step::Wait(ticks) => {
                fed.time += ticks * TICK;
                continue;
            }
            Step::Settings(settings) => {
                fed.set(*settings);
                each(fed, Seen::Settings(*settings));
                continue;
            }
            Step::Command(bytes) => bytes,
            Step::Again(back) => match sent.iter().nth_back(back - 1) {
                Some(&bytes) => bytes,
                None => continue,
            },
        };
        let command = Command::decode(bytes).unwrap();
        let (index, answer) = fed.command(&command);
        each(fed, Seen::Command(&command, index, answer));
        sent.push(bytes);
    }
}

/// Each key with its value, version and modification index.
fn contents(view: &State) -> BTreeMap<Vec<u8>, (Vec<u8>, u64, u64)> {
    view.range(b"")
        .map(|(key, item)| (key.to_vec(), (item.value.to_vec(), item.version, item.mod_index.0)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_does_what_its_plain_twin_does(steps in steps()) {
        let mut twin = Twin::default();
        let fed = run(&steps, |fed, seen| {
            match seen {
                Seen::Settings(settings) => twin.set(fed.time, settings),
                Seen::Command(command, index, answer) => {
                    assert_eq!((index, answer), twin.command(fed.time, command), "{command:?}");
                }
            }
            assert_eq!(fed.machine.state_hash(), twin.hash());
        });
        let bytes: usize = twin.map.iter().map(|(key, (value, ..))| key.len() + value.len()).sum();
        prop_assert_eq!(fed.machine.bytes(), bytes as u64);
        prop_assert_eq!(contents(&fed.machine.view()), twin.map);
    }

    #[test]
    fn a_number_of_a_session_changes_the_state_at_most_once(steps in steps()) {
        let mut first_answers = BTreeMap::new();
        let mut before = BTreeMap::new();
        run(&steps, |fed, seen| {
            let after = contents(&fed.machine.view());
            let changed = after != before;
            before = after;
            let Seen::Command(command, index, answer) = seen else { return };
            let Command::Change { session: Some(part), .. } = command else { return };
            let carried_out = match Answer::decode(&answer).unwrap() {
                Answer::Refused(refusal) => refusal.is_decided(),
                _ => true,
            };
            assert!(carried_out || !changed, "a refusal changed something: {command:?}");
            if carried_out {
                let number = (part.id.name.to_vec(), part.id.opened_at.0, part.number);
                let first = first_answers.entry(number).or_insert((index, answer.clone()));
                assert_eq!((index, answer), *first, "not answered as before: {command:?}");
                let here = index == fed.machine.applied().index;
                assert!(here || !changed, "carried out again: {command:?}");
            }
        });
    }

    #[test]
    fn the_same_entries_make_the_same_state_and_views_stay_as_they_were(steps in steps()) {
        let mut told = Vec::new();
        run(&steps, |fed, seen| {
            if let Seen::Command(_, index, answer) = seen {
                told.push((index, answer, fed.machine.state_hash(), contents(&fed.machine.view())));
            }
        });
        let mut views = Vec::new();
        run(&steps, |fed, seen| {
            if let Seen::Command(_, index, answer) = seen {
                let (first_index, first_answer, hash, _) = &told[views.len()];
                assert_eq!((&index, &answer), (first_index, first_answer));
                assert_eq!(fed.machine.state_hash(), *hash);
                views.push(fed.machine.view());
            }
        });
        for (view, (_, _, hash, state)) in views.iter().zip(&told) {
            assert_eq!((view.state_hash(), &contents(view)), (*hash, state));
        }
    }
}
