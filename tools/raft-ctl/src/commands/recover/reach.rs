//! Whether something listens where the members were: nobody may be given up who is still there.

use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use super::survivor::SeatObject;
use crate::codes::Code;
use crate::error::CliError;

/// How long an address is tried.
const PATIENCE: Duration = Duration::from_secs(1);

/// Refuses where something listens at the address of one of them.
pub(super) fn require_silence<'a>(
    seats: impl Iterator<Item = &'a SeatObject>,
) -> Result<(), CliError> {
    let seats: Vec<&SeatObject> = seats.collect();
    let there: Vec<bool> = thread::scope(|scope| {
        let tries: Vec<_> =
            seats.iter().map(|seat| scope.spawn(|| listens(&seat.address))).collect();
        tries.into_iter().map(|one| one.join().unwrap_or(false)).collect()
    });
    let there = seats.iter().zip(there).filter(|(_, listens)| *listens);
    let lines: Vec<String> =
        there.map(|(seat, _)| format!("node {}  {}", seat.id, seat.address)).collect();
    if lines.is_empty() {
        return Ok(());
    }
    let text = "something listens at the address of a member: not all are stopped or lost";
    Err(CliError::new(Code::NotLost, text).details(lines).hint(
        "a node that runs must not be given up: with it there may be a majority. Stop it, or see \
         that it is another program; --no-probe leaves this out; nothing was changed",
    ))
}

fn listens(address: &str) -> bool {
    let Ok(addresses) = address.to_socket_addrs() else { return false };
    addresses.into_iter().any(|one| TcpStream::connect_timeout(&one, PATIENCE).is_ok())
}
