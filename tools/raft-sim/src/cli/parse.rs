//! What stands on the command line, read.

use std::str::FromStr;
use std::time::Duration;

use raft_sim::world::Fault;

use super::output::complain;
use super::{FaultList, TAG};

/// A seed, and the tag of the version that printed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seed {
    pub(crate) number: u64,
    tag: Option<String>,
}

impl Seed {
    /// Says so if the seed is one of another version.
    pub(crate) fn warn(&self) {
        if let Some(tag) = self.tag.as_ref().filter(|tag| *tag != TAG) {
            complain(&format!(
                "seed {} was printed by version {tag}, and this is version {TAG}: what happens \
                 may be something else",
                self.number
            ));
        }
    }
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Seed, String> {
        let (number, tag) = match text.split_once('@') {
            Some((number, tag)) => (number, Some(tag.to_owned())),
            None => (text, None),
        };
        if tag.as_ref().is_some_and(String::is_empty) {
            return Err("there is no tag behind the @".to_owned());
        }
        let number = number.parse().map_err(|_| {
            "a seed is a number from 0 to 18446744073709551615, with or without @ and a tag"
                .to_owned()
        })?;
        Ok(Seed { number, tag })
    }
}

/// Seeds from the first up to the end, which isn't included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seeds {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seeds, String> {
        let wrong = || format!("{text:?} isn't A..B with two numbers");
        let (first, end) = text.split_once("..").ok_or_else(wrong)?;
        let first = first.parse().map_err(|_| wrong())?;
        let end = end.parse().map_err(|_| wrong())?;
        if first >= end {
            return Err(format!("there is no seed from {first} up to {end}"));
        }
        Ok(Seeds { first, end })
    }
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} isn't a time such as 20s or 500ms");
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').ok_or_else(wrong)?, 1000),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = number.checked_mul(unit).filter(|all| (1..=86_400_000).contains(all));
    milliseconds.map(Duration::from_millis).ok_or_else(|| "from 1ms to 86400s".to_owned())
}

pub(super) fn faults(text: &str) -> Result<FaultList, String> {
    let list = match text {
        "all" => Fault::ALL.to_vec(),
        "none" => Vec::new(),
        names => {
            let fault = |name: &str| {
                Fault::of_name(name).ok_or_else(|| {
                    let names = Fault::ALL.map(Fault::name).join(", ");
                    format!("there is no fault {name:?}; there are {names}")
                })
            };
            names.split(',').map(fault).collect::<Result<_, _>>()?
        }
    };
    Ok(FaultList(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numbers_with_or_without_a_tag() {
        assert_eq!("17".parse(), Ok(Seed { number: 17, tag: None }));
        assert_eq!("17@ab".parse(), Ok(Seed { number: 17, tag: Some("ab".to_owned()) }));
        for wrong in ["", "x", "-1", "17@", "18446744073709551616"] {
            assert!(wrong.parse::<Seed>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_and_times_that_make_no_sense_are_refused() {
        assert_eq!("3..5".parse(), Ok(Seeds { first: 3, end: 5 }));
        for wrong in ["5..5", "7", "a..b", "9..2"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
        assert_eq!(time("20s"), Ok(Duration::from_secs(20)));
        for wrong in ["20", "0s", "1h", "99999999s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert!(faults("crashes,cuts").is_ok());
        assert!(faults("earthquakes").is_err_and(|text| text.contains("power-cuts")));
    }
}
