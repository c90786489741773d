//! The operator: a client that changes who votes, by what it was told last.

use raft_node::client::Ask;
use raft_node::model::{Configuration, Index, Seat, Standing};
use raft_node::wire::{ReplyBody, StatusReply};

use super::random::Random;

/// What an operator knows of the members.
#[derive(Clone, Debug, Default)]
pub(super) struct Operator {
    /// The configuration that it was told of, until it has asked for a change of it.
    seen: Option<(Index, Configuration)>,
}

impl Operator {
    /// What it asks for: how the members are, or, where it was told, other voters among them.
    pub(super) fn draw(&mut self, random: &mut Random) -> Ask {
        let Some((expected, members)) = self.seen.take() else { return Ask::status() };
        if random.permille(100) {
            // Somebody else may have changed them by the time that it asks.
            self.seen = Some((expected, members.clone()));
        }
        Ask::change_members(expected, Configuration::new(others(&members.goal(), random)))
    }

    /// It is told how the members are.
    pub(super) fn told(&mut self, body: &ReplyBody) {
        if let ReplyBody::Status(status) = body {
            let StatusReply { configuration_index, configuration, .. } = status.as_ref();
            let has_formed = !configuration.seats().is_empty();
            self.seen = has_formed.then(|| (*configuration_index, configuration.clone()));
        }
    }
}

/// The same members, of whom others vote: one more or less, or any.
fn others(seats: &[Seat], random: &mut Random) -> Vec<Seat> {
    let mut seats = seats.to_vec();
    let is_any = random.permille(400);
    let chosen = random.below(seats.len() as u64) as usize;
    for (place, seat) in seats.iter_mut().enumerate() {
        let changes = if is_any { random.permille(500) } else { place == chosen };
        seat.standing = match (seat.standing, changes) {
            (Standing::Voter, true) => Standing::Learner,
            (Standing::Learner, true) => Standing::Voter,
            (standing, _) => standing,
        };
    }
    // Who asks for nobody to vote is refused, which is worth a try only now and then.
    let votes = |seat: &Seat| seat.standing == Standing::Voter;
    if !seats.iter().any(votes) && random.permille(900) {
        seats[chosen].standing = Standing::Voter;
    }
    seats
}
