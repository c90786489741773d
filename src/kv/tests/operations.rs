//! What each operation does.

use super::*;

fn item(value: &[u8], version: u64, index: u64) -> Item<'_> {
    Item { value, version, mod_index: Index(index) }
}

#[test]
fn versions_count_the_writes_of_a_key_and_begin_again_when_it_was_removed() {
    let mut fed = Fed::default();
    let put = Operation::Put { key: b"k", value: b"v" };
    let delete = Operation::Delete { key: b"k" };
    fed.change(put, &Answer::Put { version: 1 });
    fed.change(put, &Answer::Put { version: 2 });
    fed.change(delete, &Answer::Deleted { existed: true });
    fed.change(delete, &Answer::Deleted { existed: false });
    fed.change(put, &Answer::Put { version: 1 });
    assert_eq!(fed.machine.view().get(b"k"), Some(item(b"v", 1, 5)));
}

#[test]
fn a_swap_takes_place_only_where_the_key_is_as_expected() {
    let mut fed = Fed::default();
    let swap = |expected, value| Operation::CompareAndSwap { key: b"k", expected, value };
    let absent = Answer::NotSwapped(Found::Absent);
    fed.change(swap(Expected::Value(b""), b"x"), &absent);
    fed.change(swap(Expected::Version(0), b"x"), &absent);
    fed.change(swap(Expected::Absent, b"a"), &Answer::Swapped { version: 1 });
    let found = Answer::NotSwapped(Found::Value(item(b"a", 1, 3)));
    fed.change(swap(Expected::Absent, b"x"), &found);
    fed.change(swap(Expected::Value(b"b"), b"x"), &found);
    fed.change(swap(Expected::Version(2), b"x"), &found);
    fed.change(swap(Expected::Value(b"a"), b"b"), &Answer::Swapped { version: 2 });
    fed.change(swap(Expected::Version(2), b"c"), &Answer::Swapped { version: 3 });
    assert_eq!(fed.machine.view().get(b"k"), Some(item(b"c", 3, 8)));
}

#[test]
fn a_swap_that_fails_tells_a_long_value_by_its_length_only() {
    let mut fed = Fed::default();
    let swap = Operation::CompareAndSwap { key: b"k", expected: Expected::Absent, value: b"" };
    let longest_told = vec![b'x'; TOLD_VALUE_BYTES as usize];
    fed.put(b"k", &longest_told);
    fed.change(swap, &Answer::NotSwapped(Found::Value(item(&longest_told, 1, 1))));
    fed.put(b"k", &[&longest_told[..], b"x"].concat());
    let longer = Found::Longer { length: 4097, version: 2, mod_index: Index(3) };
    fed.change(swap, &Answer::NotSwapped(longer));
}

#[test]
fn an_increment_adds_to_a_decimal_number_and_an_absent_key_counts_as_none() {
    let mut fed = Fed::default();
    let increment = |by| Operation::Increment { key: b"n", by };
    fed.change(increment(0), &Answer::Incremented { value: 0, version: 1 });
    fed.change(increment(5), &Answer::Incremented { value: 5, version: 2 });
    fed.change(increment(-7), &Answer::Incremented { value: -2, version: 3 });
    assert_eq!(fed.value(b"n").unwrap(), b"-2");
    fed.put(b"n", b"40");
    fed.change(increment(2), &Answer::Incremented { value: 42, version: 5 });
}

#[test]
fn an_increment_that_would_leave_64_bits_is_refused_at_both_ends() {
    let mut fed = Fed::default();
    for (value, fits, leaves) in [(i64::MAX, 0, 1), (i64::MIN, 0, -1), (1, i64::MAX - 1, i64::MAX)]
    {
        fed.put(b"n", value.to_string().as_bytes());
        let before = fed.machine.view().get(b"n").map(|item| (item.version, item.mod_index));
        let overflow = Answer::Refused(Refusal::Overflow);
        fed.change(Operation::Increment { key: b"n", by: leaves }, &overflow);
        let after = fed.machine.view().get(b"n").map(|item| (item.version, item.mod_index));
        assert_eq!(before, after);
        let (_, answer) = fed.command(&Command::Change {
            session: None,
            operation: Operation::Increment { key: b"n", by: fits },
        });
        assert!(matches!(Answer::decode(&answer), Ok(Answer::Incremented { .. })));
    }
}

#[test]
fn an_increment_of_what_is_no_number_is_refused() {
    let mut fed = Fed::default();
    let values: [&[u8]; 13] = [
        b"",
        b"-",
        b"+1",
        b"01",
        b"-0",
        b"00",
        b" 1",
        b"1 ",
        b"1\n",
        b"1.0",
        b"0x1",
        b"\xff",
        b"9223372036854775808",
    ];
    for value in values {
        fed.put(b"n", value);
        let refused = Answer::Refused(Refusal::NotANumber);
        fed.change(Operation::Increment { key: b"n", by: 1 }, &refused);
        assert_eq!(fed.value(b"n").unwrap(), value);
    }
}

#[test]
fn keys_and_bytes_are_counted() {
    let mut fed = Fed::default();
    let counts = |fed: &Fed| (fed.machine.keys(), fed.machine.bytes());
    fed.put(b"key", b"12345");
    assert_eq!(counts(&fed), (1, 8));
    fed.put(b"key", b"1");
    fed.put(&[b'k'; 100], b"");
    assert_eq!(counts(&fed), (2, 104));
    fed.command(&Command::Change { session: None, operation: Operation::Delete { key: b"key" } });
    assert_eq!(counts(&fed), (1, 100));
}

#[test]
fn a_view_stays_as_it_is_and_may_be_read_and_dropped_elsewhere() {
    let mut fed = Fed::default();
    for number in 0..1000_u32 {
        fed.put(&number.to_be_bytes(), b"before");
    }
    let view = fed.machine.view();
    for number in 0..1000_u32 {
        match number % 3 {
            0 => fed.put(&number.to_be_bytes(), b"behind"),
            1 => fed.put(&number.to_be_bytes(), b"of another length"),
            _ => {
                let key = number.to_be_bytes();
                fed.change(Operation::Delete { key: &key }, &Answer::Deleted { existed: true });
            }
        }
    }
    fed.put(b"new", b"");
    let read = std::thread::spawn(move || {
        let untouched = view.range(b"").filter(|(_, item)| item.value == b"before").count();
        (untouched, view.keys(), view.applied().index, view.bytes())
    });
    assert_eq!(read.join().unwrap(), (1000, 1000, Index(1000), 10_000));
    assert_eq!(fed.machine.keys(), 668);
}
