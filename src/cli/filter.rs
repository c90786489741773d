//! What is logged: the value of `--log`.

use std::str::FromStr;

use log::LevelFilter;

/// The rooms of the library, whose modules' names are the targets of what they log.
const ROOMS: [&str; 8] = ["client", "config", "kv", "model", "node", "raft", "storage", "wire"];

/// Levels, for everything and for single rooms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Filter {
    /// As it was written, so that it can be handed on.
    text: String,
    /// The level of what has none of its own.
    everything: Option<LevelFilter>,
    rooms: Vec<(&'static str, LevelFilter)>,
}

impl Filter {
    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Sets the levels; `default` is that of everything where the filter says nothing.
    pub(crate) fn apply(
        filter: Option<&Filter>,
        default: LevelFilter,
        to: &mut env_logger::Builder,
    ) {
        let everything = filter.and_then(|filter| filter.everything).unwrap_or(default);
        to.filter_level(everything);
        for (room, level) in filter.iter().flat_map(|filter| &filter.rooms) {
            to.filter_module(&format!("raft_node::{room}"), *level);
        }
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Filter, String> {
        let mut filter = Filter { text: text.to_owned(), everything: None, rooms: Vec::new() };
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                None => filter.everything = Some(level(part)?),
                Some((name, text)) => {
                    let room = ROOMS.into_iter().find(|room| *room == name.trim());
                    let room = room.ok_or_else(|| {
                        format!("there is no room \"{name}\"; there are {}", ROOMS.join(", "))
                    })?;
                    filter.rooms.push((room, level(text.trim())?));
                }
            }
        }
        Ok(filter)
    }
}

fn level(text: &str) -> Result<LevelFilter, String> {
    text.parse().map_err(|_| {
        format!("\"{text}\" is no level; there are off, error, warn, info, debug and trace")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_hold_for_everything_and_for_rooms() {
        let filter: Filter = "info, wire=debug".parse().expect("a filter");
        assert_eq!(filter.everything, Some(LevelFilter::Info));
        assert_eq!(filter.rooms, [("wire", LevelFilter::Debug)]);
        assert_eq!(filter.text(), "info, wire=debug");
    }

    #[test]
    fn what_is_no_level_and_no_room_is_named() {
        assert!("loud".parse::<Filter>().expect_err("no level").contains("\"loud\""));
        assert!("wires=info".parse::<Filter>().expect_err("no room").contains("\"wires\""));
        assert!("".parse::<Filter>().is_err());
    }
}
