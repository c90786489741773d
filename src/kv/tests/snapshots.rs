//! The content of snapshots: the same bytes for the same state, and the same state for the bytes.

use proptest::prelude::*;

use super::properties::{Seen, Step, TICK, go_on, steps};
use super::*;

const PAGE: &str = include_str!("../../../docs/state-machine.md");

/// The content of a snapshot of this state, cut into pieces of so many bytes.
fn pieces(state: &State, max_bytes: usize) -> Vec<Vec<u8>> {
    let mut image = state.image();
    let mut pieces = Vec::new();
    loop {
        let mut piece = BytesMut::from(&b"before"[..]);
        let more = image.next(&mut piece, max_bytes);
        assert!(piece.starts_with(b"before"), "it appends");
        pieces.push(piece[6..].to_vec());
        if !more {
            return pieces;
        }
    }
}

fn content(state: &State) -> Vec<u8> {
    pieces(state, 1 << 30).concat()
}

fn load(content: &[u8], max_bytes: usize) -> Result<Machine, LoadError> {
    let mut loader = Loader::new();
    for piece in content.chunks(max_bytes) {
        if let Err(error) = loader.take(piece) {
            assert_eq!(loader.take(b""), Err(error), "it stays refused");
            assert_eq!(loader.finish().unwrap_err(), error);
            return Err(error);
        }
    }
    loader.finish()
}

fn refused(content: &[u8]) -> LoadError {
    load(content, 1 << 30).expect_err("it isn't the content of a snapshot")
}

/// The bytes of the page's example.
fn example_of_the_page() -> Vec<u8> {
    let block = PAGE.lines().skip_while(|line| *line != "```hex snapshot").skip(1);
    block
        .take_while(|line| *line != "```")
        .flat_map(|line| line.split("  ").next().into_iter().flat_map(str::split_whitespace))
        .flat_map(|word| word.as_bytes().chunks(2))
        .map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect()
}

/// A state with many keys, some longer than a node of the tree holds, a value of a piece's
/// length, and sessions with several answers.
fn large() -> Fed {
    let mut fed = Fed { time: SECOND, ..Fed::default() };
    for number in 0..3000_u32 {
        let key = match number % 7 {
            0 => format!("a key that isn't so short: {number}"),
            _ => format!("{}", number.wrapping_mul(2_654_435_761)),
        };
        fed.put(key.as_bytes(), format!("value {number}").as_bytes());
    }
    fed.put(b"long", &[7; 100_000]);
    for number in 1..200_u64 {
        let name = [b"one", b"two"][(number % 2) as usize];
        let id = SessionId { name, opened_at: LogTime(SECOND) };
        let session = Some(SessionPart { id, number: number.div_ceil(2), lowest: 1 });
        let operation = Operation::Increment { key: b"counter", by: 3 };
        fed.command(&Command::Change { session, operation });
    }
    fed
}

#[test]
fn the_content_of_a_known_state_is_that_of_the_page() {
    let content = content(&Fed::example().machine);
    let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(content, example_of_the_page(), "{hex}");
    assert_eq!(load(&content, 7).unwrap().keys(), 3);
}

#[test]
fn how_the_content_is_cut_changes_neither_it_nor_what_is_loaded() {
    let machine = large().machine;
    let whole = content(&machine);
    for max_bytes in [1, 2, 39, 1000, 61_440, whole.len() - 1, whole.len()] {
        let pieces = pieces(&machine, max_bytes);
        let (last, others) = pieces.split_last().unwrap();
        assert!(others.iter().all(|piece| piece.len() == max_bytes), "cut at {max_bytes}");
        assert!(!last.is_empty() && last.len() <= max_bytes, "cut at {max_bytes}");
        assert!(pieces.concat() == whole, "cut at {max_bytes}");
        let loaded = load(&whole, max_bytes).unwrap();
        assert_eq!(loaded.bytes(), machine.bytes());
        assert_eq!((loaded.applied(), loaded.log_time()), (machine.applied(), machine.log_time()));
        assert!(content(&loaded) == whole, "loaded in pieces of {max_bytes}");
    }
}

