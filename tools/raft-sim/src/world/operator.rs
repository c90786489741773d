//! The operator: a client that changes the members, by what it was told last.

use std::collections::BTreeMap;

use raft_node::client::Ask;
use raft_node::model::{Configuration, Index, Member, NodeId, Seat, Standing};
use raft_node::wire::{ReplyBody, StatusReply};

use super::random::Random;

/// What an operator knows of the members.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    /// The configuration that it was told of, until it has asked for a change of it.
    seen: Option<(Index, Configuration)>,
    /// In which life each node was seen to start last, and where it is reached.
    nodes: BTreeMap<NodeId, (Member, String)>,
    /// How many voters it leaves at least.
    least: usize,
    /// Whether it first puts right what is wrong.
    is_careful: bool,
}

impl Operator {
    pub(super) fn new(least: usize) -> Operator {
        Operator { seen: None, nodes: BTreeMap::new(), least, is_careful: false }
    }

    /// A node was started.
    pub(super) fn sees(&mut self, member: Member, address: &str) {
        self.nodes.insert(member.id, (member, address.to_owned()));
    }

    /// From now on what is wrong comes first.
    pub(super) const fn be_careful(&mut self) {
        self.is_careful = true;
    }

    /// How often in a thousand it has something to ask.
    pub(super) const fn eagerness(&self) -> u64 {
        if self.is_careful { 500 } else { 150 }
    }

    /// What it asks for: how the members are, or, where it was told, others.
    pub(super) fn draw(&mut self, random: &mut Random) -> Ask {
        let Some((expected, members)) = self.seen.take() else { return Ask::status() };
        if random.permille(100) {
            // Somebody else may have changed them by the time that it asks.
            self.seen = Some((expected, members.clone()));
        }
        let mut seats = members.goal();
        let is_mended = (self.is_careful || random.permille(500)) && self.mend(&mut seats);
        if !is_mended {
            seats = members.goal();
            self.others(&mut seats, &members, random);
        }
        match self.leave_enough(&mut seats, random) {
            true => Ask::change_members(expected, Configuration::new(seats)),
            false => Ask::status(),
        }
    }

    /// It is told how the members are.
    pub(super) fn told(&mut self, body: &ReplyBody) {
        if let ReplyBody::Status(status) = body {
            let StatusReply { configuration_index, configuration, .. } = status.as_ref();
            let has_formed = !configuration.seats().is_empty();
            self.seen = has_formed.then(|| (*configuration_index, configuration.clone()));
        }
    }

    /// Who runs in another life by now takes the place of the one before, and all are written down
    /// where they are reached: two that have exchanged their addresses can't be one by one, and a leader may not know
    /// whom to call. Says whether anything is to be mended.
    fn mend(&self, seats: &mut Vec<Seat>) -> bool {
        let mut is_mended = false;
        for (member, address) in self.nodes.values() {
            let has_seat = seats.iter().any(|seat| seat.member() == Some(*member));
            let Some(place) = seats.iter().position(|seat| match has_seat {
                true => seat.member() == Some(*member),
                false => seat.id == member.id,
            }) else {
                continue;
            };
            let (id, incarnation) = (member.id, Some(member.incarnation));
            let seat = Seat { id, incarnation, address: address.clone(), ..seats[place] };
            let (count, is_elsewhere) = (seats.len(), seats[place].address != *address);
            seats.retain(|other| other.id != id);
            is_mended |= !has_seat || seats.len() + 1 < count || is_elsewhere;
            seats.push(seat);
        }
        is_mended
    }

    /// Others vote: one more or less, or any. Some come, and some go.
    fn others(&self, seats: &mut Vec<Seat>, members: &Configuration, random: &mut Random) {
        if random.permille(300) {
            self.take_in(seats, members, random);
        }
        if random.permille(200) && seats.len() > 1 {
            seats.remove(random.below(seats.len() as u64) as usize);
        }
        if *seats != members.goal() && random.permille(500) {
            return;
        }
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
    }

    /// A node that has no seat gets one.
    fn take_in(&self, seats: &mut Vec<Seat>, members: &Configuration, random: &mut Random) {
        let has_seat = |id: NodeId| seats.iter().any(|seat| seat.id == id);
        let waits =
            |(member, _): &&(Member, String)| !has_seat(member.id) && !members.was_removed(*member);
        let waiting: Vec<&(Member, String)> = self.nodes.values().filter(waits).collect();
        let Some((member, address)) = random.pick(&waiting) else { return };
        let standing = if random.permille(700) { Standing::Voter } else { Standing::Learner };
        let (id, incarnation) = (member.id, Some(member.incarnation));
        seats.push(Seat { id, incarnation, standing, address: address.clone() });
    }

    /// Lets as many vote as there have to be at least, if there are so many. Who asks for nobody
    /// to vote is refused, which is worth a try only now and then.
    fn leave_enough(&self, seats: &mut [Seat], random: &mut Random) -> bool {
        if self.least <= 1 && random.permille(100) {
            return true;
        }
        let votes = |seat: &&Seat| seat.standing == Standing::Voter;
        let voters = seats.iter().filter(votes).count();
        let lacking = self.least.saturating_sub(voters);
        let others = seats.iter_mut().filter(|seat| seat.standing != Standing::Voter);
        let promoted = others.take(lacking).map(|seat| seat.standing = Standing::Voter).count();
        promoted == lacking
    }
}
