//! A damaged log, repaired before the node takes part: until all is there that it may ever have
//! acknowledged, it neither votes nor acknowledges anything, since it isn't there.

mod lender;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Config, Node};
use crate::model::{ClusterId, Epoch, StartNumber};
use crate::storage::{Attempt, Lack, OpenOptions, RealDisk, Repair, Repaired};

use super::Exit;
use super::journal::Journal;
use super::opening::exit_of;
use lender::Lender;

/// How long to wait before everybody is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Who hears nobody for so long is alone.
const ALONE: Duration = Duration::from_secs(10);

/// What is repaired, and with whose help.
pub(super) struct Repairing<'a> {
    pub(super) config: &'a Config,
    pub(super) node: &'a Node,
    pub(super) directory: PathBuf,
    pub(super) options: OpenOptions,
    /// Whether the node is told to stop.
    pub(super) is_told_to_stop: &'a mut dyn FnMut() -> bool,
}

impl Repairing<'_> {
    /// Repairs the directory, which was refused for `refused`; tells what was done.
    pub(super) fn repair(self, refused: &str) -> Result<String, Exit> {
        let mut journal = Journal::new();
        let mut repair = None;
        let (mut heard_at, mut told) = (Instant::now(), String::new());
        loop {
            let mut held = match repair.take() {
                Some(held) => held,
                None => self.look(refused)?,
            };
            if told.is_empty() {
                journal.repairs(held.term());
                journal.error("log_damaged", &held.damage().to_string());
            }
            let others = self.others(&held);
            if others.is_empty() && held.lack() != Lack::Nothing {
                return Err(alone(refused, "no other node is known that could have what is lost"));
            }
            let (mut lenders, mut said) = connect(&others, held.cluster());
            let is_anybody_there = !lenders.is_empty();
            match held.attempt(&mut lenders, &mut said).map_err(exit_of)? {
                Attempt::Done(done) => {
                    let text = describe(&done);
                    journal.info("log_repaired", &text);
                    return Ok(text);
                }
                Attempt::Waits(left) => repair = left.map(|left| *left),
            }
            let said = said.join("; ");
            if is_anybody_there {
                heard_at = Instant::now();
            } else if heard_at.elapsed() >= ALONE {
                return Err(alone(refused, &said));
            }
            if said != told {
                journal.info("repair_waits", &said);
                told = said;
            }
            if (self.is_told_to_stop)() {
                return Err(Exit::Clean);
            }
            thread::sleep(PAUSE);
        }
    }

    fn look(&self, refused: &str) -> Result<Repair<RealDisk>, Exit> {
        let looked = Repair::look(RealDisk, &self.directory, &self.options);
        looked.map_err(exit_of)?.ok_or_else(|| Exit::Corrupt(refused.to_owned()))
    }

    /// Where other members may be reached.
    fn others(&self, repair: &Repair<RealDisk>) -> BTreeSet<String> {
        let of_file = self.config.nodes.iter().filter(|node| node.id != self.node.id);
        let mut others: BTreeSet<String> = of_file.map(|node| node.address().to_string()).collect();
        let seats = repair.configuration().map(|members| members.seats()).unwrap_or_default();
        let seats = seats.iter().filter(|seat| seat.id != self.node.id);
        others.extend(seats.map(|seat| seat.address.clone()));
        others
    }
}

/// Those that are there, and what the others say.
fn connect(
    addresses: &BTreeSet<String>,
    cluster: (ClusterId, Epoch),
) -> (Vec<Lender>, Vec<String>) {
    let (mut lenders, mut said) = (Vec::new(), Vec::new());
    let start = StartNumber(rand::random());
    for address in addresses {
        match Lender::connect(address, cluster, start) {
            Ok(lender) => lenders.push(lender),
            Err(why) => said.push(format!("{address}: {why}")),
        }
    }
    (lenders, said)
}

fn describe(done: &Repaired) -> String {
    let Repaired { segment, kept, fetched } = done;
    let kept = match kept {
        Some(kept) => format!("; the damaged file is kept as log/{kept}"),
        None => String::new(),
    };
    format!("log/{segment} was made anew, with {fetched} entries from other nodes{kept}")
}

fn alone(refused: &str, why: &str) -> Exit {
    Exit::Corrupt(format!("{refused}. It wasn't repaired: {why}"))
}
