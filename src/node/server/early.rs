//! What clients are told before there is a cluster.

use super::Server;
use super::life::Life;
use crate::model::{ClusterId, Configuration, Epoch, Index, LogTime, Term, Time};
use crate::node::connection::Stage;
use crate::node::outside::Outside;
use crate::wire::{
    Awaited, RefusalCode, Reply, ReplyBody, Request, RequestBody, StatusReply, StatusRole,
};

impl<O: Outside> Server<O> {
    /// The reply to a client that came before there is a cluster.
    pub(super) fn early_reply(&self, request: &Request) -> Reply {
        let waits = match &self.life {
            Life::Forming(early) => early.forming.waits_for(),
            _ => Vec::new(),
        };
        let body = match request.body {
            RequestBody::Ping => ReplyBody::Pong,
            RequestBody::Status => ReplyBody::Status(Box::new(self.early_status(waits))),
            _ => {
                let missing = waits.iter().map(|node| format!("node {} ({})", node.id, node.why));
                let missing: Vec<String> = missing.collect();
                ReplyBody::Refused {
                    code: RefusalCode::NotFormed,
                    leader: None,
                    text: match missing.is_empty() {
                        true => "the cluster is just forming".to_owned(),
                        false => format!("the cluster waits for {}", missing.join(", ")),
                    },
                }
            }
        };
        Reply { id: request.id, body }
    }

    fn early_status(&self, waits_for: Vec<Awaited>) -> StatusReply {
        let me = self.door.me();
        let about = self.about(ClusterId(0), Epoch::ZERO, me.boot, (0, 0));
        let clients = self.state.connections.values();
        let clients = clients.filter(|one| matches!(one.stage, Stage::Client(_))).count();
        StatusReply {
            node: about.me,
            label: about.label,
            address: about.address,
            version: about.version,
            boot: about.boot,
            uptime: self.now.since(Time::ZERO),
            cluster_name: about.cluster_name,
            cluster: None,
            epoch: Epoch::ZERO,
            role: StatusRole::Forming,
            role_for: self.now.since(Time::ZERO),
            term: Term::ZERO,
            leader: None,
            heard_ago: None,
            voter: false,
            first: Index(1),
            last: Index::ZERO,
            durable: Index::ZERO,
            commit: Index::ZERO,
            applied: Index::ZERO,
            applied_time: LogTime(0),
            log_time: LogTime(0),
            snapshot: Index::ZERO,
            snapshot_time: LogTime(0),
            log_bytes: 0,
            segments: 0,
            writes: 0,
            storage: about.storage,
            disk_ok: true,
            sync_p99: None,
            feature_level: 0,
            state_hash: 0,
            state_hash_index: Index::ZERO,
            keys: 0,
            state_bytes: 0,
            clients: u32::try_from(clients).unwrap_or(u32::MAX),
            configuration_index: Index::ZERO,
            configuration: Configuration::default(),
            peers: Vec::new(),
            waits_for,
            reasons: Vec::new(),
        }
    }
}
