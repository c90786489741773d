//! Rare states, by what the nodes say when they reach them.

use super::journal::Mark;
use crate::disk::DiskMark;

/// A marker: the event, what its reason contains, and the name in the tables.
const MARKERS: &[(&str, &str, &str)] = &[
    ("founding", "", "founds a cluster"),
    ("founding_given_up_for", "", "gives its founding up for another"),
    ("role", "heard of a higher term", "hears of a higher term"),
    ("role", "no quorum was heard", "steps down for want of a quorum"),
    ("role", "lost the vote", "loses a vote"),
    ("role", "disk", "steps down because of its disk"),
    ("leader_lost", "", "loses sight of its leader"),
    ("log_end_replaced", "", "replaces the end of its log"),
    ("transfer", "", "hands leadership over"),
    ("voted", "", "votes for another"),
    ("message_dropped", "asks for a vote while a leader is heard", "refuses a vote while led"),
    ("message_dropped", "can't take over", "is asked to take over and can't"),
    ("message_dropped", "the own disk stands still", "doesn't take over with a still disk"),
    ("was_away", "", "was away"),
    ("slow_sync", "", "has a slow sync"),
    ("disk_waits", "", "waits for its disk"),
    ("disk_full", "", "has a full disk"),
    ("disk_has_room", "", "has room again"),
    ("no_spare", "", "has no room for a spare segment"),
    ("caught_up", "", "catches up with itself"),
    ("snapshot", "", "takes a snapshot"),
    ("no_room_for_snapshot", "", "has no room for a snapshot"),
    ("log_compacted", "", "lets go of a part of its log"),
    ("snapshot_sending", "", "sends a snapshot"),
    ("snapshot_receiving", "begins", "begins to receive a snapshot"),
    ("snapshot_receiving", "goes on", "goes on receiving a snapshot"),
    ("snapshot_receiving", "damaged", "has received a damaged snapshot"),
    ("snapshot_installed", "", "installs a snapshot"),
    ("snapshot_installed", "nothing was applied", "begins with a snapshot"),
    ("snapshot_lost", "", "finds a snapshot lost or damaged"),
    ("no_room_to_receive", "", "has no room to receive a snapshot"),
    ("received_snapshot_is_bad", "", "refuses a snapshot that it has received"),
    ("world", "a snapshot was overtaken", "has loaded a snapshot that entries have overtaken"),
    ("world", "a log waits for a transfer", "keeps its log for a slow transfer"),
    ("feature_level", "", "raises the feature level"),
    ("state_disputed", "", "disputes a state"),
    ("connection_dropped", "", "drops a connection"),
    ("connection_dropped", "it takes entries too slowly", "gives up a slow member"),
    ("connection_dropped", "did not say hello", "waits in vain for a hello"),
    ("connection_dropped", "wiped", "refuses a wiped node"),
    ("connection_dropped", "clone", "refuses a clone"),
    ("connection_dropped", "regressed", "refuses a node that has lost state"),
    ("world", "torn end cut at start", "cuts a torn end at its start"),
    ("world", "start refused a rotten disk", "refuses to start on a rotten disk"),
    ("world", "copy put back", "has an older copy put back"),
    ("world", "copy runs as well", "has a copy that runs as well"),
    ("world", "copy told and refused", "stops as a copy that was told"),
    ("world", "a copy that can't be told", "lets in a copy that can't be told"),
    ("world", "the last write is gone", "begins without its last write"),
    ("world", "comes back empty", "comes back empty"),
    ("world", "member wiped", "has a member wiped where members change"),
    ("world", "stranger wiped", "has a node wiped that waits"),
    ("world", "moved to another address", "comes back at another address"),
    ("world", "addresses exchanged", "has two that exchange their addresses"),
    ("world", "file lost", "has lost a file"),
    ("world", "end of a log lost", "has lost the end of its log behind a clean stop"),
    ("world", "start refused for a lost file", "refuses to start without a file"),
    ("world", "a follower is sent entries from disk", "reads entries from its disk"),
    ("world", "crashed as leader", "crashes as leader"),
    ("world", "crashed while starting", "crashes while it starts"),
    ("world", "crashed with a write on its way", "crashes with a write on its way"),
    ("world", "ended by a disk error", "ends because of a disk error"),
    ("world", "stopped in good order", "stops in good order"),
    ("world", "outcome unknown to a client", "leaves a client without an outcome"),
    ("world", "segment begun", "begins a segment"),
    ("world", "segment begun without a spare", "begins a segment without a spare"),
];

/// All markers, those of the disks behind those of the nodes, with their names in the tables.
pub(crate) fn all() -> impl Iterator<Item = (Mark, &'static str)> {
    let nodes = MARKERS.iter().map(|(event, part, name)| ((*event, *part), *name));
    nodes.chain(DiskMark::ALL.iter().map(|mark| (("disk", mark.name()), mark.name())))
}

/// The marker of an event, if it has one: the one with the longest reason that fits.
pub(crate) fn known(event: &str, reason: Option<&str>) -> Option<Mark> {
    let reason = reason.unwrap_or_default();
    let fits = MARKERS.iter().filter(|(name, part, _)| *name == event && reason.contains(part));
    fits.max_by_key(|(_, part, _)| part.len()).map(|(name, part, _)| (*name, *part))
}
