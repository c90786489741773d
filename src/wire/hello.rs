//! The hello and its answer, whose layout is the same in all versions.

use bytes::{BufMut, BytesMut};

use super::greeting::{HEADER_BYTES, begin, behind_header, seal};
use super::piece::SNAPSHOT_BYTES;
use super::{HelloRefusal, fields};
use crate::model::{
    Boot, ByteReader, ClusterId, Epoch, Incarnation, Index, LogId, Malformed, Member, NodeId,
    SnapshotId, StartNumber, Term,
};

/// The first bytes of whoever opened the connection. The first of all is neither ASCII nor the
/// start of TLS, and the line end in them shows where a stream was treated as text.
pub const HELLO_MAGIC: [u8; 8] = *b"\xf7RAFT\r\nH";

/// The first bytes of the side that was connected to.
pub const ANSWER_MAGIC: [u8; 8] = *b"\xf7RAFT\r\nA";

/// The longest hello or answer.
pub const MAX_HELLO_BYTES: usize = 8192;

/// The longest proof of an authentication, in bytes.
const MAX_PROOF_BYTES: usize = 4096;

/// The tag of the snapshot that is restored.
const RESTORES: u16 = 1;

const PEER: u8 = 1;
const CLIENT: u8 = 2;

/// Versions or levels from `lowest` to `highest`, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VersionRange {
    /// The lowest.
    pub lowest: u32,
    /// The highest.
    pub highest: u32,
}

impl VersionRange {
    /// The highest that is in both ranges: what is spoken.
    ///
    /// ```
    /// use raft_node::wire::VersionRange;
    /// let old = VersionRange { lowest: 1, highest: 2 };
    /// let new = VersionRange { lowest: 2, highest: 5 };
    /// assert_eq!(old.common(new), Some(2));
    /// assert_eq!(old.common(VersionRange { lowest: 3, highest: 5 }), None);
    /// ```
    #[must_use]
    pub fn common(self, other: VersionRange) -> Option<u32> {
        let highest = self.highest.min(other.highest);
        (highest >= self.lowest.max(other.lowest)).then_some(highest)
    }

    /// Whether `version` is one of them.
    #[must_use]
    pub const fn contains(self, version: u32) -> bool {
        self.lowest <= version && version <= self.highest
    }
}

/// What a connection is for: the role that the hello names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Messages between members.
    Peer,
    /// Requests of a client.
    Client,
    /// Something of a newer version, to be refused.
    Unknown(u8),
}

/// What either side says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// The versions of the protocol that it speaks.
    pub protocol: VersionRange,
    /// The feature levels that it supports.
    pub features: VersionRange,
    /// Its cluster; `None` if it knows of none yet.
    pub cluster: Option<ClusterId>,
    /// The cluster's generation.
    pub epoch: Epoch,
    /// Who it is; `None` for a client.
    pub member: Option<Member>,
    /// How often its directory was started.
    pub boot: Boot,
    /// A number drawn at this start.
    pub start: StartNumber,
    /// Its durable term.
    pub term: Term,
    /// The last entry of its log that is durable.
    pub last: LogId,
    /// A hash of the nodes in its file.
    pub nodes_hash: u64,
    /// The name of the cluster in its file.
    pub cluster_name: String,
    /// Where it is reached, as `host:port`: a hint, never an identity. Empty for a client.
    pub address: String,
    /// The snapshot with whose state the cluster is to begin that it forms.
    pub restores: Option<SnapshotId>,
}

/// Whom a hello is for, as far as the sender knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Addressed {
    /// The node.
    pub id: Option<NodeId>,
    /// In which life.
    pub incarnation: Option<Incarnation>,
}

/// How the sender proves who it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Authentication {
    /// 0: not at all.
    pub method: u8,
    /// The proof, in the method's own encoding.
    pub proof: Vec<u8>,
}

/// The first bytes of a connection, from whoever opened it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Who speaks.
    pub party: Party,
    /// Whom it wants to speak to.
    pub to: Addressed,
    /// What for.
    pub purpose: Purpose,
    /// Its proof.
    pub authentication: Authentication,
}

/// The answer to a [`Hello`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HelloAnswer {
    /// Who answers.
    pub party: Party,
    /// Who is answered, as in the hello.
    pub to: Addressed,
    /// What the connection is for, as in the hello.
    pub purpose: Purpose,
    /// Whether the connection stands.
    pub verdict: Verdict,
}

