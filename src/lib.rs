//! A persistent Raft node: a replicated, ordered key-value store.
//!
//! Each module is a room with one subject; the roads between them go one way.
//! [`model`] is the vocabulary that all share; [`raft`] is the protocol; [`wire`] turns bytes into
//! messages; [`storage`] is the disk; [`kv`] is the replicated machine; [`config`] reads raft.ini;
//! [`node`] is the shell in which they meet; [`client`] is the library for programs that use a
//! cluster.

pub mod client;
pub mod config;
pub mod kv;
pub mod model;
pub mod node;
pub mod raft;
pub mod storage;
pub mod wire;
