//! Texts of which nothing tells are as good as each other.

use std::collections::BTreeSet;

use super::changes::{Changed, Seen};
use super::history::{Change, Expected, Told};
use super::values::{Content, Shown, Sight};

/// The texts of which an answer or an expectation tells.
pub(super) struct ToldOf {
    texts: BTreeSet<u32>,
    lengths: BTreeSet<u32>,
}

impl ToldOf {
    pub(super) fn new(changes: &[Changed], reads: &[Seen]) -> ToldOf {
        let mut known = ToldOf { texts: BTreeSet::new(), lengths: BTreeSet::new() };
        for changed in changes {
            if let Change::Swap { expected: Expected::Value(content), .. } = changed.change {
                known.content(content);
            }
            if let Some(Told::NotSwapped(sight)) = changed.done.map(|done| done.told) {
                known.sight(sight);
            }
        }
        for (_, sight) in reads.iter().flat_map(|seen| &seen.sights) {
            known.sight(*sight);
        }
        known
    }

    fn sight(&mut self, sight: Sight) {
        match sight {
            Sight::Present { shown: Shown::Value(content), .. } => self.content(content),
            Sight::Present { shown: Shown::Length(length), .. } => {
                self.lengths.insert(length);
            }
            Sight::Present { shown: Shown::Nothing, .. } | Sight::Absent => {}
        }
    }

    fn content(&mut self, content: Content) {
        if let Content::Text { id, .. } = content {
            self.texts.insert(id);
        }
    }

    /// The change with a text that nobody has seen made the same as all such texts.
    pub(super) fn plain(&self, change: Change) -> Change {
        let plain = |content| match content {
            Content::Text { id, length }
                if !self.texts.contains(&id) && !self.lengths.contains(&length) =>
            {
                Content::Unseen
            }
            content => content,
        };
        match change {
            Change::Put(content) => Change::Put(plain(content)),
            Change::Swap { expected, value } => Change::Swap { expected, value: plain(value) },
            Change::Delete | Change::Increment(_) => change,
        }
    }
}
