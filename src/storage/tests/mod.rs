//! What the storage promises, seen from outside.

#![allow(dead_code)]
mod crash;
mod harness;
mod losable;
