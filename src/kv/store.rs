//! The ordered map of keys to values.

use std::ops::Bound;
use std::sync::Arc;

use arrayvec::ArrayVec;
use byteorder::{ByteOrder, LittleEndian};

use super::answer::Item;
use super::key::Key;
use super::tree::{self, Tree, Value};
use crate::model::{Hash128, Index};

/// The tag of a key's element in the state hash.
const ELEMENT: u8 = 1;

/// The map. Cloning it takes no time and shares all nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    map: Tree<Key, Record>,
    bytes: u64,
    sum: u128,
}

#[derive(Clone, Debug)]
struct Record {
    value: Arc<[u8]>,
    version: u64,
    mod_index: Index,
}

impl Value for Record {
    fn count(&self) -> usize {
        Arc::strong_count(&self.value)
    }
}

impl Record {
    fn item(&self) -> Item<'_> {
        Item { value: &self.value, version: self.version, mod_index: self.mod_index }
    }
}

impl Store {
    /// The value of `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<Item<'_>> {
        self.map.get(key).map(Record::item)
    }

    /// The keys at or behind `from`, in order.
    pub(super) fn from(&self, from: &[u8]) -> impl Iterator<Item = (&[u8], Item<'_>)> {
        self.map.from(Bound::Included(from)).map(|(key, record)| (key.bytes(), record.item()))
    }

    /// The keys behind `after`, in order.
    pub(super) fn behind(&self, after: &[u8]) -> impl Iterator<Item = (&[u8], Item<'_>)> {
        self.map.from(Bound::Excluded(after)).map(|(key, record)| (key.bytes(), record.item()))
    }

    /// Gives `key` this value and tells its new version.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8], index: Index) -> u64 {
        let (sum, bytes) = (&mut self.sum, &mut self.bytes);
        let mut version = 1;
        self.map.alter(key, |present| {
            *bytes += value.len() as u64;
            match present {
                Some(record) => {
                    *sum = sum.wrapping_sub(element(key, record.item()));
                    *bytes -= record.value.len() as u64;
                    record.set_value(value);
                    record.version += 1;
                    record.mod_index = index;
                    *sum = sum.wrapping_add(element(key, record.item()));
                    version = record.version;
                    None
                }
                None => {
                    let record = Record { value: value.into(), version, mod_index: index };
                    *sum = sum.wrapping_add(element(key, record.item()));
                    *bytes += key.len() as u64;
                    Some((Key::new(key), record))
                }
            }
        });
        version
    }

    /// Removes `key` and tells whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let Some(record) = self.map.remove(key) else { return false };
        self.sum = self.sum.wrapping_sub(element(key, record.item()));
        self.bytes -= (key.len() + record.value.len()) as u64;
        true
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// The bytes of all keys and values.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The sum of the hashes of all keys.
    pub(super) const fn sum(&self) -> u128 {
        self.sum
    }
}

/// Makes a map of keys that come in order, as another replica has them.
#[derive(Debug, Default)]
pub(super) struct Builder {
    map: tree::Builder<Key, Record>,
    bytes: u64,
    sum: u128,
}

impl Builder {
    /// Adds a key. Gives false if it isn't behind the last one.
    pub(super) fn push(&mut self, key: &[u8], item: Item<'_>) -> bool {
        let Item { value, version, mod_index } = item;
        let record = Record { value: value.into(), version, mod_index };
        if !self.map.push(Key::new(key), record) {
            return false;
        }
        self.sum = self.sum.wrapping_add(element(key, item));
        self.bytes += (key.len() + value.len()) as u64;
        true
    }

    /// The map.
    pub(super) fn finish(self) -> Store {
        Store { map: self.map.finish(), bytes: self.bytes, sum: self.sum }
    }
}

impl Record {
    /// Takes over the value, in place where it has the same length and no view shares it.
    fn set_value(&mut self, value: &[u8]) {
        match Arc::get_mut(&mut self.value) {
            Some(own) if own.len() == value.len() => own.copy_from_slice(value),
            _ => self.value = value.into(),
        }
    }
}

/// An element up to so many bytes long is put together before it is hashed.
const TOGETHER_BYTES: usize = 256;

fn element(key: &[u8], item: Item<'_>) -> u128 {
    let mut head = [ELEMENT; 21];
    LittleEndian::write_u64(&mut head[1..9], item.version);
    LittleEndian::write_u64(&mut head[9..17], item.mod_index.0);
    LittleEndian::write_u32(&mut head[17..21], key.len() as u32);
    // Hashing one piece takes half of the time that three take, and a start does little else.
    let mut whole = ArrayVec::<u8, TOGETHER_BYTES>::new();
    let pieces = [&head, key, item.value];
    match pieces.iter().try_for_each(|piece| whole.try_extend_from_slice(piece)) {
        Ok(()) => Hash128::new().bytes(&whole).finish(),
        Err(_) => pieces.iter().fold(Hash128::new(), |hash, piece| hash.bytes(piece)).finish(),
    }
}