/// Whether a connection stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It does; frames follow.
    Accepted {
        /// The version of the protocol that both speak from here on.
        protocol: u32,
        /// The cluster's feature level; of one that hasn't formed, the highest that both
        /// support.
        feature_level: u32,
    },
    /// It doesn't, and the connection is closed behind the answer.
    Refused {
        /// Why.
        code: HelloRefusal,
        /// The index of the entry that is the reason, else 0.
        index: Index,
        /// Why, for a person.
        text: String,
    },
}

impl Hello {
    /// Appends the hello to `out`.
    ///
    /// # Panics
    ///
    /// If the proof has more than 4,096 bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        let start = begin(HELLO_MAGIC, out);
        put_party(&self.party, self.to, self.purpose, out);
        let proof = &self.authentication.proof;
        assert!(proof.len() <= MAX_PROOF_BYTES, "a proof of {} bytes", proof.len());
        out.put_u8(self.authentication.method);
        out.put_u16_le(proof.len() as u16);
        out.put_slice(proof);
        put_tagged(&self.party, out);
        seal(start, out);
    }

    /// Reads a whole hello whose magic, length and checksum were verified.
    pub(super) fn decode(bytes: &[u8]) -> Result<Hello, Malformed> {
        let mut reader = behind_header(bytes);
        let (mut party, to, purpose) = read_party(&mut reader)?;
        if purpose == Purpose::Peer && party.member.is_none() {
            return Err(Malformed::Invalid { field: "sender", offset: SENDER_AT, found: 0 });
        }
        let method = reader.u8("authentication method")?;
        let proof = fields::bytes(&mut reader, "authentication proof", MAX_PROOF_BYTES)?.to_vec();
        take_tagged(&mut party, &mut reader)?;
        Ok(Hello { party, to, purpose, authentication: Authentication { method, proof } })
    }
}

impl HelloAnswer {
    /// Appends the answer to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let start = begin(ANSWER_MAGIC, out);
        put_party(&self.party, self.to, self.purpose, out);
        match &self.verdict {
            Verdict::Accepted { protocol, feature_level } => {
                put_verdict(HelloRefusal(0), *protocol, *feature_level, Index::ZERO, "", out);
            }
            Verdict::Refused { code, index, text } => put_verdict(*code, 0, 0, *index, text, out),
        }
        put_tagged(&self.party, out);
        seal(start, out);
    }

    /// Reads a whole answer whose magic, length and checksum were verified.
    pub(super) fn decode(bytes: &[u8]) -> Result<HelloAnswer, Malformed> {
        let mut reader = behind_header(bytes);
        let (mut party, to, purpose) = read_party(&mut reader)?;
        let code = HelloRefusal(reader.u16("verdict")?);
        let protocol = reader.u32("protocol version")?;
        let feature_level = reader.u32("feature level")?;
        let index = fields::index(&mut reader, "verdict index")?;
        let text = fields::text(&mut reader, "verdict text")?;
        take_tagged(&mut party, &mut reader)?;
        let verdict = match code.0 {
            0 => Verdict::Accepted { protocol, feature_level },
            _ => Verdict::Refused { code, index, text },
        };
        Ok(HelloAnswer { party, to, purpose, verdict })
    }
}

fn put_verdict(
    code: HelloRefusal,
    protocol: u32,
    feature_level: u32,
    index: Index,
    text: &str,
    out: &mut BytesMut,
) {
    out.put_u16_le(code.0);
    out.put_u32_le(protocol);
    out.put_u32_le(feature_level);
    out.put_u64_le(index.0);
    fields::put_text(text, out);
}

/// Where the sender's number stands.
const SENDER_AT: usize = HEADER_BYTES + 16 + 16 + 8;

