//! One world in a process of its own, as it may end that process or never come to an end.

use std::env;
use std::io::{self, Read as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use raft_sim::world::Choices;
use serde_json::Value;

use super::{FINDING, FINE, as_arguments};

/// What was found in a world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) text: String,
    /// When, in simulated time, if the world could still tell.
    pub(super) at: Option<Duration>,
}

/// Runs the world of a seed. Where it takes longer than this, that is what was found.
pub(super) fn attempt(
    seed: u64,
    choices: &Choices,
    patience: Duration,
) -> io::Result<Option<Found>> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["run", "--json", "--seed", &seed.to_string()]).args(as_arguments(choices));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut out = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let (sender, receiver) = channel();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        // What can't be read tells nothing; the status of the process does.
        let _ = out.read_to_string(&mut text);
        let _ = sender.send(text);
    });
    let text = receiver.recv_timeout(patience);
    if matches!(text, Err(RecvTimeoutError::Timeout)) {
        child.kill()?;
    }
    let status = child.wait()?;
    // It ends with the process, whose output it reads.
    let _ = reader.join();
    match text {
        Ok(text) => read(status, &text),
        Err(_) => {
            let text = format!("it doesn't come to an end within {patience:?}");
            Ok(Some(Found { text, at: None }))
        }
    }
}

fn read(status: ExitStatus, text: &str) -> io::Result<Option<Found>> {
    let told: Option<Value> = serde_json::from_str(text).ok();
    let finding = told.as_ref().and_then(|told| told["finding"].as_str());
    let found_at_s = told.as_ref().and_then(|told| told["found_at_s"].as_f64());
    let at = found_at_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match status.code().map(u8::try_from) {
        Some(Ok(FINE)) => Ok(None),
        Some(Ok(FINDING)) if finding.is_some() => {
            Ok(finding.map(|text| Found { text: text.to_owned(), at }))
        }
        None => {
            let text = format!("the process that runs it ends: {status}");
            Ok(Some(Found { text, at: None }))
        }
        Some(_) => Err(io::Error::other(format!("it ended with {status}"))),
    }
}

impl Found {
    /// What kind of finding it is: the words that don't tell of this world alone.
    pub(super) fn kind(&self) -> Vec<&str> {
        let text = match self.text.strip_prefix("at ").and_then(|text| text.split_once(": ")) {
            Some((_, text)) => text,
            None => &self.text,
        };
        let words = text.split(' ').map(|word| word.trim_matches([':', ',', ';', '.']));
        let is_word = |word: &&str| {
            !word.is_empty() && word.chars().all(|letter| letter.is_ascii_lowercase())
        };
        words.filter(is_word).take(WORDS).collect()
    }
}

/// How many words tell what kind of finding it is.
const WORDS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Vec<String> {
        let found = Found { text: text.to_owned(), at: None };
        found.kind().into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_kind_of_a_finding_is_the_same_at_another_time_and_place() {
        let first = "at 3.200000 s: node 2: the log has another entry at 17";
        let other = "at 0.100000 s: node 1: the log has another entry at 5";
        assert_eq!(kind(first), kind(other));
        assert_ne!(kind(first), kind("at 3.200000 s: liveness: no node leads 5s after all"));
        let keys = ["at 1.0 s: real time, key \"k1\": no order", "real time, key \"k2\": no order"];
        assert_eq!(kind(keys[0]), kind(keys[1]));
    }
}
