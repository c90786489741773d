//! A persistent Raft node: a replicated, ordered key-value store.
//!
//! Each module is a room with one subject; the roads between them go one way.
//! [`model`] is the vocabulary that all share; [`raft`] is the protocol;
//! [`config`] reads raft.ini.

pub mod config;
pub mod model;
pub mod raft;
