//! The replicated settings: what changes the results of commands, the same on every replica.

use std::time::Duration;

use bytes::BufMut;

use super::Rejected;
use crate::model::{ByteReader, Malformed};

/// The layout of the settings that this version writes and reads.
const LAYOUT: u8 = 1;

const MIN_SESSION_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_SESSION_TIMEOUT: Duration = Duration::from_secs(366 * 24 * 3600);
const MAX_SESSIONS: u32 = 1 << 20;
/// One session alone must never exceed the bound of all: see the assertion in `session.rs`.
pub(super) const MIN_ANSWER_BYTES: u64 = 8 << 20;
const MAX_ANSWER_BYTES: u64 = 16 << 30;

/// Limits and timeouts that are part of the replicated state. They begin with the founding
/// entry and change only by an entry.
///
/// ```
/// use raft_node::kv::Settings;
/// let bytes = Settings::default().encode();
/// assert_eq!(Settings::decode(&bytes).unwrap(), Settings::default());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// A session is forgotten when so much log time has passed since its last command.
    pub session_timeout: Duration,
    /// The most sessions that are remembered; beyond it the one longest inactive is forgotten.
    pub max_sessions: u32,
    /// The most bytes of remembered answers of all sessions, each counted with
    /// [`ANSWER_OVERHEAD`](super::ANSWER_OVERHEAD) bytes more; beyond it the session longest
    /// inactive is forgotten.
    pub max_answer_bytes: u64,
}

impl Default for Settings {
    /// An hour, 16,384 sessions, 64 MiB.
    fn default() -> Settings {
        Settings {
            session_timeout: Duration::from_secs(3600),
            max_sessions: 16_384,
            max_answer_bytes: 64 << 20,
        }
    }
}

impl Settings {
    /// The encoding, the payload of a settings entry and a part of the founding one:
    /// layout (1 byte: 1), session timeout in nanoseconds (8), sessions (4), answer bytes (8).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(21);
        let nanoseconds = u64::try_from(self.session_timeout.as_nanos()).unwrap_or(u64::MAX);
        out.put_u8(LAYOUT);
        out.put_u64_le(nanoseconds);
        out.put_u32_le(self.max_sessions);
        out.put_u64_le(self.max_answer_bytes);
        out
    }

    /// Reads what [`Settings::encode`] wrote; nothing may follow it, and each value must be in
    /// its range.
    pub fn decode(bytes: &[u8]) -> Result<Settings, Malformed> {
        let mut reader = ByteReader::new(bytes);
        let layout = reader.u8("layout")?;
        if layout != LAYOUT {
            return Err(reader.invalid("layout", 1, u64::from(layout)));
        }
        let nanoseconds = reader.u64("session timeout")?;
        let session_timeout = Duration::from_nanos(nanoseconds);
        if !(MIN_SESSION_TIMEOUT..=MAX_SESSION_TIMEOUT).contains(&session_timeout) {
            return Err(reader.invalid("session timeout", 8, nanoseconds));
        }
        let max_sessions = reader.u32("sessions")?;
        if !(1..=MAX_SESSIONS).contains(&max_sessions) {
            return Err(reader.invalid("sessions", 4, u64::from(max_sessions)));
        }
        let max_answer_bytes = reader.u64("answer bytes")?;
        if !(MIN_ANSWER_BYTES..=MAX_ANSWER_BYTES).contains(&max_answer_bytes) {
            return Err(reader.invalid("answer bytes", 8, max_answer_bytes));
        }
        reader.finish()?;
        Ok(Settings { session_timeout, max_sessions, max_answer_bytes })
    }
}

/// The door: whether `bytes` may be proposed as settings.
pub fn check_settings(bytes: &[u8]) -> Result<(), Rejected> {
    Settings::decode(bytes)?;
    Ok(())
}
