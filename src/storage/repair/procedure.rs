//! How a repair goes, with whoever can be asked.

use bytes::Bytes;

use crate::model::{Batch, Index, LogId, SnapshotId, Term};
use crate::storage::{Disk, StorageError};

use super::{Anew, Lack, Lost, Repair, Repaired};

/// How often in a row a leader is asked for entries that it has, and not on its disk yet.
const TRIES: u32 = 1000;

/// Another node of the same cluster and epoch, asked after this one has stopped. What it says
/// instead of an answer is for people.
pub trait Holder {
    /// Who it is.
    fn name(&self) -> String;

    /// What its log holds behind the first of these places that it holds, and how it stands, both
    /// at one moment. With `until`, it gives entries only if it holds that one, and none behind it.
    fn log(&mut self, behind: &[LogId], until: Option<LogId>) -> Result<HeldLog, String>;

    /// The newest snapshot that it keeps.
    fn newest_snapshot(&mut self) -> Result<Option<SnapshotId>, String>;

    /// Bytes of a snapshot's file, from an offset on.
    fn piece(&mut self, snapshot: SnapshotId, offset: u64) -> Result<Bytes, String>;

    /// Lets a moment pass, in which its disk may finish what it does.
    fn wait(&mut self);
}

/// What another node holds, and how it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldLog {
    /// Its term.
    pub term: Term,
    /// Whether it leads in that term.
    pub leads: bool,
    /// The last entry of its log.
    pub last: LogId,
    /// The entry that those given follow; `None` if it holds none of those that were named, or not
    /// the last one.
    pub behind: Option<LogId>,
    /// Entries, one behind the other, as many as are on its disk and go into one answer.
    pub entries: Bytes,
}

/// What an attempt came to.
#[derive(Debug)]
pub enum Attempt<D: Disk> {
    /// It is repaired, as far as this damage goes: the directory is to be read again.
    Done(Repaired),
    /// Nobody could give what is lacking. `None`: what was begun is given up, and the directory is
    /// to be looked at again.
    Waits(Option<Box<Repair<D>>>),
}

impl<D: Disk> Repair<D> {
    /// Repairs with the help of these nodes. What they say instead of helping is added to `said`.
    pub fn attempt<H: Holder>(
        mut self,
        holders: &mut [H],
        said: &mut Vec<String>,
    ) -> Result<Attempt<D>, StorageError> {
        loop {
            match self.lack() {
                Lack::Nothing => return self.finish().map(Attempt::Done),
                Lack::Entries(lost) if self.borrow(&lost, holders, said) => {}
                Lack::Entries(_) | Lack::Everything => break,
            }
        }
        let Some(leader) = self.find_leader(holders, said) else {
            return Ok(Attempt::Waits(Some(Box::new(self))));
        };
        let name = leader.name();
        match self.take_over(leader)? {
            Ok(done) => Ok(Attempt::Done(done)),
            Err(why) => {
                said.push(format!("{name}: {why}"));
                Ok(Attempt::Waits(None))
            }
        }
    }

    /// Gets the entries that are lost from the first who holds them.
    fn borrow<H: Holder>(
        &mut self,
        lost: &Lost,
        holders: &mut [H],
        said: &mut Vec<String>,
    ) -> bool {
        for holder in holders {
            let filled = match entries(holder, lost) {
                Ok(Some((behind, batches))) => self.fill(behind, batches),
                Ok(None) => Err(format!("doesn't hold entry {}", lost.until)),
                Err(why) => Err(why),
            };
            match filled {
                Ok(()) => return true,
                Err(why) => said.push(format!("{}: {why}", holder.name())),
            }
        }
        false
    }

    /// Who leads in this node's term or a later one.
    fn find_leader<'a, H: Holder>(
        &self,
        holders: &'a mut [H],
        said: &mut Vec<String>,
    ) -> Option<&'a mut H> {
        for holder in holders {
            match holder.log(&[], None) {
                Ok(held) if held.leads && held.term >= self.term() => return Some(holder),
                Ok(_) => said.push(format!("{}: doesn't lead", holder.name())),
                Err(why) => said.push(format!("{}: {why}", holder.name())),
            }
        }
        None
    }

    /// Makes the log anew as the leader has it.
    fn take_over<H: Holder>(
        self,
        leader: &mut H,
    ) -> Result<Result<Repaired, String>, StorageError> {
        let mut places = self.snapshots()?;
        places.push(LogId::ORIGIN);
        let held = match leader.log(&places, None) {
            Ok(held) if held.leads && held.term >= self.term() => held,
            Ok(_) => return Ok(Err(LEADS_NO_MORE.to_owned())),
            Err(why) => return Ok(Err(why)),
        };
        let base = match held.behind {
            Some(base) => base,
            // The leader's log doesn't reach back to what is here.
            None => match leader.newest_snapshot() {
                Ok(Some(id)) => {
                    if let Err(why) = self.store_snapshot(id, &mut |at| leader.piece(id, at))? {
                        return Ok(Err(why));
                    }
                    id.last
                }
                Ok(None) => return Ok(Err("keeps no snapshot".to_owned())),
                Err(why) => return Ok(Err(why)),
            },
        };
        let mut anew = self.begin_anew(base, held.term)?;
        match copy(&mut anew, leader, held.last.index)? {
            Ok(()) => anew.finish().map(Ok),
            Err(why) => Ok(Err(why)),
        }
    }
}

const LEADS_NO_MORE: &str = "doesn't lead any more";

/// The lost entries, if `holder` holds all of them.
fn entries<H: Holder>(holder: &mut H, lost: &Lost) -> Result<Option<(LogId, Vec<Batch>)>, String> {
    let mut held = holder.log(&lost.behind, Some(lost.until))?;
    let Some(behind) = held.behind else { return Ok(None) };
    let mut batches = Vec::new();
    loop {
        if held.entries.is_empty() {
            return Err("doesn't give what it holds".to_owned());
        }
        let batch = Batch::parse(held.entries).map_err(|error| error.to_string())?;
        let last = batch.last();
        batches.push(batch);
        if last.index >= lost.until.index {
            return Ok(Some((behind, batches)));
        }
        held = holder.log(&[last], Some(lost.until))?;
        if held.behind != Some(last) {
            return Ok(None);
        }
    }
}

/// Copies the log of a leader up to `until`, at least as far as it went when it was asked first.
/// It must lead in the same term from beginning to end.
fn copy<D: Disk, H: Holder>(
    anew: &mut Anew<D>,
    leader: &mut H,
    until: Index,
) -> Result<Result<(), String>, StorageError> {
    let mut tries = 0;
    while anew.last().index < until {
        let held = match leader.log(&[anew.last()], None) {
            Ok(held) if held.leads && held.term == anew.term() => held,
            Ok(_) => return Ok(Err(LEADS_NO_MORE.to_owned())),
            Err(why) => return Ok(Err(why)),
        };
        if held.behind.is_none() {
            return Ok(Err(format!("has let the entries behind {} go", anew.last())));
        }
        if held.entries.is_empty() {
            tries += 1;
            if tries > TRIES {
                return Ok(Err("its disk stands still".to_owned()));
            }
            leader.wait();
            continue;
        }
        tries = 0;
        let pushed = match Batch::parse(held.entries) {
            Ok(batch) => anew.push(&batch)?,
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = pushed {
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}
