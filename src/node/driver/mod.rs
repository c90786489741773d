//! The driver.

mod clients;
mod files;
mod gathering;
mod log;
mod proposals;
mod reads;
mod recent;
