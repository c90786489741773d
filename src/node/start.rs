//! Starting a node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use signal_hook_mio::v1_0::Signals;

use super::Exit;
use super::event_loop::{self, EventLoop, Reload};
use super::forming::Begin;
use super::opening::{Opening, Store, open, options};
use super::repair::Repairing;
use super::server::Server;
use super::sockets;
use crate::config::{Config, Node, Overrides, StorageClass};
use crate::model::{Boot, ClusterId, Incarnation, NodeId};
use crate::storage::{Directory, RealDisk, end_on_bus_error};

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
    /// How it begins if its directory is empty.
    pub begin: Begin,
    /// The file of a snapshot, with whose state a new cluster is to begin.
    pub restore: Option<PathBuf>,
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
    let is_kept = start.config.cluster.storage_class == StorageClass::File;
    let node = start.config.node_by_id(start.me).filter(|_| is_kept);
    let directory = node.map(|node| start.config.data_directory(node));
    let exit = match prepare(start) {
        Ok(event_loop) => event_loop.run(),
        Err(exit) => exit,
    };
    match (exit, directory) {
        (Exit::Differs(text), Some(directory)) => forget_state(text, &directory),
        (exit, _) => exit,
    }
}

/// The state isn't that of the others, so its snapshots aren't either.
fn forget_state(text: String, directory: &Path) -> Exit {
    Exit::Differs(match Directory::set_snapshots_aside(&RealDisk, directory) {
        Ok(count) => format!(
            "{text}. {count} snapshots of it were set aside, ending in .bad; the next start makes \
             the state from the log, or takes it from the others"
        ),
        Err(error) => format!("{text}. Its snapshots couldn't be set aside: {error}"),
    })
}

/// Opens the directory, binds the address, and puts the event loop together.
fn prepare(start: Start) -> Result<EventLoop, Exit> {
    let Some(node) = start.config.node_by_id(start.me).cloned() else {
        let message = format!("there is no node {} in {}", start.me, start.config_path.display());
        return Err(Exit::Configuration(message));
    };
    let refused = |what| move |error| Exit::System { what, error };
    // Before the directory is read, which may take long: who is told to stop meanwhile does so
    // in good order as soon as it has started.
    let mut signals = event_loop::signals()?;
    if start.config.cluster.storage_class == StorageClass::File {
        end_on_bus_error().map_err(refused("to handle a signal"))?;
    }
    let opening = open_or_repair(&start, &node, &mut signals)?;
    let (listener, listening) = sockets::listen(&node.listen_address())
        .map_err(|(address, error)| Exit::Listen { address, error })?;
    let (boot, cluster) = match &opening.store {
        Store::Unformed(unfounded) => (unfounded.boot, None),
        Store::Formed(formed) => (formed.restored.boot, Some(formed.cluster)),
    };
    let reload = Reload { path: start.config_path, overrides: start.overrides };
    let (parts, system) = event_loop::parts(listener, signals, reload, start.terminal)?;
    let mut server = Server::new(system, start.config, start.me, &opening.store, &start.begin);
    (start.banner)(&Banner {
        cluster,
        incarnation: opening.store.member().incarnation,
        boot,
        directory: opening.directory,
        listening,
        recovery: opening.recovery,
        took: opening.took,
    });
    server.journal.listening(listening);
    server.start(opening.store)?;
    Ok(EventLoop { parts, server })
}

/// How often a log is repaired in one start: one segment at a time.
const MOST_REPAIRS: usize = 64;

/// Opens the directory. A damaged log is repaired with the help of the other nodes, unless the
/// command line forbids it.
fn open_or_repair(start: &Start, node: &Node, signals: &mut Signals) -> Result<Opening, Exit> {
    let mut repaired = Vec::new();
    loop {
        let refused = match open_directory(start, node) {
            Ok(mut opening) => {
                opening.recovery.append(&mut repaired);
                return Ok(opening);
            }
            Err(Exit::Corrupt(refused)) => refused,
            Err(other) => return Err(other),
        };
        let is_kept = start.config.cluster.storage_class == StorageClass::File;
        if start.no_repair || !is_kept || repaired.len() == MOST_REPAIRS {
            return Err(Exit::Corrupt(refused));
        }
        let repairing = Repairing {
            config: &start.config,
            node,
            directory: start.config.data_directory(node),
            options: options(&start.config, node, (rand::random(), rand::random())),
            is_told_to_stop: &mut || event_loop::is_told_to_stop(signals),
        };
        repaired.push(repairing.repair(&refused)?);
    }
}

fn open_directory(start: &Start, node: &Node) -> Result<Opening, Exit> {
    let random = (rand::random(), rand::random());
    let opening = open(&start.config, node, random, start.restore.as_deref())?;
    let is_fixed = start.config.cluster.cluster_id.is_some();
    match &opening.store {
        Store::Unformed(_) if start.begin == Begin::Quorum && is_fixed => {
            Err(Exit::Configuration(FORM_AND_ID.to_owned()))
        }
        _ => Ok(opening),
    }
}
