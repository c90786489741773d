//! Operations written out for people.

use super::history::{Asked, Change, Expected, History, Operation, Outcome, Told};
use super::values::{Content, Key, Quoted, Shown, Sight};
use super::{Call, Check, Finding, Verdict};

impl Verdict {
    /// Notes what the operations at these places can't all have been answered.
    pub(super) fn found(
        &mut self,
        history: &History,
        check: Check,
        key: Option<Key>,
        text: &str,
        places: &[usize],
    ) {
        let mut places = places.to_vec();
        places.sort_unstable();
        places.dedup();
        let call = |place: &usize| Call(u32::try_from(*place).expect("a place is a call's"));
        self.findings.push(Finding {
            check,
            key: key.map(|key| history.keys.name(key.0).to_vec()),
            text: text.to_owned(),
            operations: places.iter().map(call).collect(),
            lines: places.iter().map(|place| history.line(&history.operations[*place])).collect(),
        });
    }
}

impl History {
    fn line(&self, operation: &Operation) -> String {
        let Operation { client, called_us, ended_us, asked, outcome } = operation;
        let from = seconds(*called_us);
        let to = ended_us.map_or_else(|| "...".to_owned(), seconds);
        let asked = self.asked(asked);
        let outcome = self.outcome(outcome);
        format!("client {client}, {from} to {to}: {asked}: {outcome}")
    }

    fn asked(&self, asked: &Asked) -> String {
        match asked {
            Asked::Change { key, change, .. } => self.change_of(*key, *change),
            Asked::Get { keys, freshness } => {
                let keys: Vec<String> = keys.iter().map(|key| self.name(*key)).collect();
                format!("{freshness:?} get {}", keys.join(" "))
            }
            Asked::Scan { page, freshness } => {
                format!("{freshness:?} scan {} from {}", Quoted(&page.prefix), Quoted(&page.from))
            }
            Asked::Contents => "all that is there".to_owned(),
        }
    }

    fn change_of(&self, key: Key, change: Change) -> String {
        let key = self.name(key);
        match change {
            Change::Put(content) => format!("put {key} {}", self.content(content)),
            Change::Delete => format!("delete {key}"),
            Change::Swap { expected, value } => {
                let expected = match expected {
                    Expected::Absent => "nothing".to_owned(),
                    Expected::Value(content) => self.content(content),
                    Expected::Version(version) => format!("version {version}"),
                };
                format!("swap {key} from {expected} to {}", self.content(value))
            }
            Change::Increment(by) => format!("increment {key} by {by}"),
        }
    }

    fn outcome(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Unknown => "nobody knows".to_owned(),
            Outcome::Refused => "refused".to_owned(),
            Outcome::Absurd(answer) => answer.clone(),
            Outcome::Done { at, told } => {
                let at = at.map_or_else(String::new, |at| format!(", entry {at}"));
                let told = match told {
                    Told::NotSwapped(sight) => format!("not swapped, {}", self.sight(*sight)),
                    told => format!("{told:?}"),
                };
                format!("{told}{at}")
            }
            Outcome::Seen { index, sights, .. } => {
                let sights: Vec<String> = sights
                    .iter()
                    .take(4)
                    .map(|(key, sight)| format!("{} {}", self.name(*key), self.sight(*sight)))
                    .collect();
                format!("at {index}: {}", sights.join(", "))
            }
        }
    }

    fn sight(&self, sight: Sight) -> String {
        match sight {
            Sight::Absent => "absent".to_owned(),
            Sight::Present { shown, version, written } => {
                let shown = match shown {
                    Shown::Value(content) => self.content(content),
                    Shown::Length(length) => format!("{length} bytes"),
                    Shown::Nothing => "there".to_owned(),
                };
                format!("{shown} version {version} written at {written}")
            }
        }
    }

    fn content(&self, content: Content) -> String {
        match content {
            Content::Number(number) => number.to_string(),
            Content::Text { id, .. } => Quoted(self.texts.name(id)).to_string(),
            Content::Unseen => "something".to_owned(),
        }
    }

    fn name(&self, key: Key) -> String {
        Quoted(self.keys.name(key.0)).to_string()
    }
}

fn seconds(time_us: u64) -> String {
    format!("{}.{:06} s", time_us / 1_000_000, time_us % 1_000_000)
}
