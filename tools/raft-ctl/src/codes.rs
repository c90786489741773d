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
            pub(crate) const ALL: &[Code] = &[$(Code::$variant),*];

            /// The value of `"code"`.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// The code of this name.
            pub(crate) fn named(name: &str) -> Option<Code> {
                Code::ALL.iter().copied().find(|code| code.name() == name)
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
        "Some lines of an import are wrong; the others were imported."
    NotFound "not_found" Negative "error" false
        "The log on disk doesn't hold the entry that was asked for."
    NoSnapshot "no_snapshot" Negative "error" false
        "No node that answers keeps a snapshot, or the one that was asked for; nothing was written."
    BadRequest "bad_request" Usage "refused" false
        "The node can't make sense of the request; nothing was changed."
    TooLarge "too_large" Usage "refused" false
        "A key, a value or the whole request is too large; nothing was changed."
    NotANumber "not_a_number" Usage "refused" false
        "`incr` of a value that isn't a decimal number of 64 bits; nothing was changed."
    Overflow "overflow" Usage "refused" false
        "`incr` would leave the 64 bits; nothing was changed."
    SessionWindow "session_window" Usage "refused" false
        "--seq is 1,024 or more above the lowest number that is waited for; nothing was changed."
    Unsupported "unsupported" Usage "refused" false
        "The cluster's feature level is too low for the request; nothing was changed."
    BadMembers "bad_members" Usage "refused" false
        "These can't be the members of a cluster; nothing was changed."
    CannotConnect "cannot_connect" CannotConnect "refused" true
        "No node could be reached; nothing was written."
    Incompatible "incompatible" CannotConnect "refused" true
        "The nodes speak another version of the protocol; nothing was written."
    NoLeader "no_leader" NotDone "refused" true
        "Nodes answer, and none of them leads; nothing was written."
    NotLeader "not_leader" NotDone "refused" true
        "The node that --node names doesn't lead; nothing was written."
    NotFormed "not_formed" NotDone "refused" true
        "The cluster hasn't formed yet; nothing was written."
    Busy "busy" NotDone "refused" true
        "The leader has more to do than it can hold; nothing was written."
    DiskFull "disk_full" NotDone "refused" true
        "The leader's disk is too full to take more; nothing was written."
    Transferring "transferring" NotDone "refused" true
        "The leader hands leadership over and takes nothing new; nothing was written."
    LeadershipLost "leadership_lost" NotDone "refused" true
        "The node stopped leading before a read was confirmed."
    Stopping "stopping" NotDone "refused" true
        "The node is shutting down; nothing was written."
    TimedOut "timed_out" NotDone "refused" true
        "A read or a wait wasn't done within --timeout; nothing was written."
    NoTarget "no_target" NotDone "refused" true
        "No other voter can take leadership over; the leader goes on."
    TransferFailed "transfer_failed" NotDone "refused" true
        "The other node didn't take leadership over in time; the leader goes on."
    SnapshotGone "snapshot_gone" NotDone "refused" true
        "No node keeps this snapshot any more; nothing was written."
    NotYet "not_yet" NotDone "refused" true
        "An earlier change isn't committed yet; nothing was changed."
    ChangeUnderWay "change_under_way" NotDone "refused" true
        "Another change of members is under way; nothing was changed."
    SessionInUse "session_in_use" NotDone "refused" true
        "A session of this name was opened by somebody else just now; nothing was changed."
    Unknown "unknown" Unknown "unknown" false
        "The request was sent and no answer came: it may be done, or be done yet."
    SessionForgotten "session_forgotten" Unknown "unknown" false
        "The session or its number isn't remembered: this attempt changed nothing, an earlier one may have."
    FileExists "file_exists" Guard "error" false
        "The file that was to be written is there already; it is as it was."
    SnapshotsDiffer "snapshots_differ" Guard "error" false
        "Nodes keep different snapshots of one entry; nothing was written."
    MembersChanged "members_changed" Guard "refused" false
        "The members have changed since they were looked at; nothing was changed."
    NoLiveQuorum "no_live_quorum" Guard "refused" false
        "Too few of those that would vote are up; nothing was changed."
    UsedBefore "used_before" Guard "refused" false
        "The node was a member before and was removed; nothing was changed."
    WrongCluster "wrong_cluster" Guard "refused" false
        "A node of another cluster, or another node, answers at the address; nothing was written."
    Authentication "authentication" Guard "refused" false
        "The node wants a proof of who is asking; nothing was written."
    InUse "in_use" Guard "error" false
        "A node has the data directory in use; nothing was changed."
    NotLost "not_lost" Guard "error" false
        "A majority is left, or one that was to be given up is there; nothing was changed."
    NoPlan "no_plan" Guard "error" false
        "The data directories can't go on together as they are; nothing was changed."
    PlanChanged "plan_changed" Guard "error" false
        "The plan isn't the one of this hash, or a directory isn't what it was made for."
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
