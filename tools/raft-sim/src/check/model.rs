//! What a correct store makes of one key.

use super::history::{Change, Expected, Told};
use super::values::{Content, Sight};

/// What a key holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Held {
    pub(super) content: Content,
    pub(super) version: u64,
}

/// A key's state.
pub(super) type State = Option<Held>;

/// The state behind a change that was told `told`, or `None` if it can't have been told that.
pub(super) fn after(state: State, change: Change, told: Told) -> Option<State> {
    let next = next(state, change);
    let is_right = match told {
        Told::Put { version } | Told::Swapped { version } => {
            next.is_some_and(|held| held.is_some_and(|held| held.version == version))
        }
        Told::Deleted { existed } => existed == state.is_some(),
        Told::NotSwapped(sight) => next.is_none() && shows(sight, state),
        Told::Incremented { value, version } => {
            next == Some(Some(Held { content: Content::Number(value), version }))
        }
        Told::NotANumber => state.is_some_and(|held| number(Some(held)).is_none()),
        Told::Overflow => next.is_none() && number(state).is_some(),
    };
    is_right.then_some(next.unwrap_or(state))
}

/// The state behind a change, or `None` if it has no effect.
pub(super) fn next(state: State, change: Change) -> Option<State> {
    let version = state.map_or(0, |held| held.version) + 1;
    let content = match change {
        Change::Put(content) => content,
        Change::Delete => return state.map(|_| None),
        Change::Swap { expected, value } => expects(expected, state).then_some(value)?,
        Change::Increment(by) => Content::Number(number(state)?.checked_add(by)?),
    };
    Some(Some(Held { content, version }))
}

/// Whether who sees this sees the state.
pub(super) fn shows(sight: Sight, state: State) -> bool {
    match (sight, state) {
        (Sight::Absent, None) => true,
        (Sight::Present { shown, version, .. }, Some(held)) => {
            version == held.version && shown.fits(held.content)
        }
        _ => false,
    }
}

fn expects(expected: Expected, state: State) -> bool {
    match expected {
        Expected::Absent => state.is_none(),
        Expected::Value(content) => state.is_some_and(|held| held.content == content),
        Expected::Version(version) => state.is_some_and(|held| held.version == version),
    }
}

/// What is added to.
fn number(state: State) -> Option<i64> {
    match state {
        None => Some(0),
        Some(Held { content: Content::Number(number), .. }) => Some(number),
        Some(_) => None,
    }
}
