//! Real processes, seen from outside: started, killed, stopped, spoken to in wrong ways.

#![allow(dead_code)]
mod bench;
mod command_line;
