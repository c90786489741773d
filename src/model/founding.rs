//! What the first entry of a cluster says.

use super::{ByteReader, ClusterId, Configuration, Epoch, Malformed, NodeId, PutBytes};

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
}

/// The longest encoding of the settings, in bytes.
const MAX_SETTINGS_BYTES: u32 = 4096;

impl Founding {
    /// Appends the encoding to `out`: cluster id (16), epoch (8), founder (2), name (1 + length),
    /// configuration, settings (4 + length).
    pub fn encode(&self, out: &mut impl PutBytes) {
        out.put_u128_le(self.cluster.0);
        out.put_u64_le(self.epoch.0);
        out.put_u16_le(self.founder.number());
        out.put_short_bytes(self.name.as_bytes());
        self.configuration.encode(out);
        out.put_long_bytes(&self.settings);
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
        reader.finish()?;
        Ok(Founding { cluster, epoch, founder, name, configuration, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Incarnation, Seat, Standing};

    #[test]
    fn a_founding_reads_back_and_no_cut_of_it_does() {
        let seat = Seat {
            id: NodeId::new(1).unwrap(),
            incarnation: Some(Incarnation(5)),
            standing: Standing::Voter,
            address: "127.0.0.1:3111".to_owned(),
        };
        let founding = Founding {
            cluster: ClusterId(77),
            epoch: Epoch(0),
            founder: NodeId::new(1).unwrap(),
            name: "raft".to_owned(),
            configuration: Configuration::new(vec![seat]),
            settings: vec![1, 2, 3],
        };
        let mut bytes = Vec::new();
        founding.encode(&mut bytes);
        assert_eq!(Founding::decode(&bytes).unwrap(), founding);
        for length in 0..bytes.len() {
            assert!(Founding::decode(&bytes[..length]).is_err());
        }
    }
}
