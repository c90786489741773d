//! raft.ini: reading it, checking it, and what stands above it.
//!
//! A configuration is made of four layers: flags above the environment above the file above the
//! defaults. [`load`] reads them all and gives a [`Config`] in which every value is in its range
//! and fits the others, or [`Diagnostics`] with all the mistakes there are, each with its place.
//! Nothing here looks at the environment or the command line by itself.
//!
//! The format is that of Python's `configparser`; the reference of all keys is [`reference()`].

mod check;
mod diagnostics;
mod effective;
mod ini;
mod keys;
mod load;
mod overrides;
mod reference;
mod report;
mod settings;
mod suggest;
mod table;
mod unknown;
mod values;

pub use diagnostics::{Diagnostic, Diagnostics, Place, Severity};
pub use load::{Loaded, load, parse};
pub use overrides::Overrides;
pub use reference::reference;
pub use settings::{
    Address, Client, Cluster, Config, Listen, Node, Role, Snapshot, Storage, StorageClass,
    SyncPolicy,
};

#[cfg(test)]
mod tests;