fn put_party(party: &Party, to: Addressed, purpose: Purpose, out: &mut BytesMut) {
    for range in [party.protocol, party.features] {
        out.put_u32_le(range.lowest);
        out.put_u32_le(range.highest);
    }
    out.put_u128_le(party.cluster.map_or(0, |cluster| cluster.0));
    out.put_u64_le(party.epoch.0);
    put_optional_member(
        party.member.map(|member| member.id),
        party.member.map(|m| m.incarnation),
        out,
    );
    out.put_u64_le(party.boot.0);
    out.put_u64_le(party.start.0);
    out.put_u64_le(party.term.0);
    fields::put_log_id(party.last, out);
    put_optional_member(to.id, to.incarnation, out);
    out.put_u8(match purpose {
        Purpose::Peer => PEER,
        Purpose::Client => CLIENT,
        Purpose::Unknown(number) => number,
    });
    out.put_u64_le(party.nodes_hash);
    fields::put_short_text(&party.cluster_name, out);
    fields::put_short_text(&party.address, out);
}

/// What is told in a tagged field, at the end of the hello and of the answer.
fn put_tagged(party: &Party, out: &mut BytesMut) {
    if let Some(restores) = &party.restores {
        out.put_u16_le(RESTORES);
        out.put_u16_le(SNAPSHOT_BYTES as u16);
        restores.encode(out);
    }
}

fn take_tagged(party: &mut Party, reader: &mut ByteReader<'_>) -> Result<(), Malformed> {
    fields::tagged(reader, |tag, value| {
        if tag == RESTORES {
            let mut value = ByteReader::new(value);
            party.restores = Some(SnapshotId::decode(&mut value)?);
            value.finish()?;
        }
        Ok(())
    })
}

fn put_optional_member(id: Option<NodeId>, incarnation: Option<Incarnation>, out: &mut BytesMut) {
    fields::put_node_or_none(id, out);
    out.put_u128_le(incarnation.map_or(0, |incarnation| incarnation.0));
}

fn read_party(reader: &mut ByteReader<'_>) -> Result<(Party, Addressed, Purpose), Malformed> {
    let protocol = read_range(reader, ["lowest protocol version", "highest protocol version"])?;
    let features = read_range(reader, ["lowest feature level", "highest feature level"])?;
    let cluster = Some(ClusterId(reader.u128("cluster id")?)).filter(|cluster| cluster.0 != 0);
    let epoch = Epoch(fields::counter(reader, "epoch")?);
    let sender = read_optional_member(reader, ["sender", "sender incarnation"])?;
    let member = sender.id.zip(sender.incarnation);
    let member = member.map(|(id, incarnation)| Member { id, incarnation });
    let boot = Boot(fields::counter(reader, "boot")?);
    let start = StartNumber(reader.u64("start number")?);
    let term = fields::term(reader, "term")?;
    let last = fields::log_id(reader, ["last term", "last index"])?;
    let to = read_optional_member(reader, ["addressed node", "addressed incarnation"])?;
    let purpose = match reader.u8("role")? {
        PEER => Purpose::Peer,
        CLIENT => Purpose::Client,
        other => Purpose::Unknown(other),
    };
    let nodes_hash = reader.u64("hash of the nodes")?;
    let cluster_name = fields::short_text(reader, "cluster name")?;
    let address = fields::short_text(reader, "address")?;
    let party = Party {
        protocol,
        features,
        cluster,
        epoch,
        member,
        boot,
        start,
        term,
        last,
        nodes_hash,
        cluster_name,
        address,
        restores: None,
    };
    Ok((party, to, purpose))
}

fn read_range(
    reader: &mut ByteReader<'_>,
    [lowest_field, highest_field]: [&'static str; 2],
) -> Result<VersionRange, Malformed> {
    let lowest = reader.u32(lowest_field)?;
    let highest = reader.u32(highest_field)?;
    if highest < lowest {
        return Err(reader.invalid(highest_field, 4, u64::from(highest)));
    }
    Ok(VersionRange { lowest, highest })
}

/// A node and its incarnation, each 0 if it isn't known; there is none without a node.
fn read_optional_member(
    reader: &mut ByteReader<'_>,
    [node_field, incarnation_field]: [&'static str; 2],
) -> Result<Addressed, Malformed> {
    let id = fields::node_or_none(reader, node_field)?;
    let number = reader.u128(incarnation_field)?;
    if id.is_none() && number != 0 {
        return Err(reader.invalid(incarnation_field, 16, number as u64));
    }
    let incarnation = Some(Incarnation(number)).filter(|incarnation| incarnation.0 != 0);
    Ok(Addressed { id, incarnation })
}
