//! The seats of a configuration, as they are shown.

use raft_node::model::{Seat, Standing};
use serde_json::{Value, json};

/// The seats in one line.
pub(super) fn seats_text(seats: &[Seat]) -> String {
    let seats: Vec<String> = seats
        .iter()
        .map(|seat| {
            let standing = match seat.standing {
                Standing::Voter => String::new(),
                other => format!(" {}", standing_name(other)),
            };
            let empty = if seat.incarnation.is_none() { " absent" } else { "" };
            format!("{} {}{standing}{empty}", seat.id, seat.address)
        })
        .collect();
    seats.join(", ")
}

/// The seats as `--json` prints them.
pub(super) fn seats_json(seats: &[Seat]) -> Value {
    let seat = |seat: &Seat| {
        json!({
            "id": seat.id.number(),
            "incarnation": seat.incarnation.map(|incarnation| incarnation.to_string()),
            "standing": standing_name(seat.standing),
            "address": seat.address,
        })
    };
    seats.iter().map(seat).collect()
}

pub(super) fn standing_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Learner => "learner",
        Standing::Voter => "voter",
        Standing::Incoming => "incoming",
        Standing::Outgoing => "outgoing",
        Standing::Demoted => "demoted",
        Standing::Joining => "joining",
        Standing::Leaving => "leaving",
        Standing::Retiring => "retiring",
    }
}
