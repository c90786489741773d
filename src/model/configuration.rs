//! Who takes part in the cluster, made for changes by joint consensus.

use super::{ByteReader, Incarnation, Malformed, Member, NodeId, PutBytes};

/// The most seats that one configuration may have.
pub const MAX_SEATS: u32 = 64;

/// The longest address, in bytes: a host name of 253 and a port.
pub const MAX_ADDRESS_BYTES: u8 = 255;

/// How many of the members that were removed last are remembered.
pub const MAX_REMOVED: u32 = 64;

/// What a seat counts for, and what it is to become.
///
/// A change of voters is first *prepared*, until those that join have caught up (`Joining`,
/// `Leaving`, `Retiring`); then it is *joint* (paper, section 6; `Incoming`, `Outgoing`,
/// `Demoted`): there are two sets of voters, the outgoing and the incoming one, and a decision
/// needs a majority of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    /// Receives the log and counts for nothing.
    Learner = 0,
    /// Votes, and stays a voter.
    Voter = 1,
    /// Votes in the incoming set only: it becomes a voter.
    Incoming = 2,
    /// Votes in the outgoing set only, and leaves with it.
    Outgoing = 3,
    /// Votes in the outgoing set only, and becomes a learner.
    Demoted = 4,
    /// Receives the log and counts for nothing; becomes a voter once it has caught up.
    Joining = 5,
    /// Votes, and leaves once those that join have caught up.
    Leaving = 6,
    /// Votes, and becomes a learner once those that join have caught up.
    Retiring = 7,
}

impl Standing {
    /// All of them.
    pub const ALL: [Standing; 8] = [
        Standing::Learner,
        Standing::Voter,
        Standing::Incoming,
        Standing::Outgoing,
        Standing::Demoted,
        Standing::Joining,
        Standing::Leaving,
        Standing::Retiring,
    ];

    /// Whether the seat counts in the set of voters that is left, or that is the only one.
    #[must_use]
    pub const fn votes_in_outgoing(self) -> bool {
        !matches!(self, Standing::Learner | Standing::Joining | Standing::Incoming)
    }

    /// Whether the seat counts in the set of voters that is entered, or that is the only one.
    #[must_use]
    pub const fn votes_in_incoming(self) -> bool {
        self.is_settled_voter() || matches!(self, Standing::Incoming)
    }

    /// Whether the seat counts in any set of voters.
    #[must_use]
    pub const fn votes(self) -> bool {
        !matches!(self, Standing::Learner | Standing::Joining)
    }

    /// Whether the seat counts in both sets of voters, or in the only one.
    const fn is_settled_voter(self) -> bool {
        matches!(self, Standing::Voter | Standing::Leaving | Standing::Retiring)
    }

    /// What it is when the change is over: `Voter`, `Learner`, or nothing.
    #[must_use]
    pub const fn goal(self) -> Option<Standing> {
        match self {
            Standing::Voter | Standing::Joining | Standing::Incoming => Some(Standing::Voter),
            Standing::Learner | Standing::Retiring | Standing::Demoted => Some(Standing::Learner),
            Standing::Leaving | Standing::Outgoing => None,
        }
    }

    /// The standing with this number in the encoding.
    fn from_number(number: u8) -> Option<Standing> {
        Standing::ALL.into_iter().find(|standing| *standing as u8 == number)
    }
}

/// A place in the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat {
    /// Whose place it is.
    pub id: NodeId,
    /// In which life. `None` for a founder that was absent: its seat counts in the quorum's
    /// size, and nobody can fill it until an ordinary change names its incarnation.
    pub incarnation: Option<Incarnation>,
    /// What it counts for.
    pub standing: Standing,
    /// Where the node is reached, as `host:port`: a hint, never an identity.
    pub address: String,
}

impl Seat {
    /// Who may sit here, if that is settled.
    #[must_use]
    pub fn member(&self) -> Option<Member> {
        self.incarnation.map(|incarnation| Member { id: self.id, incarnation })
    }

