//! The program from outside: what each command prints and how it exits, against a node with the
//! real store behind it.

mod failures;
mod inspection;
mod offline;
mod requests;
mod support;
