//! Why a command isn't carried out.

use crate::model::{ByteReader, LogTime, Malformed, PutBytes};

/// Why a command wasn't carried out. This attempt certainly had no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The key's value isn't a decimal number of 64 bits.
    #[error("the value isn't a decimal number of 64 bits; nothing was changed")]
    NotANumber,
    /// The number would leave its 64 bits.
    #[error("the number would leave its 64 bits; nothing was changed")]
    Overflow,
    /// The session isn't remembered: it was closed, stood still for too long, made room for
    /// others, or was never opened. What an earlier attempt did isn't known.
    #[error(
        "the session isn't remembered; this attempt changed nothing, an earlier one may have: \
         read what became of it, then begin a new session"
    )]
    SessionForgotten,
    /// The session has been told that the client no longer waits for this number. What an
    /// earlier attempt did isn't known.
    #[error(
        "the number is below {lowest}, the lowest that the session waits for; this attempt \
         changed nothing, an earlier one may have"
    )]
    NumberForgotten {
        /// The lowest number that the session waits for.
        lowest: u64,
    },
    /// Too many numbers lie between the lowest that is waited for and this one.
    #[error(
        "the number is 1,024 or more above {lowest}, the lowest that the session waits for; \
         nothing was changed: wait for the answers to lower numbers first"
    )]
    AboveWindow {
        /// The lowest number that the session waits for.
        lowest: u64,
    },
    /// A session of this name is open since another, earlier time, and only an explicit opening
    /// takes its place.
    #[error(
        "the session's name is in use by one with another opening time; nothing was changed: \
         close that one, or open this one explicitly in its place"
    )]
    SessionInUse {
        /// When that session was opened.
        opened_at: LogTime,
    },
    /// The opening time lies in the future of the log.
    #[error(
        "the opening time is later than the log's own time; nothing was changed: open with a \
         log time that the cluster told"
    )]
    OpeningAhead {
        /// The log time when it was refused.
        now: LogTime,
    },
}

impl Refusal {
    /// The word for it in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Refusal::NotANumber => "not_a_number",
            Refusal::Overflow => "overflow",
            Refusal::SessionForgotten => "session_forgotten",
            Refusal::NumberForgotten { .. } => "number_forgotten",
            Refusal::AboveWindow { .. } => "above_window",
            Refusal::SessionInUse { .. } => "session_in_use",
            Refusal::OpeningAhead { .. } => "opening_ahead",
        }
    }

    /// Whether the state decided it, not the session: such a refusal is remembered like any
    /// other answer, so that in a session no other attempt of this number has an effect either.
    #[must_use]
    pub const fn is_decided(&self) -> bool {
        matches!(self, Refusal::NotANumber | Refusal::Overflow)
    }

    const fn code(&self) -> (u8, u64) {
        match self {
            Refusal::NotANumber => (1, 0),
            Refusal::Overflow => (2, 0),
            Refusal::SessionForgotten => (3, 0),
            Refusal::NumberForgotten { lowest } => (4, *lowest),
            Refusal::AboveWindow { lowest } => (5, *lowest),
            Refusal::SessionInUse { opened_at } => (6, opened_at.0),
            Refusal::OpeningAhead { now } => (7, now.0),
        }
    }

    pub(super) fn encode(&self, out: &mut impl PutBytes) {
        let (code, detail) = self.code();
        out.put_u8(code);
        out.put_u64_le(detail);
    }

    pub(super) fn decode(reader: &mut ByteReader<'_>) -> Result<Refusal, Malformed> {
        let code = reader.u8("refusal")?;
        let detail = reader.u64("detail")?;
        let refusal = match code {
            1 => Refusal::NotANumber,
            2 => Refusal::Overflow,
            3 => Refusal::SessionForgotten,
            4 => Refusal::NumberForgotten { lowest: detail },
            5 => Refusal::AboveWindow { lowest: detail },
            6 => Refusal::SessionInUse { opened_at: LogTime(detail) },
            7 => Refusal::OpeningAhead { now: LogTime(detail) },
            other => return Err(reader.invalid("refusal", 9, u64::from(other))),
        };
        if code <= 3 && detail != 0 {
            return Err(reader.invalid("detail", 8, detail));
        }
        Ok(refusal)
    }
}