    /// The seat as it is when the change that is under way is over, if there is one then.
    #[must_use]
    pub fn at_its_goal(&self) -> Option<Seat> {
        Some(Seat { standing: self.standing.goal()?, ..self.clone() })
    }
}

/// The members of the cluster. The latest one in the log is in force, committed or not
/// (dissertation, section 4.1).
///
/// Seats are ordered by id, then by incarnation; one id may have two seats in different lives.
/// It also remembers the [`MAX_REMOVED`] members that were removed last: a pair of id and
/// incarnation isn't used again, and who was removed can be told so.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Configuration {
    seats: Vec<Seat>,
    /// The last at the end.
    removed: Vec<Member>,
}

impl Configuration {
    /// A configuration of these seats.
    ///
    /// # Panics
    ///
    /// If a seat occurs twice, an address is too long or there are too many seats: whoever makes
    /// a configuration has checked it.
    #[must_use]
    pub fn new(mut seats: Vec<Seat>) -> Configuration {
        seats.sort_by_key(|seat| (seat.id, seat.incarnation));
        assert!(seats.len() <= MAX_SEATS as usize, "{} seats", seats.len());
        for pair in seats.windows(2) {
            let keys = pair.iter().map(|seat| (seat.id, seat.incarnation)).collect::<Vec<_>>();
            assert!(keys[0] != keys[1], "node {} has the same seat twice", pair[0].id);
        }
        assert!(seats.iter().all(|seat| seat.address.len() <= usize::from(MAX_ADDRESS_BYTES)));
        Configuration { seats, removed: Vec::new() }
    }

    /// The configuration of these seats that comes after this one. Members that have no seat any
    /// more are remembered as removed.
    ///
    /// # Panics
    ///
    /// As [`Configuration::new`].
    #[must_use]
    pub fn followed_by(&self, seats: Vec<Seat>) -> Configuration {
        let mut next = Configuration::new(seats);
        let members = self.seats.iter().filter_map(Seat::member);
        let gone = members.filter(|member| next.seat(*member).is_none());
        let mut removed: Vec<Member> = self.removed.iter().copied().chain(gone).collect();
        removed.drain(..removed.len().saturating_sub(MAX_REMOVED as usize));
        next.removed = removed;
        next
    }

