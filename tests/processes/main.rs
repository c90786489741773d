//! Real processes, seen from outside: started, killed, stopped, spoken to in wrong ways.

mod bench;
mod changing;
mod command_line;
mod damage;
mod disks;
mod doors;
mod exits;
mod forming;
mod histories;
mod import;
mod inspection;
mod leader;
mod limits;
mod members;
mod original;
mod recovery;
mod reload;
mod restore;
mod room;
mod snapshots;
mod supervisor;
mod trouble;