#[test]
fn an_image_stays_as_it_was_while_the_machine_goes_on() {
    let mut fed = large();
    let before = content(&fed.machine);
    let mut image = fed.machine.image();
    let mut found = BytesMut::new();
    let mut number = 0;
    while image.next(&mut found, 1000) {
        number += 1;
        fed.put(b"counter", b"");
        fed.put(format!("{number}").as_bytes(), b"new");
        let key = fed.machine.view().range(b"").nth(5).unwrap().0.to_vec();
        fed.command(&Command::Change { session: None, operation: Operation::Delete { key: &key } });
    }
    assert!(found == before);
}

#[test]
fn the_way_to_a_state_leaves_no_trace_in_the_content() {
    let noise = |number: u64| format!("{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
    let keeps = |number: u64| number.is_multiple_of(3);
    let [mut noisy, mut quiet] = [Fed::default(), Fed::default()];
    for number in 0..4000 {
        let key = noise(number);
        if keeps(number) {
            noisy.put(key.as_bytes(), b"kept");
            quiet.put(key.as_bytes(), b"kept");
        } else {
            noisy.put(format!("{key} goes").as_bytes(), b"");
            quiet.entry(EntryKind::NOOP, b"").unwrap();
        }
    }
    for number in (0..4000).filter(|&number| !keeps(number)) {
        let key = format!("{} goes", noise(number));
        let operation = Operation::Delete { key: key.as_bytes() };
        noisy.command(&Command::Change { session: None, operation });
        quiet.entry(EntryKind::NOOP, b"").unwrap();
    }
    assert_eq!(noisy.machine.state_hash(), quiet.machine.state_hash());
    assert!(content(&noisy.machine) == content(&quiet.machine));
}

#[test]
fn a_loaded_machine_evicts_and_expires_the_sessions_that_the_first_one_does() {
    let mut fed = Fed { time: SECOND, ..Fed::default() };
    fed.set(Settings { max_sessions: 3, ..Settings::default() });
    let id = |name| SessionId { name, opened_at: LogTime(SECOND) };
    for name in [b"b", b"a", b"c", b"b"] {
        fed.time += SECOND;
        fed.command(&Command::OpenSession(id(name)));
    }
    let mut loaded = Fed { machine: load(&content(&fed.machine), 1).unwrap(), ..fed };
    loaded.time += SECOND;
    let newer = SessionId { name: b"d", opened_at: LogTime(loaded.time) };
    loaded.command(&Command::OpenSession(newer));
    let remembered =
        |fed: &Fed| [&b"a"[..], b"b", b"c", b"d"].map(|name| fed.machine.session(name).is_some());
    assert_eq!(remembered(&loaded), [false, true, true, true], "`a` was longest inactive");
    let due = loaded.machine.due().unwrap();
    assert_eq!(due, LogTime(4 * SECOND) + Settings::default().session_timeout, "that of `c`");
    loaded.time = due.0;
    loaded.entry(EntryKind::NOOP, b"").unwrap();
    assert_eq!(remembered(&loaded), [false, true, false, true]);
}

/// A change of the page's example.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> LoadError {
    let mut content = content(&Fed::example().machine);
    change(&mut content);
    refused(&content)
}

/// Where the parts of the example begin: head, session, answer, three keys, end.
const PARTS: [usize; 8] = [0, 59, 99, 145, 222, 256, 290, 331];

