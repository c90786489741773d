//! Who takes part in the cluster, made for changes by joint consensus.

use super::{ByteReader, Incarnation, Malformed, Member, NodeId, PutBytes};

/// The most seats that one configuration may have.
pub const MAX_SEATS: u32 = 64;

/// The longest address, in bytes: a host name of 253 and a port.
pub const MAX_ADDRESS_BYTES: u8 = 255;

/// What a seat counts for.
///
/// During a change by joint consensus (paper, section 6) there are two sets of voters, the
/// outgoing and the incoming one; a decision needs a majority of each.
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
}

impl Standing {
    /// Whether the seat counts in the set of voters that is left, or that is the only one.
    #[must_use]
    pub const fn votes_in_outgoing(self) -> bool {
        matches!(self, Standing::Voter | Standing::Outgoing | Standing::Demoted)
    }

    /// Whether the seat counts in the set of voters that is entered, or that is the only one.
    #[must_use]
    pub const fn votes_in_incoming(self) -> bool {
        matches!(self, Standing::Voter | Standing::Incoming)
    }

    /// Whether the seat counts in any set of voters.
    #[must_use]
    pub const fn votes(self) -> bool {
        !matches!(self, Standing::Learner)
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
}

/// The members of the cluster. The latest one in the log is in force, committed or not
/// (dissertation, section 4.1).
///
/// Seats are ordered by id, then by incarnation; one id may have two seats in different lives.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Configuration {
    seats: Vec<Seat>,
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
        Configuration { seats }
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

    /// Whether a change is under way: the two sets of voters differ.
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
    /// A count (4 bytes), then for each seat: id (2), standing (1), whether there is an
    /// incarnation (1), the incarnation (16, zero if there is none), address (1 + length).
    pub fn encode(&self, out: &mut impl PutBytes) {
        out.put_u32_le(self.seats.len() as u32);
        for seat in &self.seats {
            out.put_u16_le(seat.id.number());
            out.put_u8(seat.standing as u8);
            out.put_bool(seat.incarnation.is_some());
            out.put_u128_le(seat.incarnation.map_or(0, |incarnation| incarnation.0));
            out.put_short_bytes(seat.address.as_bytes());
        }
    }

    /// Reads what [`Configuration::encode`] wrote.
    pub fn decode(reader: &mut ByteReader<'_>) -> Result<Configuration, Malformed> {
        let count = reader.count("seats", MAX_SEATS, SEAT_LEAST_BYTES)?;
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
        Ok(Configuration { seats })
    }
}

const SEAT_LEAST_BYTES: usize = 2 + 1 + 1 + 16 + 1;

fn decode_seat(reader: &mut ByteReader<'_>) -> Result<Seat, Malformed> {
    let number = reader.u16("seat id")?;
    let id = NodeId::new(number).ok_or_else(|| reader.invalid("seat id", 2, 0))?;
    let standing = match reader.u8("standing")? {
        0 => Standing::Learner,
        1 => Standing::Voter,
        2 => Standing::Incoming,
        3 => Standing::Outgoing,
        4 => Standing::Demoted,
        other => return Err(reader.invalid("standing", 1, u64::from(other))),
    };
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
        Configuration::new(vec![
            seat(3, Some(9), Standing::Incoming),
            seat(1, Some(7), Standing::Voter),
            seat(3, Some(8), Standing::Outgoing),
            seat(2, None, Standing::Voter),
            seat(4, Some(1), Standing::Learner),
        ])
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
        let member = |incarnation| Member {
            id: NodeId::new(3).unwrap(),
            incarnation: Incarnation(incarnation),
        };
        assert_eq!(joint.seat(member(8)).unwrap().standing, Standing::Outgoing);
        assert_eq!(joint.seat(member(9)).unwrap().standing, Standing::Incoming);
        assert!(joint.seat(member(10)).is_none());
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
