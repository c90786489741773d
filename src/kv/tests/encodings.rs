//! Encodings: these bytes, and no others, and never a panic.

use proptest::prelude::*;

use super::*;

fn sample_commands() -> Vec<Command<'static>> {
    let id = SessionId { name: b"ann", opened_at: LogTime(0x0102) };
    let session = Some(SessionPart { id, number: 7, lowest: 5 });
    let swap = |expected| Operation::CompareAndSwap { key: b"k", expected, value: b"new" };
    vec![
        Command::Change { session: None, operation: Operation::Put { key: b"k", value: b"v" } },
        Command::Change { session, operation: Operation::Delete { key: b"k" } },
        Command::Change { session: None, operation: swap(Expected::Absent) },
        Command::Change { session: None, operation: swap(Expected::Value(b"old")) },
        Command::Change { session: None, operation: swap(Expected::Version(9)) },
        Command::Change { session, operation: Operation::Increment { key: b"k", by: -2 } },
        Command::OpenSession(id),
        Command::CloseSession(id),
    ]
}

fn sample_queries() -> Vec<Query<'static>> {
    let scan = Scan { prefix: b"p", from: b"pq", limit: 3, max_bytes: 4096, keys_only: true };
    vec![
        Query::Get { keys: vec![b"a", b"bc"] },
        Query::Scan(scan),
        Query::Scan(Scan::ALL),
        Query::Session { name: b"ann" },
    ]
}

fn sample_answers() -> Vec<Answer<'static>> {
    let item = Item { value: b"v", version: 2, mod_index: Index(3) };
    let page_item = PageItem { key: b"k", value: Some(b"v"), version: 2, mod_index: Index(3) };
    let state =
        SessionState { opened_at: LogTime(1), active_at: LogTime(2), lowest: 3, answers: 4 };
    let mut answers = vec![
        Answer::Put { version: 2 },
        Answer::Deleted { existed: true },
        Answer::Swapped { version: 2 },
        Answer::NotSwapped(Found::Absent),
        Answer::NotSwapped(Found::Value(item)),
        Answer::NotSwapped(Found::Longer { length: 5000, version: 2, mod_index: Index(3) }),
        Answer::Incremented { value: -2, version: 2 },
        Answer::SessionOpened,
        Answer::SessionClosed,
        Answer::Values(vec![None, Some(item)]),
        Answer::Page { items: vec![], cursor: None },
        Answer::Page { items: vec![page_item], cursor: Some(b"next") },
        Answer::Page {
            items: vec![PageItem { value: None, ..page_item }, page_item],
            cursor: None,
        },
        Answer::Session(None),
        Answer::Session(Some(state)),
    ];
    answers.extend(refusals().map(Answer::Refused));
    answers
}