    /// The seats, ordered by id and incarnation.
    #[must_use]
    pub fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// The seat of `member`.
    #[must_use]
    pub fn seat(&self, member: Member) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.member() == Some(member))
    }

    /// Whether there is a seat for `member`: its own, or a vacant one of its node.
    #[must_use]
    pub fn has_seat_for(&self, member: Member) -> bool {
        let mut seats = self.seats.iter().filter(|seat| seat.id == member.id);
        seats.any(|seat| seat.incarnation.is_none_or(|life| life == member.incarnation))
    }

    /// The members that were removed last, the latest at the end.
    #[must_use]
    pub fn removed(&self) -> &[Member] {
        &self.removed
    }

    /// Whether `member` is among those that were removed last.
    #[must_use]
    pub fn was_removed(&self, member: Member) -> bool {
        self.removed.contains(&member)
    }

    /// The seats as they are when the change that is under way is over; as they are now if none
    /// is.
    #[must_use]
    pub fn goal(&self) -> Vec<Seat> {
        self.seats.iter().filter_map(Seat::at_its_goal).collect()
    }

    /// Whether a change of voters waits until those that join have caught up.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.seats.iter().any(|seat| {
            matches!(seat.standing, Standing::Joining | Standing::Leaving | Standing::Retiring)
        })
    }

    /// Whether there are two sets of voters, of each of which a decision needs a majority.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        self.seats.iter().any(|seat| {
            matches!(seat.standing, Standing::Incoming | Standing::Outgoing | Standing::Demoted)
        })
    }

    /// Whether `member` votes in any set.
    #[must_use]
    pub fn is_voter(&self, member: Member) -> bool {
        self.seat(member).is_some_and(|seat| seat.standing.votes())
    }

    /// Appends the encoding to `out`.
    ///
    /// How many seats (2 bytes), how many removed members (2), then for each seat: id (2),
    /// standing (1), whether there is an incarnation (1), the incarnation (16, zero if there is
    /// none), address (1 + length); then for each removed member: id (2), incarnation (16).
    pub fn encode(&self, out: &mut impl PutBytes) {
        out.put_u16_le(self.seats.len() as u16);
        out.put_u16_le(self.removed.len() as u16);
        for seat in &self.seats {
            out.put_u16_le(seat.id.number());
            out.put_u8(seat.standing as u8);
            out.put_bool(seat.incarnation.is_some());
            out.put_u128_le(seat.incarnation.map_or(0, |incarnation| incarnation.0));
            out.put_short_bytes(seat.address.as_bytes());
        }
        for member in &self.removed {
            out.put_u16_le(member.id.number());
            out.put_u128_le(member.incarnation.0);
        }
    }

    /// Reads what [`Configuration::encode`] wrote.
    pub fn decode(reader: &mut ByteReader<'_>) -> Result<Configuration, Malformed> {
        let count = bounded(reader, "seats", MAX_SEATS)?;
        let removed = bounded(reader, "removed members", MAX_REMOVED)?;
        let mut seats: Vec<Seat> = Vec::with_capacity(count);
        for _ in 0..count {
            let seat = decode_seat(reader)?;
            if let Some(last) = seats.last()
                && (last.id, last.incarnation) >= (seat.id, seat.incarnation)
            {
                return Err(reader.invalid("seat order", 0, u64::from(seat.id.number())));
            }
            seats.push(seat);
        }
        let mut gone: Vec<Member> = Vec::with_capacity(removed);
        for _ in 0..removed {
            let id = decode_id(reader, "removed id")?;
            let incarnation = Incarnation(reader.u128("removed incarnation")?);
            gone.push(Member { id, incarnation });
        }
        Ok(Configuration { seats, removed: gone })
    }
}

/// A count of things, which are few enough that room for them may be made before they are read.
fn bounded(
    reader: &mut ByteReader<'_>,
    field: &'static str,
    bound: u32,
) -> Result<usize, Malformed> {
    let count = reader.u16(field)?;
    if u32::from(count) > bound {
        return Err(reader.invalid(field, 2, u64::from(count)));
    }
    Ok(usize::from(count))
}

fn decode_id(reader: &mut ByteReader<'_>, field: &'static str) -> Result<NodeId, Malformed> {
    NodeId::new(reader.u16(field)?).ok_or_else(|| reader.invalid(field, 2, 0))
}

