//! The file that says whose directory it is.

use std::path::Path;

use crate::model::{ByteReader, ClusterId, Epoch, FoundingEntry, Incarnation, NodeId, PutBytes};

use super::layout::Layout;
use super::page::{PAGE_BYTES, PageFault, PageKind};
use super::{Access, Corruption, Disk, DiskFile, StorageError};

/// The page's kind.
pub(super) const PAGE: PageKind = PageKind { magic: "RAFTIDEN", format: 1 };

/// The length of the file: two copies, each in a page of its own.
pub(super) const FILE_BYTES: usize = 2 * PAGE_BYTES;

/// The page's flag that the node is part of a cluster.
pub(super) const FORMED: u16 = 1;

/// Who a directory belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Its life: drawn when the directory was formatted.
    pub incarnation: Incarnation,
    /// The cluster that it is part of, once it is.
    pub cluster: Option<(ClusterId, Epoch)>,
}

impl Identity {
    /// The identity that the directory has as part of the cluster that `founding` begins.
    pub(super) fn founded(&self, founding: &FoundingEntry) -> Identity {
        let founding = founding.founding();
        Identity { cluster: Some((founding.cluster, founding.epoch)), ..*self }
    }

    /// The page's flags for this identity.
    pub(super) fn flags(&self) -> u16 {
        if self.cluster.is_some() { FORMED } else { 0 }
    }

    /// Appends the fields that all pages of this directory begin with.
    pub(super) fn put(&self, out: &mut impl PutBytes) {
        let (cluster, epoch) = self.cluster.unwrap_or((ClusterId(0), Epoch(0)));
        out.put_u128_le(cluster.0);
        out.put_u64_le(epoch.0);
        out.put_u128_le(self.incarnation.0);
        out.put_u16_le(self.node.number());
        out.put_slice(&[0; 6]);
    }

    /// Reads what [`Identity::put`] wrote.
    pub(super) fn take(flags: u16, reader: &mut ByteReader<'_>) -> Result<Identity, PageFault> {
        let cluster = ClusterId(reader.u128("cluster id")?);
        let epoch = Epoch(reader.u64("epoch")?);
        let incarnation = Incarnation(reader.u128("incarnation")?);
        let number = reader.u16("node")?;
        let node = NodeId::new(number).ok_or_else(|| reader.invalid("node", 2, 0))?;
        reader.take("reserved", 6)?;
        let cluster = (flags & FORMED != 0).then_some((cluster, epoch));
        Ok(Identity { node, incarnation, cluster })
    }

    /// The file's contents.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.put(&mut body);
        PAGE.seal(self.flags(), &body).repeat(2)
    }

    fn decode(page: &[u8]) -> Result<Identity, PageFault> {
        let (flags, body) = PAGE.open(page)?;
        Identity::take(flags, &mut ByteReader::new(body))
    }
}

/// What the file holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdentityFound {
    pub(super) identity: Identity,
    /// Which copies are good.
    pub(super) copies: [bool; 2],
}

/// Reads the file; `None` if there is none.
pub(super) fn read<D: Disk>(
    disk: &D,
    layout: &Layout,
    access: Access,
) -> Result<Option<IdentityFound>, StorageError> {
    let path = &layout.identity;
    let file = match disk.open(path, access) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StorageError::disk("open", path)(source)),
    };
    let length = file.length().map_err(StorageError::disk("look at", path))?;
    if length < FILE_BYTES as u64 {
        return Err(damaged(layout, length, "it is too short".to_owned()));
    }
    let mut bytes = vec![0; FILE_BYTES];
    file.read_at(0, &mut bytes).map_err(StorageError::disk("read", path))?;
    let copies = [0, 1].map(|copy| Identity::decode(&bytes[copy * PAGE_BYTES..][..PAGE_BYTES]));
    for copy in &copies {
        if let Err(PageFault::Newer { found, supported }) = *copy {
            let (path, what) = (path.clone(), "the identity");
            return Err(StorageError::Newer { path, what, found, supported });
        }
    }
    let good = copies.map(|copy| copy.is_ok());
    match copies {
        [Ok(first), Ok(second)] if first != second => {
            let what = "its two copies say different things".to_owned();
            Err(damaged(layout, PAGE_BYTES as u64, what))
        }
        [Ok(identity), _] | [_, Ok(identity)] => Ok(Some(IdentityFound { identity, copies: good })),
        [Err(fault), Err(_)] => Err(damaged(layout, 0, format!("both copies are bad: {fault}"))),
    }
}

fn damaged(layout: &Layout, offset: u64, what: String) -> StorageError {
    let file = "identity".into();
    Corruption { directory: layout.root.clone(), file, offset, what, entries: None }.into()
}

/// Replaces the file, durably.
pub(super) fn write<D: Disk>(
    disk: &D,
    layout: &Layout,
    identity: &Identity,
) -> Result<(), StorageError> {
    replace_file(disk, &layout.root, &layout.identity, &identity.encode())
}

/// Gives the file at `path` in `directory` these contents, durably and at once.
pub(super) fn replace_file<D: Disk>(
    disk: &D,
    directory: &Path,
    path: &Path,
    contents: &[u8],
) -> Result<(), StorageError> {
    let unfinished = Layout::unfinished(path);
    let file =
        disk.open(&unfinished, Access::Create).map_err(StorageError::disk("make", &unfinished))?;
    file.allocate(contents.len() as u64)
        .map_err(StorageError::disk("set room aside for", &unfinished))?;
    file.write_at(0, contents).map_err(StorageError::disk("write", &unfinished))?;
    file.sync().map_err(StorageError::disk("sync", &unfinished))?;
    disk.rename(&unfinished, path).map_err(StorageError::disk("rename", &unfinished))?;
    disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))
}
