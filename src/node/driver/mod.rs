//! The driver.

mod files;
mod gathering;
mod log;
mod recent;
