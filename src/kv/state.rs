//! The replicated state, and what can be asked about it.

use bytes::{BufMut, BytesMut};

use super::answer::{self, Answer, PageItem};
use super::hash::ElementHash;
use super::query::{MAX_ANSWER_BYTES, Query, Scan};
use super::session::Sessions;
use super::settings::Settings;
use super::store::Store;
use crate::model::{LogId, LogTime, Malformed};

/// The tags of the settings' and the feature level's element in the state hash.
const SETTINGS_ELEMENT: u8 = 4;
const FEATURE_LEVEL_ELEMENT: u8 = 6;

/// All that the entries up to one index have made. Cloning it takes no time.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) sessions: Sessions,
    pub(super) settings: Settings,
    pub(super) feature_level: u32,
    pub(super) applied: LogId,
    pub(super) log_time: LogTime,
}

impl State {
    /// The sum of the hashes of all elements.
    pub(super) fn hash(&self) -> u128 {
        let settings = ElementHash::new(SETTINGS_ELEMENT).bytes(&self.settings.encode()).finish();
        let level = ElementHash::new(FEATURE_LEVEL_ELEMENT).u32(self.feature_level).finish();
        [self.store.sum(), self.sessions.sum(), settings, level]
            .into_iter()
            .fold(0, u128::wrapping_add)
    }

    /// Appends the answer to `query` to `out`, or nothing if it is malformed.
    pub(super) fn query(&self, query: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
        match Query::decode(query)? {
            Query::Get { keys } => self.get(&keys, out),
            Query::Scan(scan) => self.scan(&scan, out),
            Query::Session { name } => Answer::Session(self.sessions.state(name)).encode(out),
        }
        Ok(())
    }

    fn get(&self, keys: &[&[u8]], out: &mut BytesMut) {
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

    fn scan(&self, scan: &Scan<'_>, out: &mut BytesMut) {
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
