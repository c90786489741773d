//! Starting a node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use mio::{Interest, Poll, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use super::Exit;
use super::calls::Calls;
use super::door::{Door, Myself};
use super::forming::{Forming, Founder, Plan};
use super::journal::Journal;
use super::opening::{Opening, Store, open};
use super::server::{Early, LISTENER, Life, LoopState, SIGNALS, Server, WAKER};
use super::sockets;
use super::threads::Mailbox;
use crate::config::{Config, Node, Overrides, Role, StorageClass};
use crate::kv::Settings;
use crate::model::{Boot, ClusterId, Incarnation, NodeId, StartNumber, Time};
use crate::storage::end_on_bus_error;

/// What a node is started with.
pub struct Start {
    /// The checked configuration.
    pub config: Config,
    /// Which node of it this is.
    pub me: NodeId,
    /// The file that the configuration was read from; it is read again when the process gets
    /// SIGHUP.
    pub config_path: PathBuf,
    /// What stood above the file, and stands above it again when it is read again.
    pub overrides: Overrides,
    /// Whether a quorum of empty nodes is enough to form a cluster.
    pub form: bool,
    /// Whether a damaged log ends the start, even if the other nodes could repair it.
    pub no_repair: bool,
    /// Whether a person watches: a stopping node then says so in capitals.
    pub terminal: bool,
    /// Called once, when the directory is open and the address is bound.
    pub banner: Box<dyn FnOnce(&Banner)>,
}

/// What a node that has started can say about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Banner {
    /// The cluster that the directory belongs to, if it belongs to one.
    pub cluster: Option<ClusterId>,
    /// Which life of the node's id this is.
    pub incarnation: Incarnation,
    /// How often the directory was started, this start included.
    pub boot: Boot,
    /// Where the files are; `None` where nothing is kept.
    pub directory: Option<PathBuf>,
    /// What is bound.
    pub listening: SocketAddr,
    /// What recovery found, a line for each thing worth knowing.
    pub recovery: Vec<String>,
    /// How long recovery took.
    pub took: Duration,
}

/// Two quorums may found at the same time, and are told apart by the ids that they draw.
const FORM_AND_ID: &str = "a quorum can't form a cluster whose id is fixed: nothing was started. \
                           Take ClusterId out of raft.ini, or start without --form and let the \
                           cluster form when all nodes are there";

/// Runs the node until it stops, and says why it did.
///
/// The caller ends the process with [`Exit::code`], soon: a thread may still wait for a disk that
/// stands still.
#[must_use]
pub fn run(start: Start) -> Exit {
    match prepare(start) {
        Ok(server) => server.run(),
        Err(exit) => exit,
    }
}

/// Opens the directory, binds the address, and puts the event loop together.
fn prepare(start: Start) -> Result<Server, Exit> {
    let Some(node) = start.config.node_by_id(start.me).cloned() else {
        let message = format!("there is no node {} in {}", start.me, start.config_path.display());
        return Err(Exit::Configuration(message));
    };
    let refused = |what| move |error| Exit::System { what, error };
    // Before the directory is read, which may take long: who is told to stop meanwhile does so
    // in good order as soon as it has started.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(refused("signals"))?;
    if start.config.cluster.storage_class == StorageClass::File {
        end_on_bus_error().map_err(refused("to handle a signal"))?;
    }
    let opening = open_directory(&start, &node)?;
    let (listener, listening) = sockets::listen(&node.listen_address())
        .map_err(|(address, error)| Exit::Listen { address, error })?;
    let poll = Poll::new().map_err(refused("to wait for events"))?;
    let (reports_in, reports) = channel();
    let waker = Waker::new(poll.registry(), WAKER).map_err(refused("to be woken"))?;
    let mailbox = Mailbox { reports: reports_in, waker: Arc::new(waker) };
    let (member, boot, cluster) = match &opening.store {
        Store::Unformed(unfounded) => (unfounded.member, unfounded.boot, None),
        Store::Formed(formed) => (formed.member, formed.restored.boot, Some(formed.cluster)),
    };
    let me = Myself {
        member,
        boot,
        start: StartNumber(rand::random()),
        cluster_name: start.config.cluster.name.clone(),
        nodes_hash: start.config.nodes_hash(),
        address: node.address().to_string(),
    };
    let mut server = Server {
        origin: Instant::now(),
        now: Time::ZERO,
        plan: plan(&start.config, start.form),
        me: start.me,
        config_path: start.config_path,
        overrides: start.overrides,
        is_terminal: start.terminal,
        mailbox,
        reports,
        listener,
        signals,
        door: Door::new(me),
        calls: Calls::new(rand::random()),
        journal: Journal::new(),
        life: Life::Between,
        state: LoopState::new(),
        poll,
        config: start.config,
    };
    register(&mut server)?;
    for other in server.config.nodes.iter().filter(|other| other.id != server.me) {
        server.calls.set(other.id, &other.address(), Time::ZERO);
    }
    (start.banner)(&Banner {
        cluster,
        incarnation: member.incarnation,
        boot,
        directory: opening.directory,
        listening,
        recovery: opening.recovery,
        took: opening.took,
    });
    server.journal.listening(listening);
    match opening.store {
        Store::Formed(formed) => server.serve(*formed, false)?,
        Store::Unformed(unfounded) => {
            let forming = Forming::new(member, server.plan.clone(), Time::ZERO);
            server.life = Life::Forming(Box::new(Early { forming, unfounded }));
        }
    }
    Ok(server)
}

fn open_directory(start: &Start, node: &Node) -> Result<Opening, Exit> {
    let opening = open(&start.config, node, (rand::random(), rand::random()))?;
    let is_fixed = start.config.cluster.cluster_id.is_some();
    match &opening.store {
        Store::Unformed(_) if start.form && is_fixed => {
            Err(Exit::Configuration(FORM_AND_ID.to_owned()))
        }
        _ => Ok(opening),
    }
}

/// Has the event loop told of those who call, and of signals.
fn register(server: &mut Server) -> Result<(), Exit> {
    let refused = |what| move |error| Exit::System { what, error };
    let registry = server.poll.registry();
    registry
        .register(&mut server.listener, LISTENER, Interest::READABLE)
        .map_err(refused("to listen"))?;
    registry
        .register(&mut server.signals, SIGNALS, Interest::READABLE)
        .map_err(refused("signals"))?;
    Ok(())
}

fn plan(config: &Config, form: bool) -> Plan {
    let founder = |node: &Node| Founder {
        id: node.id,
        address: node.address().to_string(),
        votes: node.role == Role::Voter,
    };
    let mut founders: Vec<Founder> = config.nodes.iter().map(founder).collect();
    founders.sort_by_key(|founder| founder.id);
    Plan {
        cluster_name: config.cluster.name.clone(),
        cluster: config.cluster.cluster_id,
        founders,
        quorum_is_enough: config.cluster.cluster_id.is_none()
            && (form || config.cluster.storage_class == StorageClass::Memory),
        settings: Settings::default().encode(),
    }
}
