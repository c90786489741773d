//! The program from outside: what each command prints and how it exits, against a node with the
//! real store behind it.

#[cfg(test)]
mod backup;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod inspection;
#[cfg(test)]
mod offline;
#[cfg(test)]
mod recover;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod snapshot_files;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod support;
#[cfg(test)]
mod terminal;
