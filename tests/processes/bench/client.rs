//! Clients of a cluster under test.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_node::client::{self, Endpoint, Failure, Options, Pipeline};
use raft_node::config::Address;
use raft_node::kv::Scan;
use raft_node::model::NodeId;
use raft_node::wire::{Consistency, StatusReply, StatusRole};

use super::{Cluster, wait_for};

/// How a change ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Done,
    Refused,
    Unknown,
}

/// A client that reads and writes text.
pub(crate) struct Client(client::Client);

impl Client {
    /// How a change of `key` to `value` ended.
    pub(crate) fn put(&mut self, key: &str, value: &str) -> Outcome {
        outcome(self.0.put(key.as_bytes(), value.as_bytes()))
    }

    /// Puts until it is done: the same value again does no harm.
    #[track_caller]
    pub(crate) fn put_until_done(&mut self, key: &str, value: &str) {
        wait_for("a put to be done", || (self.put(key, value) == Outcome::Done).then_some(()));
    }

    /// The value of `key`, as of now.
    #[track_caller]
    pub(crate) fn get(&mut self, key: &str) -> Option<String> {
        wait_for("a get to be answered", || self.try_get(key).ok())
    }

    /// The value of `key`, as of now; asked once.
    pub(crate) fn try_get(&mut self, key: &str) -> Result<Option<String>, Failure> {
        let seen = self.0.get(&[key.as_bytes()])?;
        Ok(seen.answer.into_iter().next().flatten().map(|value| text(value.value)))
    }

    /// All that is stored, as of now if nothing is changed meanwhile.
    #[track_caller]
    pub(crate) fn scan(&mut self) -> BTreeMap<String, String> {
        let mut stored = BTreeMap::new();
        let mut next = Some(Vec::new());
        while let Some(from) = next {
            let scan = Scan { from: &from, ..Scan::ALL };
            let page = wait_for("a scan to be answered", || self.0.scan(&scan).ok()).answer;
            for record in page.records {
                stored.insert(text(record.key), text(record.value.expect("it was asked for")));
            }
            next = page.cursor;
        }
        stored
    }
}

fn outcome<T>(result: Result<T, Failure>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(Failure::Refused(_)) => Outcome::Refused,
        Err(Failure::Unknown(_)) => Outcome::Unknown,
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("tests write UTF-8")
}

impl Cluster {
    /// A client that knows all nodes.
    pub(crate) fn client(&self) -> Client {
        Client(self.library_client())
    }

    /// The same, as the library has it.
    pub(crate) fn library_client(&self) -> client::Client {
        client::Client::new(self.options(self.ids()))
    }

    /// A client that reads what these nodes hold, however old it is.
    pub(crate) fn stale_client_of(&self, ids: impl IntoIterator<Item = u16>) -> client::Client {
        let (fixed, consistency) = (true, Consistency::Stale);
        client::Client::new(Options { fixed, consistency, ..self.options(ids) })
    }

    /// A client that speaks to these nodes only.
    pub(crate) fn client_of(&self, ids: impl IntoIterator<Item = u16>) -> Client {
        Client(client::Client::new(Options { fixed: true, ..self.options(ids) }))
    }

    /// A client that has many changes under way at a time, in a session of this name.
    #[track_caller]
    pub(crate) fn pipeline(&self, name: &str) -> Pipeline {
        wait_for("a session to be opened", || {
            Pipeline::open(self.options(self.ids()), name.as_bytes()).ok()
        })
    }

    fn options(&self, ids: impl IntoIterator<Item = u16>) -> Options {
        let endpoint = |id| {
            let (host, port) = self.address(id);
            let address = Address { host: host.to_string(), port };
            Endpoint { node: NodeId::new(id), label: None, address }
        };
        Options::new(ids.into_iter().map(endpoint).collect())
    }

    /// What a node says of itself, if it answers.
    pub(crate) fn status(&self, id: u16) -> Option<StatusReply> {
        let timeout = Duration::from_secs(2);
        let options = Options { fixed: true, timeout, ..self.options([id]) };
        client::Client::new(options).status().ok().map(|status| *status)
    }

    /// Waits until a node leads and has carried out all that is committed. Gives its number.
    #[track_caller]
    pub(crate) fn wait_for_leader(&self) -> u16 {
        wait_for("a leader", || {
            let leads = |status: &StatusReply| {
                status.role == StatusRole::Leader && status.commit == status.applied
            };
            let leaders = self.ids().filter_map(|id| self.status(id)).filter(leads);
            let latest = leaders.max_by_key(|status| status.term)?;
            Some(latest.node.id.number())
        })
    }

    /// Waits until every node answers.
    #[track_caller]
    pub(crate) fn wait_until_all_answer(&self) {
        let all = || self.ids().all(|id| self.status(id).is_some()).then_some(());
        wait_for("all nodes to answer", all);
    }

    /// Waits until every node has carried out the same entries, and checks that this has brought
    /// all to the same state.
    #[track_caller]
    pub(crate) fn wait_until_all_have_caught_up(&self) {
        let hashes = wait_for("all nodes to have the same entries", || {
            let all: Option<Vec<StatusReply>> = self.ids().map(|id| self.status(id)).collect();
            let all = all?;
            let progress = |status: &StatusReply| (status.applied, status.state_hash_index);
            let first = progress(&all[0]);
            let is_settled = all.iter().all(|status| progress(status) == first);
            is_settled.then(|| all.iter().map(|status| status.state_hash).collect::<Vec<_>>())
        });
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "the states differ: {hashes:x?}");
    }
}