fn refusals() -> [Refusal; 7] {
    [
        Refusal::NotANumber,
        Refusal::Overflow,
        Refusal::SessionForgotten,
        Refusal::NumberForgotten { lowest: 9 },
        Refusal::AboveWindow { lowest: 9 },
        Refusal::SessionInUse { opened_at: LogTime(9) },
        Refusal::OpeningAhead { now: LogTime(9) },
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The golden bytes are written with spaces for the eye.
fn assert_golden(found: Vec<(String, Vec<u8>)>, golden: &[&str]) {
    let lines: Vec<String> =
        found.iter().map(|(what, bytes)| format!("{} {what}", hex(bytes))).collect();
    let expected: Vec<String> = golden.iter().map(|line| line.replace(' ', "")).collect();
    let stripped: Vec<String> = found.iter().map(|(_, bytes)| hex(bytes)).collect();
    assert_eq!(stripped, expected, "\n{}", lines.join("\n"));
}

fn with_bytes<T: std::fmt::Debug>(
    values: Vec<T>,
    encode: impl Fn(&T, &mut Vec<u8>),
) -> Vec<(String, Vec<u8>)> {
    let encoded = |value: &T| {
        let mut bytes = Vec::new();
        encode(value, &mut bytes);
        (format!("{value:?}"), bytes)
    };
    values.iter().map(encoded).collect()
}

#[test]
fn commands_are_these_bytes() {
    let golden = [
        "01 00 01000000 6b 01000000 76",
        "02 01 03 616e6e 0201000000000000 0700000000000000 0500000000000000 01000000 6b",
        "03 00 01000000 6b 00 03000000 6e6577",
        "03 00 01000000 6b 01 03000000 6f6c64 03000000 6e6577",
        "03 00 01000000 6b 02 0900000000000000 03000000 6e6577",
        "04 01 03 616e6e 0201000000000000 0700000000000000 0500000000000000 01000000 6b \
         feffffffffffffff",
        "10 00 03 616e6e 0201000000000000",
        "11 00 03 616e6e 0201000000000000",
    ];
    assert_golden(with_bytes(sample_commands(), |command, out| command.encode(out)), &golden);
}

#[test]
fn queries_are_these_bytes() {
    let golden = [
        "01 02000000 01000000 61 02000000 6263",
        "02 01 01000000 70 02000000 7071 03000000 00100000",
        "02 00 00000000 00000000 ffffffff 00001000",
        "03 03 616e6e",
    ];
    assert_golden(with_bytes(sample_queries(), |query, out| query.encode(out)), &golden);
}

#[test]
fn answers_are_these_bytes() {
    let golden = [
        "01 0200000000000000",
        "02 01",
        "03 0200000000000000",
        "04 00",
        "04 01 0200000000000000 0300000000000000 01000000 76",
        "04 02 0200000000000000 0300000000000000 88130000",
        "05 0200000000000000 feffffffffffffff",
        "10",
        "11",
        "20 02000000 00 01 0200000000000000 0300000000000000 01000000 76",
        "21 00",
        "21 02 01000000 6b 0200000000000000 0300000000000000 01000000 76 03 04000000 6e657874",
        "21 01 01000000 6b 0200000000000000 0300000000000000 \
         02 01000000 6b 0200000000000000 0300000000000000 01000000 76 00",
        "22 00",
        "22 01 0100000000000000 0200000000000000 0300000000000000 04000000",
        "00 01 0000000000000000",
        "00 02 0000000000000000",
        "00 03 0000000000000000",
        "00 04 0900000000000000",
        "00 05 0900000000000000",
        "00 06 0900000000000000",
        "00 07 0900000000000000",
    ];
    assert_golden(with_bytes(sample_answers(), |answer, out| answer.encode(out)), &golden);
}

#[test]
fn settings_points_and_levels_are_these_bytes() {
    let settings = hex(&Settings::default().encode());
    assert_eq!(settings, "01 00a0b83046030000 00400000 0000000400000000".replace(' ', ""));
    let mut bytes = Vec::new();
    Point { snapshot: true }.encode(&mut bytes);
    FeatureLevel { level: 1, version: "0.1.0" }.encode(&mut bytes);
    assert_eq!(hex(&bytes), "010100000005302e312e30");
}

#[test]
fn everything_reads_back_and_no_cut_or_longer_form_of_it_does() {
    for (command, (_, bytes)) in sample_commands()
        .iter()
        .zip(with_bytes(sample_commands(), |command, out| command.encode(out)))
    {
        assert_eq!(Command::decode(&bytes).as_ref(), Ok(command));
        assert_no_other(&bytes, |bytes| Command::decode(bytes).is_ok());
    }
    for (query, (_, bytes)) in
        sample_queries().iter().zip(with_bytes(sample_queries(), |query, out| query.encode(out)))
    {
        assert_eq!(Query::decode(&bytes).as_ref(), Ok(query));
        assert_no_other(&bytes, |bytes| Query::decode(bytes).is_ok());
    }
    for (answer, (_, bytes)) in
        sample_answers().iter().zip(with_bytes(sample_answers(), |answer, out| answer.encode(out)))
    {
        assert_eq!(Answer::decode(&bytes).as_ref(), Ok(answer));
        assert_no_other(&bytes, |bytes| Answer::decode(bytes).is_ok());
    }
    let settings = Settings::default().encode();
    assert_no_other(&settings, |bytes| Settings::decode(bytes).is_ok());
    assert_no_other(&[1], |bytes| Point::decode(bytes).is_ok());
}

fn assert_no_other(bytes: &[u8], reads: impl Fn(&[u8]) -> bool) {
    for length in 0..bytes.len() {
        assert!(!reads(&bytes[..length]), "{} cut at {length}", hex(bytes));
    }
    assert!(!reads(&[bytes, &[0]].concat()), "{} and a byte", hex(bytes));
}

#[test]
fn every_refusal_has_a_name_of_its_own() {
    let mut names: Vec<&str> = refusals().iter().map(Refusal::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 7);
    let decided: Vec<bool> = refusals().iter().map(Refusal::is_decided).collect();
    assert_eq!(decided, [true, true, false, false, false, false, false]);
}

proptest! {
    #[test]
    fn what_reads_at_all_is_the_one_encoding_of_what_was_read(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        first in 0..36_u8,
    ) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        let mut again = Vec::new();
        if let Ok(command) = Command::decode(&bytes) {
            command.encode(&mut again);
            prop_assert_eq!(&again, &bytes);
            again.clear();
        }
        if let Ok(query) = Query::decode(&bytes) {
            query.encode(&mut again);
            prop_assert_eq!(&again, &bytes);
            again.clear();
        }
        if let Ok(answer) = Answer::decode(&bytes) {
            answer.encode(&mut again);
            prop_assert_eq!(&again, &bytes);
        }
        let _ = (Settings::decode(&bytes), Point::decode(&bytes), FeatureLevel::decode(&bytes));
    }

    #[test]
    fn a_damaged_encoding_is_read_as_itself_or_not_at_all(
        sample in 0..27_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let mut all = with_bytes(sample_commands(), |command, out| command.encode(out));
        all.extend(with_bytes(sample_queries(), |query, out| query.encode(out)));
        all.extend(with_bytes(sample_answers(), |answer, out| answer.encode(out)));
        let mut bytes = all.swap_remove(sample).1;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut again = Vec::new();
        if sample < 8 {
            if let Ok(command) = Command::decode(&bytes) {
                command.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        } else if sample < 12 {
            if let Ok(query) = Query::decode(&bytes) {
                query.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
        } else if let Ok(answer) = Answer::decode(&bytes) {
            answer.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }
}
