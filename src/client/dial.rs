//! Opening a connection before a deadline, name look-up included.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Address;

/// A connection to `address`, or the error of the last of its addresses that was tried.
pub(super) fn dial(address: &Address, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in resolve(address, deadline)? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The addresses behind `address`, in the order in which they are to be tried.
///
/// The system's look-up of names knows no deadline, so it has a thread of its own, which ends
/// when the look-up does.
pub fn resolve(address: &Address, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let (sender, receiver) = mpsc::channel();
    let (host, port) = (address.host.clone(), address.port);
    thread::Builder::new().name("name look-up".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // Nobody waits any more where the deadline has passed.
        let _ = sender.send(found);
    })?;
    receiver.recv_timeout(left(deadline)?).unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, "looking up the name timed out"))
    })
}

/// The time until `deadline`; an error where there is none left.
pub(super) fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
}
