//! Which nodes of the file are this machine's.

use std::io;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

use raft_node::config::Node;

/// Whether the node's host is this machine: whether one of its addresses can be bound here.
///
/// # Errors
///
/// The host's name has no address.
pub(crate) fn is_local(node: &Node) -> io::Result<bool> {
    let addresses = (node.host.as_str(), node.port).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).any(is_bindable))
}

fn is_bindable(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use raft_node::config::Role;
    use raft_node::model::NodeId;

    use super::*;

    fn node(host: &str) -> Node {
        Node {
            id: NodeId::new(1).expect("not 0"),
            label: "A".to_owned(),
            host: host.to_owned(),
            port: 3111,
            role: Role::Voter,
            data_directory: None,
            listen: None,
        }
    }

    #[test]
    fn the_loopback_address_is_local() {
        assert!(is_local(&node("127.0.0.1")).expect("an address"));
    }

    #[test]
    fn an_address_of_another_machine_is_not() {
        // From the block that is set aside for documentation.
        assert!(!is_local(&node("192.0.2.1")).expect("an address"));
    }
}