#[test]
fn what_is_not_the_content_of_a_snapshot_is_refused_and_says_why() {
    let text = |error: LoadError| error.to_string();
    let part = |at: usize| PARTS[at]..PARTS[at + 1];
    assert_eq!(content(&Fed::example().machine).len(), PARTS[7]);
    let swapped = changed(|content| {
        let key = content.drain(part(3)).collect::<Vec<u8>>();
        content.splice(179..179, key);
    });
    assert_eq!(
        text(swapped),
        "the snapshot's content is damaged: the key at offset 179 can't follow what stands before \
         it; nothing of it is used"
    );
    let twice = |at: usize| {
        changed(|content| {
            let again = content[part(at)].to_vec();
            content.splice(PARTS[at]..PARTS[at], again);
        })
    };
    for (at, what) in
        [(0, "part"), (1, "session"), (2, "answer"), (3, "key"), (4, "key"), (6, "byte")]
    {
        assert_eq!(twice(at), LoadError::OutOfOrder { part: what, offset: PARTS[at + 1] as u64 });
    }
    for (at, parts, told) in [(2, "answers", 1), (3, "keys", 3), (5, "keys", 3)] {
        let without = changed(|content| drop(content.drain(part(at))));
        assert_eq!(without, LoadError::WrongCount { parts, told, found: told - 1 });
    }
    let without_session = changed(|content| drop(content.drain(part(1))));
    assert_eq!(without_session, LoadError::OutOfOrder { part: "answer", offset: 59 });
    let late = changed(|content| {
        let session = content[PARTS[1]..PARTS[3]].to_vec();
        content.splice(PARTS[4]..PARTS[4], session);
    });
    assert_eq!(late, LoadError::OutOfOrder { part: "part", offset: PARTS[4] as u64 });
    assert_eq!(refused(b""), LoadError::Cut { offset: 0 });
    assert_eq!(changed(|content| content.truncate(300)), LoadError::Cut { offset: 300 });
    assert_eq!(changed(|content| content.truncate(290)), LoadError::Cut { offset: 290 });
    let other_value = changed(|content| content[PARTS[6] - 1] ^= 1);
    assert!(matches!(other_value, LoadError::WrongHash { .. }), "{other_value:?}");
}

#[test]
fn what_no_state_has_is_refused() {
    let impossible = |at: usize, bytes: &[u8]| match changed(|content| {
        content[at..at + bytes.len()].copy_from_slice(bytes);
    }) {
        LoadError::Impossible { field, .. } => field,
        LoadError::Malformed { error: Malformed::Invalid { field, .. }, .. }
        | LoadError::Malformed { error: Malformed::TooLarge { field, .. }, .. } => field,
        other => panic!("{other:?}"),
    };
    let zero = [0; 8];
    let high = (u64::MAX >> 1).to_le_bytes();
    let [session, answer, key, value] = [PARTS[1], PARTS[2], PARTS[3], PARTS[3] + 17 + 56];
    for (at, bytes, field) in [
        (29, &high[..], "forgotten"),
        (38, &[2][..], "layout"),
        (39, &zero[..], "session timeout"),
        (47, &zero[..4], "sessions"),
        (51, &zero[..], "answer bytes"),
        (session + 1, &high[..], "opening time"),
        (session + 9, &zero[..], "lowest number"),
        (session + 17, &high[..], "index of the last activity"),
        (session + 25, &high[..], "time of the last activity"),
        (session + 33, &[65], "session name"),
        (session + 33, &[0], "session name"),
        (answer + 9, &high[..], "index"),
        (answer + 17, &high[..], "term"),
        (answer + 25, &high[..4], "answer"),
        (key, &[9], "part"),
        (key + 1, &zero[..], "version"),
        (key + 1, &[3], "version"),
        (key + 9, &high[..], "modification index"),
        (key + 17, &zero[..4], "key"),
        (key + 17, &[1, 16, 0, 0], "key"),
        (value, &high[..4], "value"),
    ] {
        assert_eq!(impossible(at, bytes), field, "at {at}");
    }
    let number = |number: u8| changed(|content| content[answer + 1] = number);
    assert_eq!(number(0), LoadError::OutOfOrder { part: "answer", offset: answer as u64 });
}

#[test]
fn what_a_newer_version_wrote_says_that_a_newer_version_is_needed() {
    let layout = changed(|content| content[0] = 2);
    assert_eq!(
        layout.to_string(),
        format!(
            "the snapshot's content is of layout 2, which version {} doesn't know; nothing is \
             lost: start a newer version of raft on this directory",
            env!("CARGO_PKG_VERSION")
        )
    );
    let level = changed(|content| content[1] = 2);
    assert_eq!(level, LoadError::NewerLevel { level: 2 });
}

#[test]
fn more_than_the_settings_allow_is_refused() {
    let mut fed = Fed { time: SECOND, ..Fed::default() };
    for name in [&b"a"[..], b"b", b"c"] {
        fed.command(&Command::OpenSession(SessionId { name, opened_at: LogTime(SECOND) }));
    }
    let mut content = content(&fed.machine);
    content[47..51].copy_from_slice(&2_u32.to_le_bytes());
    assert!(matches!(refused(&content), LoadError::TooMany { parts: "sessions", .. }));
}

