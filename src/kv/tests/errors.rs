//! Entries that can't be applied, and what is stopped at the door.

use super::*;

fn door(bytes: &[u8]) -> Result<(), Rejected> {
    check_command(bytes, 1000)
}

#[test]
fn an_entry_of_an_unknown_kind_stops_the_machine_and_changes_nothing() {
    let mut fed = Fed::default();
    fed.put(b"k", b"v");
    let before = (fed.machine.applied(), fed.machine.state_hash(), fed.machine.log_time());
    fed.time += SECOND;
    let error = fed.entry(EntryKind(9), b"anything").unwrap_err();
    assert!(matches!(error, ApplyError::NewerKind { kind: EntryKind(9), .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "entry 2@3 is of kind 9, which version {} doesn't know; nothing is lost: start a \
             newer version of raft on this directory",
            env!("CARGO_PKG_VERSION")
        )
    );
    let after = (fed.machine.applied(), fed.machine.state_hash(), fed.machine.log_time());
    assert_eq!(before, after);
}

#[test]
fn a_feature_level_above_ours_names_the_version_that_knows_it() {
    let mut fed = Fed::default();
    let mut raised = Vec::new();
    FeatureLevel { level: FEATURE_LEVEL + 1, version: "9.8.7" }.encode(&mut raised);
    raised.extend(b"what only that version can read");
    let error = fed.entry(EntryKind::FEATURE_LEVEL, &raised).unwrap_err();
    assert!(error.to_string().contains("needs version 9.8.7"), "{error}");
    assert_eq!(fed.machine.feature_level(), 0);
}

#[test]
fn the_feature_level_is_raised_and_never_lowered() {
    let mut fed = Fed::default();
    let mut raise = |level| {
        let mut payload = Vec::new();
        FeatureLevel { level, version: "0.1.0" }.encode(&mut payload);
        let (applied, _) = fed.entry(EntryKind::FEATURE_LEVEL, &payload).unwrap();
        (applied, fed.machine.feature_level())
    };
    assert_eq!(raise(1), (Applied::FeatureLevel(1), 1));
    assert_eq!(raise(1), (Applied::Nothing, 1));
    assert_eq!(raise(0), (Applied::Nothing, 1));
}

#[test]
fn a_payload_that_cannot_be_read_stops_the_machine_and_changes_nothing() {
    let mut fed = Fed::default();
    for kind in [
        EntryKind::FOUNDING,
        EntryKind::COMMAND,
        EntryKind::SETTINGS,
        EntryKind::POINT,
        EntryKind::FEATURE_LEVEL,
    ] {
        for payload in [&b""[..], b"\xfe\xfe\xfe\xfe\xfe\xfe\xfe\xfe\xfe"] {
            let error = fed.entry(kind, payload).map(|(applied, _)| applied);
            assert!(
                matches!(error, Err(ApplyError::Undecodable { kind: found, .. }) if found == kind)
                    || matches!(error, Err(ApplyError::NewerLevel { .. })),
                "{kind:?}: {error:?}"
            );
            assert_eq!(fed.machine.applied(), LogId::ORIGIN);
        }
    }
}

#[test]
fn what_has_no_meaning_for_the_machine_passes_without_a_trace() {
    let mut fed = Fed::default();
    let before = fed.machine.state_hash();
    fed.time = 5;
    for kind in [EntryKind::NOOP, EntryKind::CONFIGURATION] {
        assert_eq!(fed.entry(kind, b"any bytes").unwrap(), (Applied::Nothing, vec![]));
    }
    assert_eq!(fed.machine.state_hash(), before);
    assert_eq!((fed.machine.applied().index, fed.machine.log_time()), (Index(2), LogTime(5)));
    fed.time = 3;
    fed.entry(EntryKind::NOOP, b"").unwrap();
    assert_eq!(fed.machine.log_time(), LogTime(5), "log time never goes back");
}

#[test]
#[should_panic(expected = "one by one, in order")]
fn an_entry_out_of_order_is_a_bug_of_ours() {
    let mut fed = Fed::default();
    let id = LogId::new(Term(1), Index(2));
    let header = EntryHeader { kind: EntryKind::NOOP, id, time: LogTime(0) };
    let mut bytes = BytesMut::new();
    header.encode(b"", &mut bytes);
    let _ = fed.machine.apply(EntryRef::read(&bytes).unwrap(), &mut BytesMut::new());
}

#[test]
fn the_founding_brings_the_first_settings() {
    use crate::model::{ClusterId, Configuration, Epoch, Founding, NodeId};
    let settings = Settings { max_sessions: 99, ..Settings::default() };
    let founding = Founding {
        cluster: ClusterId(1),
        epoch: Epoch(0),
        founder: NodeId::new(1).unwrap(),
        name: "raft".to_owned(),
        configuration: Configuration::new(vec![]),
        settings: settings.encode(),
        restored: None,
    };
    let mut payload = Vec::new();
    founding.encode(&mut payload);
    let mut fed = Fed::default();
    assert_eq!(fed.entry(EntryKind::FOUNDING, &payload).unwrap().0, Applied::Nothing);
    assert_eq!(fed.machine.settings(), settings);
    let other = Settings { max_sessions: 100, ..settings };
    assert_eq!(fed.entry(EntryKind::SETTINGS, &other.encode()).unwrap().0, Applied::Settings);
    assert_eq!(fed.machine.settings(), other);
}

#[test]
fn the_door_lets_in_only_what_every_replica_can_apply() {
    let change = |operation| encoded(&Command::Change { session: None, operation });
    let long = vec![b'x'; 4097];
    let fits = change(Operation::Put { key: &long[..4096], value: &long[..1000] });
    assert_eq!(door(&fits), Ok(()));
    let text = |bytes: &[u8]| door(bytes).unwrap_err().to_string();
    let value = Operation::Put { key: b"k", value: &long[..1001] };
    assert_eq!(
        text(&change(value)),
        "the value has 1001 bytes, 1000 are allowed; nothing was changed"
    );
    let swap = Operation::CompareAndSwap {
        key: b"k",
        expected: Expected::Value(&long),
        value: &long[..1001],
    };
    assert!(door(&change(swap)).unwrap_err().is_too_large());
    let key = Operation::Put { key: &long, value: b"" };
    assert!(door(&change(key)).unwrap_err().is_too_large());
    assert_eq!(
        text(&change(Operation::Delete { key: b"" })),
        "key at offset 2: 0 is not a value of this field; nothing was changed"
    );
    let whole = change(Operation::Put { key: b"k", value: &vec![0; MAX_COMMAND_BYTES] });
    assert!(check_command(&whole, u64::MAX).unwrap_err().is_too_large());
    assert!(!door(b"").unwrap_err().is_too_large());
}

#[test]
fn the_longest_command_fits_into_an_entry_and_what_it_wrote_into_every_answer() {
    let key = [b'k'; MAX_KEY_BYTES as usize];
    let next = [b'l'; MAX_KEY_BYTES as usize];
    let put = |value| {
        let operation = Operation::Put { key: &key, value };
        encoded(&Command::Change { session: None, operation })
    };
    let value = vec![b'x'; MAX_COMMAND_BYTES - put(b"").len()];
    let bytes = put(&value);
    assert_eq!(check_command(&bytes, u64::MAX), Ok(()));
    let mut fed = Fed::default();
    fed.entry(EntryKind::COMMAND, &bytes).unwrap();
    fed.put(&next, b"");
    for query in [Query::Get { keys: vec![&key, &next] }, Query::Scan(Scan::ALL)] {
        let answer = fed.query(&query);
        assert!(answer.len() > value.len() && answer.len() < MAX_ENTRY_BYTES, "{}", answer.len());
    }
}

#[test]
fn numbers_and_names_of_sessions_are_checked_at_the_door() {
    let part = |name, number, lowest| {
        let id = SessionId { name, opened_at: LogTime(1) };
        encoded(&Command::Change {
            session: Some(SessionPart { id, number, lowest }),
            operation: Operation::Delete { key: b"k" },
        })
    };
    assert_eq!(door(&part(&[b's'; 64], u64::MAX - 1, 1)), Ok(()));
    assert!(door(&part(&[b's'; 65], 1, 1)).unwrap_err().is_too_large());
    for (name, number, lowest) in
        [(&b""[..], 1, 1), (b"s", 0, 0), (b"s", 1, 0), (b"s", 1, 2), (b"s", u64::MAX, 1)]
    {
        let error = door(&part(name, number, lowest)).unwrap_err();
        assert!(matches!(error, Rejected::Malformed(_)), "{name:?} {number} {lowest}");
    }
}

#[test]
fn settings_out_of_their_range_are_stopped_at_the_door() {
    use std::time::Duration;
    let ok = Settings::default();
    let bad = [
        Settings { session_timeout: Duration::from_millis(999), ..ok },
        Settings { session_timeout: Duration::from_secs(367 * 86_400), ..ok },
        Settings { max_sessions: 0, ..ok },
        Settings { max_sessions: u32::MAX, ..ok },
        Settings { max_answer_bytes: (8 << 20) - 1, ..ok },
        Settings { max_answer_bytes: u64::MAX, ..ok },
    ];
    assert_eq!(check_settings(&ok.encode()), Ok(()));
    for settings in bad {
        assert!(check_settings(&settings.encode()).is_err(), "{settings:?}");
    }
    let mut newer = ok.encode();
    newer[0] = 2;
    assert!(check_settings(&newer).is_err());
}
