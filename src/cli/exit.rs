//! Exit codes and what they mean.

use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Stopped in good order.
pub(crate) const CLEAN: u8 = 0;
/// The system has no room for another process or thread: what is in the way may go away.
pub(crate) const UNAVAILABLE: u8 = 75;
/// The configuration is wrong.
pub(crate) const CONFIGURATION: u8 = 78;

/// Every code with its meaning.
const MEANINGS: [(u8, &str); 12] = [
    (CLEAN, "stopped in good order"),
    (2, "the command line is wrong"),
    (6, "refused by a guard: the directory must not be used so, here or now"),
    (65, "the data is corrupt"),
    (70, "the state differs from that of the others"),
    (74, "the disk failed"),
    (UNAVAILABLE, "the directory is in use, or the port is taken"),
    (76, "the disk stood still for too long"),
    (CONFIGURATION, "the configuration is wrong, or the data needs a newer version"),
    (130, "stopped at once by a second SIGINT"),
    (134, "a bug"),
    (143, "stopped at once by a second SIGTERM"),
];

/// What the code means, if it is one of ours.
pub(crate) fn meaning(code: u8) -> Option<&'static str> {
    MEANINGS.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning)
}

/// The list of the codes, for `--help`.
pub(crate) fn listing() -> String {
    let mut text = "Exit codes:".to_owned();
    for (code, meaning) in MEANINGS {
        write!(text, "\n  {code:>3}  {meaning}").expect("a string takes any text");
    }
    text
}

/// The code of a process that has ended, as a shell tells it: 128 and the signal, if it was
/// killed.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// How a process has ended, in a few words.
pub(crate) fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(6) => "aborted: a bug, or somebody's SIGABRT".to_owned(),
        Some(signal) => format!("killed by signal {signal}"),
        None => match meaning(code(status)) {
            Some(meaning) => format!("exit {}: {meaning}", code(status)),
            None => format!("exit {}", code(status)),
        },
    }
}

#[cfg(test)]
mod tests {
    use raft_node::node::Exit;

    use super::*;

    #[test]
    fn every_reason_for_which_a_node_stops_has_a_meaning() {
        let text = String::new;
        for why in [
            Exit::Clean,
            Exit::AtOnce { signal: 2 },
            Exit::AtOnce { signal: 15 },
            Exit::Refused(text()),
            Exit::Corrupt(text()),
            Exit::Differs(text()),
            Exit::Disk(text()),
            Exit::InUse(text()),
            Exit::DiskStill(std::time::Duration::ZERO),
            Exit::Configuration(text()),
            Exit::Newer(text()),
        ] {
            assert!(meaning(why.code()).is_some(), "{} of {why:?}", why.code());
        }
    }

    #[test]
    fn how_a_process_ended_is_said_with_its_meaning() {
        let exited = |code| ExitStatus::from_raw(code << 8);
        assert_eq!(describe(exited(74)), "exit 74: the disk failed");
        assert_eq!(describe(exited(1)), "exit 1");
        assert_eq!(describe(ExitStatus::from_raw(9)), "killed by signal 9");
        assert_eq!(code(ExitStatus::from_raw(6)), 134);
    }
}
