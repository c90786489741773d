//! What the first entry of a cluster says.

use std::sync::Arc;

use super::{
    Batch, BatchBuilder, BatchError, ByteReader, ClusterId, Configuration, ENTRY_HEADER_BYTES,
    EntryHeader, EntryKind, Epoch, Index, LogId, LogTime, Malformed, NodeId, PutBytes, SnapshotId,
    Term,
};

/// The payload of the first entry of a log, which all founders store in the same bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Founding {
    /// The cluster's identity, drawn by the founder.
    pub cluster: ClusterId,
    /// The cluster's generation.
    pub epoch: Epoch,
    /// Who made this entry. Of two foundings that nothing followed, the lower founder's stands.
    pub founder: NodeId,
    /// The cluster's name, from raft.ini.
    pub name: String,
    /// The first members.
    pub configuration: Configuration,
    /// The state machine's first settings, in its own encoding.
    pub settings: Vec<u8>,
    /// The snapshot of another cluster, with whose state this one begins: its log goes on behind
    /// the snapshot's last entry.
    pub restored: Option<SnapshotId>,
}

/// The longest encoding of the settings, in bytes.
const MAX_SETTINGS_BYTES: u32 = 4096;

impl Founding {
    /// Appends the encoding to `out`: cluster id (16), epoch (8), founder (2), name (1 + length),
    /// configuration, settings (4 + length); of a cluster that was restored also the snapshot's
    /// name.
    pub fn encode(&self, out: &mut impl PutBytes) {
        out.put_u128_le(self.cluster.0);
        out.put_u64_le(self.epoch.0);
        out.put_u16_le(self.founder.number());
        out.put_short_bytes(self.name.as_bytes());
        self.configuration.encode(out);
        out.put_long_bytes(&self.settings);
        if let Some(restored) = &self.restored {
            restored.encode(out);
        }
    }

    /// Reads what [`Founding::encode`] wrote; nothing may follow it.
    pub fn decode(payload: &[u8]) -> Result<Founding, Malformed> {
        let mut reader = ByteReader::new(payload);
        let cluster = ClusterId(reader.u128("cluster id")?);
        let epoch = Epoch(reader.u64("epoch")?);
        let number = reader.u16("founder")?;
        let founder = NodeId::new(number).ok_or_else(|| reader.invalid("founder", 2, 0))?;
        let name = reader.short_text("cluster name", u8::MAX)?.to_owned();
        let configuration = Configuration::decode(&mut reader)?;
        let settings = reader.long_bytes("settings", MAX_SETTINGS_BYTES)?.to_vec();
        let is_restored = reader.left() > 0;
        let restored = is_restored.then(|| SnapshotId::decode(&mut reader)).transpose()?;
        reader.finish()?;
        Ok(Founding { cluster, epoch, founder, name, configuration, settings, restored })
    }
}

/// The first entry of a cluster. All nodes hold the same bytes of it for as long as they live, in
/// the log or in the snapshots that cover it, so that whoever missed it gets it from anybody.
///
/// A clone shares it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundingEntry {
    shared: Arc<Shared>,
}

#[derive(PartialEq, Eq, Debug)]
struct Shared {
    batch: Batch,
    founding: Founding,
}

impl FoundingEntry {
    /// The name of every founding entry: it was made before any election.
    pub const ID: LogId = LogId::new(Term::ZERO, Index(1));

    /// The entry that says this, made at this time.
    #[must_use]
    pub fn make(founding: Founding, time: LogTime) -> FoundingEntry {
        let mut payload = Vec::new();
        founding.encode(&mut payload);
        let mut builder = BatchBuilder::default();
        let header = EntryHeader { kind: EntryKind::FOUNDING, id: FoundingEntry::ID, time };
        builder.push(header, &payload);
        let batch = builder.take().expect("an entry was pushed");
        FoundingEntry { shared: Arc::new(Shared { batch, founding }) }
    }

    /// The entry that is alone in `batch`.
    ///
    /// # Errors
    ///
    /// If it isn't one entry of kind founding with the name [`FoundingEntry::ID`], or can't be
    /// read.
    pub fn new(batch: Batch) -> Result<FoundingEntry, BatchError> {
        let (first, last) = (batch.first(), batch.last());
        if first != FoundingEntry::ID || last != FoundingEntry::ID {
            let found = if first == FoundingEntry::ID { last } else { first };
            return Err(BatchError::Sequence { offset: 0, previous: LogId::ORIGIN, found });
        }
        let entry = batch.entry(FoundingEntry::ID.index).expect("its only entry has this index");
        let malformed = |error: Malformed| BatchError::Entry { offset: 0, error: error.into() };
        if entry.kind() != EntryKind::FOUNDING {
            let found = u64::from(entry.kind().0);
            return Err(malformed(Malformed::Invalid { field: "kind", offset: 10, found }));
        }
        let founding = Founding::decode(entry.payload())
            .map_err(|error| malformed(error.shifted(ENTRY_HEADER_BYTES)))?;
        Ok(FoundingEntry { shared: Arc::new(Shared { batch, founding }) })
    }

    /// The entry, alone in its batch.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.shared.batch
    }

    /// What it says.
    #[must_use]
    pub fn founding(&self) -> &Founding {
        &self.shared.founding
    }

    /// The log time at which it was made.
    #[must_use]
    pub fn time(&self) -> LogTime {
        self.shared.batch.iter().next().map_or(LogTime(0), |entry| entry.time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Incarnation, Seat, Standing};

    #[test]
    fn a_founding_reads_back_and_no_cut_of_it_does() {
        let restored =
            SnapshotId { last: LogId::new(Term(7), Index(812)), bytes: 4160, hash: u128::MAX };
        for restored in [None, Some(restored)] {
            reads_back(&founding(restored));
        }
    }

    fn founding(restored: Option<SnapshotId>) -> Founding {
        let seat = Seat {
            id: NodeId::new(1).unwrap(),
            incarnation: Some(Incarnation(5)),
            standing: Standing::Voter,
            address: "127.0.0.1:3111".to_owned(),
        };
        Founding {
            cluster: ClusterId(77),
            epoch: Epoch(0),
            founder: NodeId::new(1).unwrap(),
            name: "raft".to_owned(),
            configuration: Configuration::new(vec![seat]),
            settings: vec![1, 2, 3],
            restored,
        }
    }

    fn reads_back(founding: &Founding) {
        let mut bytes = Vec::new();
        founding.encode(&mut bytes);
        assert_eq!(&Founding::decode(&bytes).unwrap(), founding);
        let without = founding.restored.map_or(usize::MAX, |_| bytes.len() - 40);
        for length in (0..bytes.len()).filter(|length| *length != without) {
            assert!(Founding::decode(&bytes[..length]).is_err());
        }
        assert!(Founding::decode(&[&bytes[..], &[0]].concat()).is_err());
        let entry = FoundingEntry::make(founding.clone(), LogTime(9));
        assert_eq!(FoundingEntry::new(entry.batch().clone()).as_ref(), Ok(&entry));
        assert_eq!((entry.founding(), entry.time()), (founding, LogTime(9)));
    }
}
