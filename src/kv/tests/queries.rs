//! What can be asked, page by page.

use super::*;

fn filled() -> Fed {
    let mut fed = Fed::default();
    for key in ["a", "b", "b/1", "b/2", "b/3", "b0", "c"] {
        fed.put(key.as_bytes(), key.repeat(3).as_bytes());
    }
    fed
}

/// The keys of the page and the cursor behind it.
fn page(fed: &Fed, scan: Scan<'_>) -> (Vec<String>, Option<String>) {
    let answer = fed.query(&Query::Scan(scan));
    let Answer::Page { items, cursor } = Answer::decode(&answer).unwrap() else { panic!() };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for item in &items {
        let expected = item.key.repeat(3);
        assert_eq!(item.value, (!scan.keys_only).then_some(&expected[..]));
    }
    (items.iter().map(|item| text(item.key)).collect(), cursor.map(text))
}

#[test]
fn a_get_answers_key_by_key_in_the_order_asked() {
    let fed = filled();
    let answer = fed.query(&Query::Get { keys: vec![b"c", b"none", b"a", b"c"] });
    let item = |value, index| Some(Item { value, version: 1, mod_index: Index(index) });
    let expected = [item(&b"ccc"[..], 7), None, item(b"aaa", 1), item(b"ccc", 7)];
    assert_eq!(Answer::decode(&answer), Ok(Answer::Values(expected.to_vec())));
}

#[test]
fn a_get_of_more_than_fits_answers_the_first_keys() {
    let mut fed = Fed::default();
    fed.put(b"big", &vec![b'x'; 600_000]);
    fed.put(b"huge", &vec![b'x'; 1 << 20]);
    let count = |keys: Vec<&[u8]>| {
        let answer = fed.query(&Query::Get { keys });
        let Answer::Values(values) = Answer::decode(&answer).unwrap() else { panic!() };
        values.len()
    };
    assert_eq!(count(vec![b"big", b"none", b"big", b"none"]), 2);
    assert_eq!(count(vec![b"huge", b"none"]), 1);
    assert_eq!(count(vec![b"none", b"huge"]), 1);
}

#[test]
fn a_scan_gives_the_keys_with_the_prefix_and_no_others() {
    let fed = filled();
    let all = |prefix| page(&fed, Scan { prefix, ..Scan::ALL });
    let keys = |keys: &[&str]| (keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>(), None);
    assert_eq!(all(b""), keys(&["a", "b", "b/1", "b/2", "b/3", "b0", "c"]));
    assert_eq!(all(b"b"), keys(&["b", "b/1", "b/2", "b/3", "b0"]));
    assert_eq!(all(b"b/"), keys(&["b/1", "b/2", "b/3"]));
    assert_eq!(all(b"bb"), keys(&[]));
    assert_eq!(all(b"\xff"), keys(&[]));
}

#[test]
fn a_scan_begins_where_it_is_told_within_its_prefix() {
    let fed = filled();
    let from = |from| page(&fed, Scan { prefix: b"b/", from, ..Scan::ALL }).0;
    assert_eq!(from(b"b/2"), ["b/2", "b/3"]);
    assert_eq!(from(b"b/11"), ["b/2", "b/3"]);
    assert_eq!(from(b"a"), ["b/1", "b/2", "b/3"]);
    assert!(from(b"b/4").is_empty() && from(b"c").is_empty());
}

#[test]
fn pages_follow_each_other_by_their_cursors_whatever_bounds_them() {
    let fed = filled();
    let bounds = [(1, u32::MAX), (2, u32::MAX), (5, u32::MAX), (u32::MAX, 0), (u32::MAX, 80)];
    for (limit, max_bytes) in bounds {
        for keys_only in [false, true] {
            let mut found = Vec::new();
            let mut from = String::new();
            loop {
                let from_bytes = from.as_bytes();
                let scan = Scan { prefix: b"b", from: from_bytes, limit, max_bytes, keys_only };
                let (keys, cursor) = page(&fed, scan);
                assert!(!keys.is_empty() && keys.len() <= limit as usize);
                found.extend(keys);
                match cursor {
                    Some(cursor) => from = cursor,
                    None => break,
                }
            }
            assert_eq!(found, ["b", "b/1", "b/2", "b/3", "b0"], "{limit} {max_bytes}");
        }
    }
}

#[test]
fn a_page_keeps_to_its_bytes_unless_one_item_is_longer() {
    let mut fed = Fed::default();
    for number in 0..100_u8 {
        fed.put(&[b'k', number], &[b'x'; 1000]);
    }
    fed.put(b"l", &vec![b'x'; 900_000]);
    let answer = fed.query(&Query::Scan(Scan { max_bytes: 10_240, ..Scan::ALL }));
    assert!((9_000..10_300).contains(&answer.len()), "{}", answer.len());
    let answer = fed.query(&Query::Scan(Scan { from: b"l", max_bytes: 10_240, ..Scan::ALL }));
    assert!(answer.len() > 900_000);
    for number in 0..200_u8 {
        fed.put(&[b'm', number], &[b'x'; 20_000]);
    }
    let answer = fed.query(&Query::Scan(Scan { prefix: b"m", max_bytes: u32::MAX, ..Scan::ALL }));
    assert!((1_000_000..1_050_000).contains(&answer.len()), "{}", answer.len());
}

#[test]
fn a_session_tells_how_it_stands() {
    let mut fed = Fed { time: 7 * SECOND, ..Fed::default() };
    let state = |fed: &Fed| {
        let answer = fed.query(&Query::Session { name: b"s" });
        let Answer::Session(state) = Answer::decode(&answer).unwrap() else { panic!() };
        state
    };
    assert_eq!(state(&fed), None);
    let id = SessionId { name: b"s", opened_at: LogTime(5 * SECOND) };
    for (number, lowest) in [(1, 1), (2, 1), (4, 2)] {
        let operation = Operation::Increment { key: b"n", by: 1 };
        let part = SessionPart { id, number, lowest };
        fed.command(&Command::Change { session: Some(part), operation });
        fed.time += SECOND;
    }
    let expected = SessionState {
        opened_at: LogTime(5 * SECOND),
        active_at: LogTime(9 * SECOND),
        lowest: 2,
        answers: 2,
    };
    assert_eq!(state(&fed), Some(expected));
    assert_eq!(fed.machine.view().session(b"s"), Some(expected));
    assert_eq!(fed.machine.due(), Some(LogTime(9 * SECOND + 3600 * SECOND)));
    fed.command(&Command::CloseSession(id));
    assert_eq!(state(&fed).map(|state| (state.lowest, state.answers)), Some((u64::MAX, 0)));
}
