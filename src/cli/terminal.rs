//! Whether people are looking.

use std::env;
use std::io::{IsTerminal, stderr};

/// Whether what is logged goes to a terminal.
pub(crate) fn is_attached() -> bool {
    stderr().is_terminal()
}

/// Whether what is logged may have colours: on a terminal that shows them, unless `NO_COLOR` says
/// no; `CLICOLOR_FORCE` says yes.
pub(crate) fn has_colour() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("NO_COLOR") {
        return false;
    }
    let forced =
        env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    forced || (is_attached() && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb"))
}
