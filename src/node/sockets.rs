//! Sockets and their options.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::config::Address;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How little the kernel holds of what isn't sent, so that what is urgent overtakes in our own
/// queues.
const UNSENT_BYTES: u32 = 64 << 10;

/// A connection that says nothing for so long is asked whether it lives.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(3);
const KEEPALIVE_TIMES: u32 = 3;

/// Listens on the first address that `address` leads to.
pub(crate) fn listen(
    address: &Address,
) -> Result<(TcpListener, SocketAddr), (SocketAddr, io::Error)> {
    let unresolved = SocketAddr::from(([0, 0, 0, 0], address.port));
    let mut found = (address.host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(|error| (unresolved, error))?;
    let nothing = || (unresolved, io::Error::from(io::ErrorKind::AddrNotAvailable));
    let address = found.next().ok_or_else(nothing)?;
    let listener = bind(address).map_err(|error| (address, error))?;
    let bound = listener.local_addr().map_err(|error| (address, error))?;
    Ok((listener, bound))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart isn't held up by connections of the process before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Begins to connect; the socket becomes writable when that has ended.
pub(crate) fn connect(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    prepare(&stream, patience)?;
    Ok(stream)
}

/// Sets the options of a connection. What was sent and isn't acknowledged for `patience` ends it.
pub(crate) fn prepare(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_TIMES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(patience))?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)
}
