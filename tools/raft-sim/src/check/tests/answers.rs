//! What a correct store answers.

use crate::check::history::{Change, Told};
use crate::check::model::{self, Held, State};
use crate::check::values::{Content, Shown, Sight};

/// What is seen of a state that this index wrote.
pub(super) fn sight(state: State, written: u64) -> Sight {
    state.map_or(Sight::Absent, |Held { content, version }| Sight::Present {
        shown: match content {
            Content::Unseen => Shown::Nothing,
            content => Shown::Value(content),
        },
        version,
        written,
    })
}

/// What a change is told in a state that this index wrote.
pub(super) fn told(state: State, change: Change, written: u64) -> Told {
    let next = model::next(state, change);
    let version = next.flatten().map_or(0, |held| held.version);
    match (change, next) {
        (Change::Put(_), _) => Told::Put { version },
        (Change::Delete, _) => Told::Deleted { existed: state.is_some() },
        (Change::Swap { .. }, Some(_)) => Told::Swapped { version },
        (Change::Swap { .. }, None) => Told::NotSwapped(sight(state, written)),
        (Change::Increment(_), Some(Some(Held { content: Content::Number(value), .. }))) => {
            Told::Incremented { value, version }
        }
        (Change::Increment(_), _) => Told::NotANumber,
    }
}
