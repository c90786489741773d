//! The kinds of keys: how a text is stored, shown and described.

use std::fmt;
use std::time::Duration;

use super::suggest::nearest;
use super::values;

/// One key of a section whose values go into a `T`.
pub(super) struct Key<T> {
    pub(super) name: &'static str,
    /// The default, as it would be written.
    pub(super) default: Fallback,
    pub(super) kind: Kind<T>,
    /// What the key means, in Markdown.
    pub(super) doc: &'static str,
}

/// What holds where a key isn't given.
#[derive(Clone, Copy)]
pub(super) enum Fallback {
    /// This text, as if it were written.
    Text(&'static str),
    /// Nothing; the words tell what that means.
    Absent(&'static str),
    /// A mistake: the key must be given.
    Required,
}

/// How the text of a key becomes a field of a `T`.
pub(super) enum Kind<T> {
    Switch(fn(&mut T) -> &mut bool),
    Count {
        field: fn(&mut T) -> &mut u64,
        min: u64,
        max: u64,
    },
    Duration {
        field: fn(&mut T) -> &mut Duration,
        min: Duration,
        max: Duration,
    },
    /// Bytes.
    Size {
        field: fn(&mut T) -> &mut u64,
        min: u64,
        max: u64,
        multiple_of: u64,
    },
    /// One of a few words, by its position.
    Choice {
        words: &'static [&'static str],
        store: fn(&mut T, usize),
        show: fn(&T) -> usize,
    },
    Text {
        /// What is allowed, as the reference says it.
        allowed: &'static str,
        /// Stores, or says what is allowed.
        store: fn(&mut T, &str) -> Result<(), String>,
        /// `None` where the key isn't given.
        show: fn(&T) -> Option<String>,
    },
}

impl<T: Clone> Key<T> {
    /// Stores the value that `text` means, or tells what is allowed and changes nothing.
    pub(super) fn store(&self, target: &mut T, text: &str) -> Result<(), String> {
        match &self.kind {
            Kind::Switch(field) => {
                *field(target) = values::parse_switch(text).ok_or_else(|| self.must_be())?;
            }
            Kind::Count { field, min, max } => {
                *field(target) = values::parse_count(text)
                    .filter(|number| (*min..=*max).contains(number))
                    .ok_or_else(|| self.must_be())?;
            }
            Kind::Duration { field, min, max } => {
                *field(target) = values::parse_duration(text)
                    .filter(|duration| (*min..=*max).contains(duration))
                    .ok_or_else(|| self.must_be())?;
            }
            Kind::Size { field, min, max, multiple_of } => {
                *field(target) = values::parse_size(text)
                    .filter(|size| (*min..=*max).contains(size))
                    .filter(|size| size.is_multiple_of(*multiple_of))
                    .ok_or_else(|| self.must_be())?;
            }
            Kind::Choice { words, store, .. } => {
                let found = words.iter().position(|word| word.eq_ignore_ascii_case(text));
                store(target, found.ok_or_else(|| self.must_be_word(text, words))?);
            }
            Kind::Text { store, .. } => store(target, text)?,
        }
        Ok(())
    }

    /// The value as it would be written, if there is one.
    pub(super) fn show(&self, from: &T) -> Option<String> {
        // The fields are reached through a mutable borrow, for storing and showing alike.
        let mut copy = from.clone();
        Some(match &self.kind {
            Kind::Switch(field) => values::show_switch(*field(&mut copy)),
            Kind::Count { field, .. } => field(&mut copy).to_string(),
            Kind::Duration { field, .. } => values::show_duration(*field(&mut copy)),
            Kind::Size { field, .. } => values::show_size(*field(&mut copy)),
            Kind::Choice { words, show, .. } => words[show(from)].to_owned(),
            Kind::Text { show, .. } => return show(from),
        })
    }

    fn must_be(&self) -> String {
        let example = match self.kind {
            Kind::Duration { .. } => ", such as 150ms, 2s or 5m; a bare number is milliseconds",
            Kind::Size { .. } => ", such as 64MiB; a bare number is bytes",
            _ => "",
        };
        format!("must be {}{example}", self.kind)
    }

    fn must_be_word(&self, text: &str, words: &[&'static str]) -> String {
        let hint = nearest(text, words.iter().copied())
            .map(|word| format!("; did you mean \"{word}\"?"))
            .unwrap_or_default();
        format!("{}{hint}", self.must_be())
    }
}

/// What is allowed.
impl<T> fmt::Display for Kind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Switch(_) => f.write_str("True or False (or yes, no, on, off, 1, 0)"),
            Kind::Count { min, max, .. } => write!(f, "{min}..{max}"),
            Kind::Duration { min, max, .. } => {
                let (min, max) = (values::show_duration(*min), values::show_duration(*max));
                write!(f, "a duration of {min}..{max}")
            }
            Kind::Size { min, max, multiple_of, .. } => {
                let (min, max) = (values::show_size(*min), values::show_size(*max));
                write!(f, "a size of {min}..{max}")?;
                if *multiple_of > 1 {
                    write!(f, ", a multiple of {}", values::show_size(*multiple_of))?;
                }
                Ok(())
            }
            Kind::Choice { words, .. } => f.write_str(&words.join(" or ")),
            Kind::Text { allowed, .. } => f.write_str(allowed),
        }
    }
}
