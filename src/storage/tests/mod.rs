//! What the storage promises, seen from outside.

mod crash;
mod damage;
mod epoch;
mod formats;
mod harness;
mod images;
mod inspection;
mod losable;
mod real_disk;
mod repair;
mod reset;
mod restore;
mod rows;
mod snapshot_crash;
mod snapshot_damage;
mod snapshot_rows;
mod snapshots;
mod space;
mod work;