#[test]
fn no_flipped_bit_gives_a_state_that_is_not_told() {
    let good = content(&Fed::example().machine);
    let mut accepted = Vec::new();
    for bit in 0..good.len() * 8 {
        let mut damaged = good.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(machine) = load(&damaged, 61_440) {
            assert!(content(&machine) == damaged, "bit {bit}");
            accepted.push(bit / 8);
        }
    }
    accepted.dedup();
    // Of the last entry's term and index and of log time the state hash says nothing.
    assert!(accepted.iter().all(|byte| (5..29).contains(byte)), "{accepted:?}");
}

/// What the machines are asked while they go on, and what they answer.
type Told = Vec<(Index, Vec<u8>, u128)>;

fn go<'a>(fed: &mut Fed, sent: &mut Vec<&'a [u8]>, steps: &'a [Step]) -> Told {
    let mut told = Told::new();
    go_on(fed, sent, steps, |fed, seen| {
        if let Seen::Command(_, index, answer) = seen {
            told.push((index, answer, fed.machine.state_hash()));
        }
    });
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_loaded_machine_goes_on_like_the_first(
        before in steps(),
        after in steps(),
        written in 1..300_usize,
        read in 1..300_usize,
    ) {
        let mut first = Fed { time: TICK, ..Fed::default() };
        let mut sent = Vec::new();
        go(&mut first, &mut sent, &before);
        let content_here = pieces(&first.machine, written).concat();
        let machine = load(&content_here, read).unwrap();
        prop_assert_eq!(&content(&machine), &content_here);
        let mut loaded = Fed { machine, ..first };
        let told = go(&mut first, &mut sent.clone(), &after);
        prop_assert_eq!(go(&mut loaded, &mut sent, &after), told);
        prop_assert_eq!(content(&first.machine), content(&loaded.machine));
        prop_assert_eq!(first.machine.due(), loaded.machine.due());
    }

    #[test]
    fn damaged_content_is_refused_or_is_that_of_another_state(
        before in steps(),
        damage in prop::collection::vec(damages(), 1..4),
        read in 1..300_usize,
    ) {
        let mut fed = Fed { time: TICK, ..Fed::default() };
        go(&mut fed, &mut Vec::new(), &before);
        let mut damaged = content(&fed.machine);
        for damage in damage {
            damage.apply(&mut damaged);
        }
        if let Ok(machine) = load(&damaged, read) {
            let told = u128::from_le_bytes(*damaged.last_chunk().unwrap());
            prop_assert_eq!(machine.state_hash(), told);
            prop_assert_eq!(content(&machine), damaged);
        }
    }

    #[test]
    fn no_bytes_at_all_make_the_loader_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        kinds in prop::collection::vec((any::<prop::sample::Index>(), 1..6_u8), 0..20),
    ) {
        for (at, kind) in kinds {
            if let Some(byte) = bytes.len().checked_sub(1).map(|last| at.index(last + 1)) {
                bytes[byte] = kind;
            }
        }
        let head = &content(&Machine::new())[..PARTS[1]];
        let _ = (load(&bytes, 50), load(&[head, &bytes].concat(), 50));
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Byte(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn damages() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        6 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => at().prop_map(Damage::Cut),
        2 => (at(), 1..80_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        2 => (at(), 1..80_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
    ]
}

impl Damage {
    fn apply(&self, content: &mut Vec<u8>) {
        if content.is_empty() {
            return;
        }
        let range = |at: &prop::sample::Index, length: usize| {
            let start = at.index(content.len());
            start..content.len().min(start + length)
        };
        match self {
            Damage::Byte(at, byte) => {
                let at = range(at, 1).start;
                content[at] = *byte;
            }
            Damage::Cut(at) => content.truncate(range(at, 1).start),
            Damage::Remove(at, length) => drop(content.drain(range(at, *length))),
            Damage::Repeat(at, length) => {
                let range = range(at, *length);
                let again = content[range.clone()].to_vec();
                content.splice(range.start..range.start, again);
            }
        }
    }
}