fn decode_seat(reader: &mut ByteReader<'_>) -> Result<Seat, Malformed> {
    let id = decode_id(reader, "seat id")?;
    let number = reader.u8("standing")?;
    let standing = Standing::from_number(number)
        .ok_or_else(|| reader.invalid("standing", 1, u64::from(number)))?;
    let present = reader.bool("incarnation present")?;
    let incarnation = reader.u128("incarnation")?;
    if !present && incarnation != 0 {
        return Err(reader.invalid("incarnation", 16, incarnation as u64));
    }
    let incarnation = present.then_some(Incarnation(incarnation));
    let address = reader.short_text("address", MAX_ADDRESS_BYTES)?.to_owned();
    Ok(Seat { id, incarnation, standing, address })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;

    fn seat(id: u16, incarnation: Option<u128>, standing: Standing) -> Seat {
        Seat {
            id: NodeId::new(id).unwrap(),
            incarnation: incarnation.map(Incarnation),
            standing,
            address: format!("host{id}:3111"),
        }
    }

    fn joint() -> Configuration {
        let before = Configuration::new(vec![
            seat(1, Some(5), Standing::Learner),
            seat(5, Some(6), Standing::Learner),
        ]);
        before.followed_by(vec![
            seat(3, Some(9), Standing::Incoming),
            seat(1, Some(7), Standing::Voter),
            seat(3, Some(8), Standing::Outgoing),
            seat(2, None, Standing::Voter),
            seat(4, Some(1), Standing::Learner),
        ])
    }

    fn member(id: u16, incarnation: u128) -> Member {
        Member { id: NodeId::new(id).unwrap(), incarnation: Incarnation(incarnation) }
    }

    #[test]
    fn a_configuration_reads_back_as_it_was_written() {
        let mut bytes = Vec::new();
        joint().encode(&mut bytes);
        let mut reader = ByteReader::new(&bytes);
        assert_eq!(Configuration::decode(&mut reader).unwrap(), joint());
        reader.finish().unwrap();
        for length in 0..bytes.len() {
            assert!(Configuration::decode(&mut ByteReader::new(&bytes[..length])).is_err());
        }
    }

    #[test]
    fn one_id_may_sit_in_two_lives_and_each_is_found_by_its_own() {
        let joint = joint();
        assert!(joint.is_joint());
        assert_eq!(joint.seat(member(3, 8)).unwrap().standing, Standing::Outgoing);
        assert_eq!(joint.seat(member(3, 9)).unwrap().standing, Standing::Incoming);
        assert!(joint.seat(member(3, 10)).is_none());
    }

    #[test]
    fn who_was_removed_is_remembered_until_sixty_four_others_were() {
        assert_eq!(joint().removed(), [member(1, 5), member(5, 6)]);
        let mut configuration = joint();
        for life in 0..=u128::from(MAX_REMOVED) {
            configuration = configuration.followed_by(vec![seat(9, Some(life), Standing::Voter)]);
        }
        assert!(!configuration.was_removed(member(5, 6)));
        assert!(configuration.was_removed(member(9, 0)));
        assert!(!configuration.was_removed(member(9, u128::from(MAX_REMOVED))));
        let mut bytes = Vec::new();
        configuration.encode(&mut bytes);
        assert_eq!(Configuration::decode(&mut ByteReader::new(&bytes)).unwrap(), configuration);
    }

    #[test]
    fn every_standing_reads_back_and_every_change_leads_somewhere() {
        let all: Vec<Standing> = (0..=u8::MAX).map_while(Standing::from_number).collect();
        assert_eq!(all.len(), 8);
        for (standing, number) in all.iter().zip(0..) {
            assert_eq!(*standing as u8, number);
            let goal = standing.goal();
            assert!(goal.is_none_or(|goal| goal.goal() == Some(goal)), "{standing:?}");
            let counts = standing.votes_in_outgoing() || standing.votes_in_incoming();
            assert_eq!(standing.votes(), counts, "{standing:?}");
        }
    }

    #[test]
    fn more_seats_or_removed_members_than_there_may_be_are_refused_before_they_are_read() {
        for (seats, removed, field) in [(65, 0, "seats"), (0, 65, "removed members")] {
            let mut bytes = Vec::new();
            bytes.put_u16_le(seats);
            bytes.put_u16_le(removed);
            let error = Configuration::decode(&mut ByteReader::new(&bytes)).unwrap_err();
            assert!(matches!(error, Malformed::Invalid { field: at, .. } if at == field));
        }
    }

    #[test]
    fn a_seat_out_of_order_is_refused() {
        let mut bytes = Vec::new();
        bytes.put_u32_le(2);
        for _ in 0..2 {
            bytes.put_u16_le(1);
            bytes.put_u8(1);
            bytes.put_bool(false);
            bytes.put_u128_le(0);
            bytes.put_short_bytes(b"");
        }
        let error = Configuration::decode(&mut ByteReader::new(&bytes)).unwrap_err();
        assert!(matches!(error, Malformed::Invalid { field: "seat order", .. }));
    }
}
