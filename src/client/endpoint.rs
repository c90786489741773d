//! Where a node is reached.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};

use crate::config::Address;
use crate::model::NodeId;

/// A node that a client may speak to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Endpoint {
    /// Its number, where that is known.
    pub node: Option<NodeId>,
    /// Its label, where that is known.
    pub label: Option<String>,
    /// Where it is reached.
    pub address: Address,
}

/// A text that is no endpoint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is no endpoint: {reason}; one is host:port, as 10.0.0.1:3111")]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl Endpoint {
    /// Reads `host:port`; an address of version 6 stands in brackets.
    ///
    /// ```
    /// use raft_node::client::Endpoint;
    /// assert_eq!(Endpoint::parse("[::1]:3111").unwrap().address.host, "::1");
    /// assert!(Endpoint::parse("localhost").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        let wrong = |reason| EndpointError { text: text.to_owned(), reason };
        let text = text.trim();
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("there is no port"))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) if host.parse::<Ipv6Addr>().is_ok() => host,
            Some(_) => return Err(wrong("there is no address of version 6 in the brackets")),
            None if text.parse::<SocketAddrV6>().is_err() && host.contains(':') => {
                return Err(wrong("an address of version 6 needs brackets"));
            }
            None => host,
        };
        if host.is_empty() {
            return Err(wrong("there is no host"));
        }
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if host.len() > LONGEST_HOST || !host.bytes().all(letter) {
            return Err(wrong("the host is neither a name nor an address"));
        }
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse::<u16>().ok().filter(|port| digits && *port > 0);
        let port = port.ok_or_else(|| wrong("the port is not a number of 1..65535"))?;
        let address = Address { host: host.to_owned(), port };
        Ok(Endpoint { node: None, label: None, address })
    }
}

/// The longest name of a host.
const LONGEST_HOST: usize = 253;

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "node {node} {}", self.address),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_of_both_versions_are_endpoints() {
        for (text, host, port) in [
            ("10.0.0.1:3111", "10.0.0.1", 3111),
            ("db-1.example.org:1", "db-1.example.org", 1),
            ("[fe80::1]:65535", "fe80::1", 65535),
            (" localhost:3111 ", "localhost", 3111),
        ] {
            let address = Endpoint::parse(text).unwrap().address;
            assert_eq!((address.host.as_str(), address.port), (host, port));
        }
    }

    #[test]
    fn what_is_no_endpoint_says_why() {
        for (text, reason) in [
            ("", "no port"),
            ("localhost", "no port"),
            (":3111", "no host"),
            ("a:0", "1..65535"),
            ("a:65536", "1..65535"),
            ("a:+1", "1..65535"),
            ("::1:3111", "brackets"),
            ("[x]:3111", "version 6"),
            ("http://a:3111", "brackets"),
            ("a b:1", "neither"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
