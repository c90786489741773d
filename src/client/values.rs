//! What calls give back: answers of the store that own their bytes.

use crate::kv::{self, Answer, Found};
use crate::model::Index;

/// The value of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// The value.
    pub value: Vec<u8>,
    /// How often the key was written since it came to be.
    pub version: u64,
    /// Which entry wrote it last.
    pub mod_index: Index,
}

impl From<kv::Item<'_>> for Value {
    fn from(item: kv::Item<'_>) -> Value {
        Value { value: item.value.to_vec(), version: item.version, mod_index: item.mod_index }
    }
}

/// What became of a compare-and-swap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Swap {
    /// The key was as expected and has the new value.
    Swapped {
        /// Its version now.
        version: u64,
    },
    /// The key isn't there; nothing was changed.
    Absent,
    /// The key has this value; nothing was changed.
    Other(Value),
    /// The key has a value that is too long to be told; nothing was changed.
    Longer {
        /// The length of the value.
        length: u32,
        /// Its version.
        version: u64,
        /// Which entry wrote it last.
        mod_index: Index,
    },
}

impl From<Found<'_>> for Swap {
    fn from(found: Found<'_>) -> Swap {
        match found {
            Found::Absent => Swap::Absent,
            Found::Value(item) => Swap::Other(item.into()),
            Found::Longer { length, version, mod_index } => {
                Swap::Longer { length, version, mod_index }
            }
        }
    }
}

/// What a number has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum {
    /// The number.
    pub value: i64,
    /// The key's version now.
    pub version: u64,
}

/// A page of keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The keys, in order.
    pub records: Vec<Record>,
    /// Where the next page begins; `None` behind the last one.
    pub cursor: Option<Vec<u8>>,
}

/// A key of a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The key.
    pub key: Vec<u8>,
    /// Its value; `None` if only keys were asked for.
    pub value: Option<Vec<u8>>,
    /// How often the key was written since it came to be.
    pub version: u64,
    /// Which entry wrote it last.
    pub mod_index: Index,
}

impl From<kv::PageItem<'_>> for Record {
    fn from(item: kv::PageItem<'_>) -> Record {
        Record {
            key: item.key.to_vec(),
            value: item.value.map(<[u8]>::to_vec),
            version: item.version,
            mod_index: item.mod_index,
        }
    }
}

/// What a change of any kind came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Changed {
    /// The key has the value.
    Put {
        /// Its version now.
        version: u64,
    },
    /// The key isn't there.
    Deleted {
        /// Whether it was there.
        existed: bool,
    },
    /// What became of a compare-and-swap.
    Swap(Swap),
    /// The key's number has grown.
    Incremented(Sum),
}

impl Changed {
    /// The answer to a change; `None` if it is one to something else.
    pub(super) fn from_answer(answer: &Answer<'_>) -> Option<Changed> {
        Some(match answer {
            Answer::Put { version } => Changed::Put { version: *version },
            Answer::Deleted { existed } => Changed::Deleted { existed: *existed },
            Answer::Swapped { version } => Changed::Swap(Swap::Swapped { version: *version }),
            Answer::NotSwapped(found) => Changed::Swap(Swap::from(*found)),
            Answer::Incremented { value, version } => {
                Changed::Incremented(Sum { value: *value, version: *version })
            }
            _ => return None,
        })
    }
}
