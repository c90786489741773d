//! Directories: what names mean to programs, and what of that the device may not have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub(super) type Names = BTreeMap<String, u32>;

/// A change of names: each name with what it means from then on.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) sets: Vec<(String, Option<u32>)>,
}

/// A directory.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) exists: bool,
    /// What names mean to programs.
    pub(super) names: Names,
    /// What they mean to the device.
    pub(super) durable: Names,
    /// Changes that no sync has made durable, in order.
    pub(super) pending: Vec<Change>,
    /// Until when it is busy with operations that were run already.
    pub(super) busy_until: u64,
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Directory {
        Directory {
            path,
            exists: true,
            names: Names::new(),
            durable: Names::new(),
            pending: Vec::new(),
            busy_until: 0,
        }
    }

    /// Does a change, and gives what the names meant before.
    pub(super) fn change(&mut self, change: Change) -> Vec<(String, Option<u32>)> {
        let before =
            change.sets.iter().map(|(name, _)| (name.clone(), self.names.get(name).copied()));
        let before = before.collect();
        apply(&mut self.names, &change.sets);
        self.pending.push(change);
        before
    }

    /// The power goes: `keep` is asked of each change that isn't durable whether it is kept, and
    /// told which it is. A change is lost with every earlier one of a name of it.
    pub(super) fn cut(&mut self, keep: &mut dyn FnMut(&Change) -> bool) -> (u64, Vec<Change>) {
        let mut lost: BTreeSet<String> = BTreeSet::new();
        let mut kept = Vec::new();
        let mut lost_count = 0;
        for change in std::mem::take(&mut self.pending) {
            let depends = change.sets.iter().any(|(name, _)| lost.contains(name));
            if depends || !keep(&change) {
                lost.extend(change.sets.into_iter().map(|(name, _)| name));
                lost_count += 1;
                continue;
            }
            apply(&mut self.durable, &change.sets);
            kept.push(change);
        }
        self.names = self.durable.clone();
        (lost_count, kept)
    }
}

pub(super) fn apply(names: &mut Names, sets: &[(String, Option<u32>)]) {
    for (name, file) in sets {
        match file {
            Some(file) => names.insert(name.clone(), *file),
            None => names.remove(name),
        };
    }
}
