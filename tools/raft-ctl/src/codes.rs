//! The closed list of error codes: the value of `"code"` in a failure's JSON.
//!
//! docs/raft-ctl.md lists them too, and a test holds the two together.

use crate::exit::Exit;

/// Declares the codes: name, exit code, outcome, whether the same command may be given again
/// without harm, meaning.
macro_rules! codes {
    ($($variant:ident $name:literal $exit:ident $outcome:literal $retry_safe:literal $meaning:literal)*) => {
        /// Why a command failed.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Code] = &[$(Code::$variant),*];

            /// The value of `"code"`.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// How the program ends.
            pub(crate) const fn exit(self) -> Exit {
                match self { $(Code::$variant => Exit::$exit),* }
            }

            /// The value of `"outcome"`.
            pub(crate) const fn outcome(self) -> &'static str {
                match self { $(Code::$variant => $outcome),* }
            }

            /// The value of `"retry_safe"`: the same command can be given again without harm, and
            /// may succeed.
            pub(crate) const fn retry_safe(self) -> bool {
                match self { $(Code::$variant => $retry_safe),* }
            }

            /// What docs/raft-ctl.md says of it.
            #[cfg(test)]
            pub(crate) const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning),* }
            }
        }
    };
}

codes! {
    Usage "usage" Usage "error" false
        "The command line is wrong; nothing was sent."
    Configuration "configuration" Usage "error" false
        "raft.ini is missing or wrong; nothing was sent."
    BadInput "bad_input" Usage "error" false
        "What was to be imported is wrong in some lines; nothing was sent of them."
    BadRequest "bad_request" Usage "refused" false
        "The node can't make sense of the request; nothing was changed."
    TooLarge "too_large" Usage "refused" false
        "A key, a value or the whole request is too large; nothing was changed."
    NotANumber "not_a_number" Usage "refused" false
        "`incr` of a value that isn't a decimal number of 64 bits; nothing was changed."
    Overflow "overflow" Usage "refused" false
        "`incr` would leave the 64 bits; nothing was changed."
    CannotConnect "cannot_connect" CannotConnect "refused" true
        "No node could be reached; nothing was written."
    NoLeader "no_leader" NotDone "refused" true
        "Nodes answer, and none of them leads; nothing was written."
    NotLeader "not_leader" NotDone "refused" true
        "The node that --node names doesn't lead; nothing was written."
    Busy "busy" NotDone "refused" true
        "The leader has more to do than it can hold; nothing was written."
    DiskFull "disk_full" NotDone "refused" true
        "The leader's disk is too full to take more; nothing was written."
    TimedOut "timed_out" NotDone "refused" true
        "A read, or a wait, wasn't done within --timeout; nothing was written."
    Unknown "unknown" Unknown "unknown" false
        "The request was sent and no answer came: it may be done, or be done yet."
    SessionForgotten "session_forgotten" Unknown "unknown" false
        "The session isn't remembered: this attempt changed nothing, an earlier one may have."
    Corrupt "corrupt" Corrupt "error" false
        "A file's bytes aren't those that were written, or an answer can't be read."
    LocalIo "local_io" LocalIo "error" false
        "Reading or writing a file or standard output failed here."
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_snake_case_and_unique() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for name in names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        }
    }

    #[test]
    fn what_may_be_tried_again_exits_with_a_code_that_says_so() {
        for code in Code::ALL {
            let again = matches!(code.exit(), Exit::NotDone | Exit::CannotConnect);
            assert_eq!(code.retry_safe(), again, "{}", code.name());
        }
    }

    #[test]
    fn the_page_lists_exactly_these() {
        let page = include_str!("../../../docs/raft-ctl.md");
        for code in Code::ALL {
            let row = format!(
                "| `{}` | {} | {} | {} |",
                code.name(),
                code.exit().number(),
                code.outcome(),
                code.meaning()
            );
            assert!(page.contains(&row), "docs/raft-ctl.md lacks the line\n{row}");
        }
        let rows = page.lines().filter(|line| {
            let mut cells = line.split(" | ");
            cells.next().is_some_and(|cell| cell.starts_with("| `"))
                && cells.nth(1).is_some_and(|cell| ["refused", "unknown", "error"].contains(&cell))
        });
        assert_eq!(rows.count(), Code::ALL.len(), "docs/raft-ctl.md has codes that aren't any");
    }
}
