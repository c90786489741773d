//! What each operation does to the map.

use bytes::BytesMut;

use super::answer::{Answer, Found, Item, TOLD_VALUE_BYTES};
use super::command::{Expected, Operation};
use super::refusal::Refusal;
use super::store::Store;
use crate::model::Index;

impl Store {
    /// Carries an operation out and appends the answer.
    pub(super) fn change(&mut self, operation: &Operation<'_>, index: Index, out: &mut BytesMut) {
        match *operation {
            Operation::Put { key, value } => {
                Answer::Put { version: self.put(key, value, index) }.encode(out);
            }
            Operation::Delete { key } => {
                Answer::Deleted { existed: self.remove(key) }.encode(out);
            }
            Operation::CompareAndSwap { key, expected, value } => {
                let found = self.get(key);
                if expected.matches(found) {
                    Answer::Swapped { version: self.put(key, value, index) }.encode(out);
                } else {
                    Answer::NotSwapped(tell(found)).encode(out);
                }
            }
            Operation::Increment { key, by } => {
                match self.increment(key, by, index) {
                    Ok((value, version)) => Answer::Incremented { value, version },
                    Err(refusal) => Answer::Refused(refusal),
                }
                .encode(out);
            }
        }
    }

    fn increment(&mut self, key: &[u8], by: i64, index: Index) -> Result<(i64, u64), Refusal> {
        let number = match self.get(key) {
            Some(item) => read_number(item.value).ok_or(Refusal::NotANumber)?,
            None => 0,
        };
        let number = number.checked_add(by).ok_or(Refusal::Overflow)?;
        let version = self.put(key, number.to_string().as_bytes(), index);
        Ok((number, version))
    }
}

impl Expected<'_> {
    fn matches(&self, found: Option<Item<'_>>) -> bool {
        match (self, found) {
            (Expected::Absent, found) => found.is_none(),
            (Expected::Value(value), Some(item)) => *value == item.value,
            (Expected::Version(version), Some(item)) => *version == item.version,
            (_, None) => false,
        }
    }
}

fn tell(found: Option<Item<'_>>) -> Found<'_> {
    match found {
        None => Found::Absent,
        Some(item) if item.value.len() <= TOLD_VALUE_BYTES as usize => Found::Value(item),
        Some(Item { value, version, mod_index }) => {
            Found::Longer { length: value.len() as u32, version, mod_index }
        }
    }
}

/// Reads a number as increment itself writes it: decimal, without leading zeros or a plus sign.
fn read_number(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let canonical = match digits {
        [b'0'] => digits.len() == value.len(),
        [first, ..] => (b'1'..=b'9').contains(first),
        [] => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
