//! Keys and values as small numbers, and what a client was shown of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use raft_node::kv::{Found, Item, PageItem};

/// A key, by the order in which keys were first heard of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key(pub(super) u32);

/// A value. Equal values are equal contents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Content {
    /// Decimal text, which can be added to.
    Number(i64),
    /// Anything else: its number among the values, and its length.
    Text { id: u32, length: u32 },
    /// Text that no answer shows and nobody expects: which one it is makes no difference.
    Unseen,
}

/// Byte strings, each with a number of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    numbers: BTreeMap<Arc<[u8]>, u32>,
    names: Vec<Arc<[u8]>>,
}

impl Names {
    pub(super) fn number(&mut self, name: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("a history has less than 2^32 names");
        let name: Arc<[u8]> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    pub(super) fn name(&self, number: u32) -> &[u8] {
        &self.names[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The numbers of the names from `from` on, in the order of the names.
    pub(super) fn from<'a>(&'a self, from: &'a [u8]) -> impl Iterator<Item = (&'a [u8], u32)> {
        let range = (Bound::Included(from), Bound::Unbounded);
        self.numbers.range::<[u8], _>(range).map(|(name, number)| (&**name, *number))
    }
}

impl Content {
    pub(super) fn of(value: &[u8], texts: &mut Names) -> Content {
        match decimal(value) {
            Some(number) => Content::Number(number),
            None => {
                let length = u32::try_from(value.len()).expect("a value is shorter than 4 GiB");
                Content::Text { id: texts.number(value), length }
            }
        }
    }
}

/// The number that stands there in the only form that counts as one.
fn decimal(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// What a client was shown of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    Absent,
    Present {
        shown: Shown,
        version: u64,
        /// The modification index.
        written: u64,
    },
}

/// How much of a value was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shown {
    Value(Content),
    Length(u32),
    Nothing,
}

impl Shown {
    pub(super) fn fits(self, content: Content) -> bool {
        match self {
            Shown::Value(value) => value == content,
            Shown::Length(told) => match content {
                Content::Text { length, .. } => length == told,
                Content::Number(number) => number.to_string().len() as u64 == u64::from(told),
                Content::Unseen => false,
            },
            Shown::Nothing => true,
        }
    }
}

impl Sight {
    pub(super) fn of_item(item: Option<Item<'_>>, texts: &mut Names) -> Sight {
        match item {
            None => Sight::Absent,
            Some(item) => Sight::Present {
                shown: Shown::Value(Content::of(item.value, texts)),
                version: item.version,
                written: item.mod_index.0,
            },
        }
    }

    pub(super) fn of_found(found: &Found<'_>, texts: &mut Names) -> Sight {
        match *found {
            Found::Absent => Sight::Absent,
            Found::Value(item) => Sight::of_item(Some(item), texts),
            Found::Longer { length, version, mod_index } => {
                Sight::Present { shown: Shown::Length(length), version, written: mod_index.0 }
            }
        }
    }

    pub(super) fn of_page_item(item: &PageItem<'_>, texts: &mut Names) -> Sight {
        let shown = match item.value {
            Some(value) => Shown::Value(Content::of(value, texts)),
            None => Shown::Nothing,
        };
        Sight::Present { shown, version: item.version, written: item.mod_index.0 }
    }
}

/// A byte string for people: in quotes, without bytes that don't print, not too long.
pub(super) struct Quoted<'a>(pub(super) &'a [u8]);

const QUOTED_BYTES: usize = 40;

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get(..QUOTED_BYTES) {
            Some(start) if self.0.len() > QUOTED_BYTES => {
                write!(f, "\"{}...\" ({} bytes)", start.escape_ascii(), self.0.len())
            }
            _ => write!(f, "\"{}\"", self.0.escape_ascii()),
        }
    }
}
