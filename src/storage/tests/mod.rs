//! What the storage promises, seen from outside.

mod crash;
mod damage;
mod formats;
mod harness;
mod inspection;
mod losable;
mod real_disk;
mod reset;
mod rows;
mod space;
mod work;
