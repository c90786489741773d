//! The replicated state, and what can be asked about it.

use bytes::{BufMut, BytesMut};

use super::answer::{self, Answer, Item, PageItem, SessionState};
use super::query::{MAX_ANSWER_BYTES, Query, Scan};
use super::session::Sessions;
use super::settings::Settings;
use super::store::Store;
use crate::model::{Hash128, LogId, LogTime, Malformed};

/// The tags of the settings' and the feature level's element in the state hash.
const SETTINGS_ELEMENT: u8 = 4;
const FEATURE_LEVEL_ELEMENT: u8 = 6;

/// All that the entries up to one index have made.
///
/// A clone is an image of that moment. It takes no time, since it shares all that hasn't changed
/// since; what the machine changes while the image lives is copied, so an image should be dropped
/// when it isn't needed any more.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) store: Store,
    pub(super) sessions: Sessions,
    pub(super) settings: Settings,
    pub(super) feature_level: u32,
    pub(super) applied: LogId,
    pub(super) log_time: LogTime,
}

impl State {
    /// Appends the answer to a [`Query`] to `out`.
    ///
    /// # Errors
    ///
    /// Nothing is appended if the query is malformed.
    pub fn query(&self, query: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
        match Query::decode(query)? {
            Query::Get { keys } => self.answer_get(&keys, out),
            Query::Scan(scan) => self.answer_scan(&scan, out),
            Query::Session { name } => Answer::Session(self.session(name)).encode(out),
        }
        Ok(())
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Item<'_>> {
        self.store.get(key)
    }

    /// All keys at or behind `from` with their values, in order.
    pub fn range(&self, from: &[u8]) -> impl Iterator<Item = (&[u8], Item<'_>)> {
        self.store.from(from)
    }

    /// What is remembered of the session of this name.
    #[must_use]
    pub fn session(&self, name: &[u8]) -> Option<SessionState> {
        self.sessions.state(name)
    }

    /// The last entry that was applied.
    #[must_use]
    pub const fn applied(&self) -> LogId {
        self.applied
    }

    /// The time of the log at that entry. Clients are told it when they begin a session.
    #[must_use]
    pub const fn log_time(&self) -> LogTime {
        self.log_time
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// The feature level in force.
    #[must_use]
    pub const fn feature_level(&self) -> u32 {
        self.feature_level
    }

    /// The hash of the state; docs/state-machine.md defines it.
    #[must_use]
    pub fn state_hash(&self) -> u128 {
        let settings = Hash128::element(SETTINGS_ELEMENT).bytes(&self.settings.encode()).finish();
        let level = Hash128::element(FEATURE_LEVEL_ELEMENT).u32(self.feature_level).finish();
        [self.store.sum(), self.sessions.sum(), settings, level]
            .into_iter()
            .fold(0, u128::wrapping_add)
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.store.len()
    }

    /// The bytes of all keys and values.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// How many sessions are remembered.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions.len()
    }

    /// The earliest log time at which something falls due, so that a point is worth proposing
    /// then.
    #[must_use]
    pub fn due(&self) -> Option<LogTime> {
        self.sessions.due(&self.settings)
    }

    fn answer_get(&self, keys: &[&[u8]], out: &mut BytesMut) {
        answer::put_values_head(out);
        let count_at = out.len();
        out.put_u32_le(0);
        let mut count: u32 = 0;
        let mut bytes = 0;
        for key in keys {
            let item = self.store.get(key);
            bytes += answer::value_bytes(item);
            if count > 0 && bytes > MAX_ANSWER_BYTES as usize {
                break;
            }
            answer::put_value(item, out);
            count += 1;
        }
        out[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
    }

    fn answer_scan(&self, scan: &Scan<'_>, out: &mut BytesMut) {
        answer::put_page_head(out);
        let budget = scan.max_bytes.min(MAX_ANSWER_BYTES) as usize;
        let mut bytes = 0;
        for (count, (key, item)) in self.store.from(scan.prefix.max(scan.from)).enumerate() {
            if !key.starts_with(scan.prefix) {
                break;
            }
            let value = if scan.keys_only { None } else { Some(item.value) };
            let item = PageItem { key, value, version: item.version, mod_index: item.mod_index };
            bytes += answer::page_item_bytes(item);
            if count == scan.limit as usize || (count > 0 && bytes > budget) {
                return answer::put_page_end(Some(key), out);
            }
            answer::put_page_item(item, out);
        }
        answer::put_page_end(None, out);
    }
}
