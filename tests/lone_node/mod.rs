// A node that is a cluster by itself, in this process. Examples in the documentation of the library
// include this file to have somebody to speak to.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use raft_node::config::{self, Overrides};
use raft_node::model::NodeId;
use raft_node::node::{Begin, Exit, Start, run};

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Starts a node that is a cluster by itself, in memory, on a port of the system's choice.
pub(crate) fn start() -> (SocketAddr, JoinHandle<Exit>) {
    let port = free_port();
    let file = format!(
        "[Cluster]\nStorageClass = InMemoryStorage\nElectionTimeout = 100ms\n\
         HeartbeatInterval = 20ms\n[Client]\nMaxConnections = 3\n\
         [Nodes]\nNode1 = A\n[Node.A]\nHost = 127.0.0.1\nPort = {port}\n"
    );
    let environment: [(&str, &str); 0] = [];
    let loaded = config::parse("raft.ini", file.as_bytes(), &Overrides::default(), environment)
        .expect("it works");
    let (started, listening) = channel();
    let node = thread::spawn(move || {
        run(Start {
            config: loaded.config,
            me: NodeId::new(1).expect("not 0"),
            config_path: PathBuf::from("raft.ini"),
            overrides: Overrides::default(),
            begin: Begin::Together,
            no_repair: false,
            terminal: false,
            banner: Box::new(move |banner| started.send(banner.listening).expect("it works")),
        })
    });
    (listening.recv_timeout(Duration::from_secs(20)).expect("the node starts"), node)
}
