//! Messages, outputs and states as one line of text each.

use std::fmt::Write;

use raft_node::model::{
    AppendReply, Batch, Body, Configuration, EntryKind, Incarnation, LogId, Message, Piece,
    PieceReply, Receipt, Span, Standing,
};
use raft_node::raft::{Event, Output, Refusal, RoleKind, Status};

use super::host::{Host, Stored};

pub(super) fn message(message: &Message) -> String {
    let Message { from, to, term, body } = message;
    format!("{from}->{to} t{term} {}", self::body(body))
}

fn body(body: &Body) -> String {
    match body {
        Body::PreVote { candidate_term, last } => {
            format!("PreVote for=t{candidate_term} last={last}")
        }
        Body::PreVoteReply { candidate_term, granted } => {
            format!("PreVoteReply for=t{candidate_term} {}", yes(*granted))
        }
        Body::Vote { last, transfer } => {
            format!("Vote last={last}{}", if *transfer { " transfer" } else { "" })
        }
        Body::VoteReply { granted } => format!("VoteReply {}", yes(*granted)),
        Body::Append(append) => {
            let entries = append.batch.as_ref().map_or("probe".to_owned(), batch);
            format!("Append prev={} commit={} {entries}", append.prev, append.commit)
        }
        Body::AppendReply(AppendReply::Accepted { matched, durable }) => {
            format!("Accepted matched={matched} durable={durable}")
        }
        Body::AppendReply(AppendReply::Conflict { rejected, hint }) => {
            format!("Conflict rejected={rejected} hint={hint}")
        }
        Body::AppendReply(AppendReply::Busy { matched, durable }) => {
            format!("Busy matched={matched} durable={durable}")
        }
        Body::Heartbeat { round, commit, levels } => {
            let levels: Vec<String> = levels
                .iter()
                .map(|level| format!("{}:{}/b{}", level.member, level.matched, level.boot))
                .collect();
            format!("Heartbeat round={round} commit={commit} [{}]", levels.join(" "))
        }
        Body::HeartbeatReply { round, matched, durable } => {
            format!("HeartbeatReply round={round} matched={matched} durable={durable}")
        }
        Body::TimeoutNow => "TimeoutNow".to_owned(),
        Body::Piece(Piece { snapshot, offset, bytes }) => {
            format!("Piece {} {offset}+{}", snapshot.last, bytes.len())
        }
        Body::PieceReply(PieceReply { snapshot, receipt: Receipt::Has(offset) }) => {
            format!("PieceReply {} has {offset}", snapshot.last)
        }
        Body::PieceReply(PieceReply { snapshot, receipt: Receipt::Done }) => {
            format!("PieceReply {} done", snapshot.last)
        }
    }
}

fn yes(granted: bool) -> &'static str {
    if granted { "granted" } else { "refused" }
}

fn batch(batch: &Batch) -> String {
    let ids: Vec<String> = batch.marks().iter().map(|mark| mark.id.to_string()).collect();
    match &ids[..] {
        [first, .., last] if ids.len() > 6 => format!("[{first} .. {last}]"),
        _ => format!("[{}]", ids.join(" ")),
    }
}

fn span(span: Span) -> String {
    format!("{}..{}", span.first, span.last)
}

/// An output as a line, without the node's name; nothing for a message, which is shown when it
/// is in the network.
pub(super) fn output(host: &Host, output: &Output) -> Option<String> {
    Some(match output {
        Output::Proposed { token, header, configuration } => {
            let kind = header.kind.name().expect("a known kind");
            let token = token.map_or(String::new(), |token| format!(" #{}", token.0));
            let said = configuration.as_ref().map(|it| format!(" {}", self::configuration(it)));
            format!("proposed{token} {} {kind}{}", header.id, said.unwrap_or_default())
        }
        Output::Refused { token, reason } => format!("refused #{}: {}", token.0, refusal(*reason)),
        Output::Extend { keep, batch } => format!("extend keep={keep} {}", self::batch(batch)),
        Output::Write(write) => {
            let mut line = format!("write {}", write.seq);
            if let Some(hard) = write.hard_state {
                let vote = hard.vote.map_or("-".to_owned(), |vote| vote.to_string());
                write!(line, " term={} vote={vote}", hard.term).expect("into a string");
            }
            if let Some(entries) = write.span {
                write!(line, " keep={} entries={}", write.keep, span(entries)).expect("a string");
            }
            if let Some(base) = write.reset {
                write!(line, " log anew behind {base}").expect("into a string");
            }
            line
        }
        Output::Send(_) | Output::Replicate { .. } => return None,
        Output::ReadLog { peer, first, last, max_bytes, .. } => {
            format!("read log {first}..{last} for {peer}, {max_bytes} bytes")
        }
        Output::Apply(entries) => {
            let shown: Vec<String> = (entries.first.0..=entries.last.0)
                .filter_map(|index| host.entry(raft_node::model::Index(index)))
                .map(entry)
                .collect();
            match &shown[..] {
                [first, .., last] if shown.len() > 8 => format!("apply {first} .. {last}"),
                _ => format!("apply {}", shown.join(" ")),
            }
        }
        Output::ReadAt { token, index } => format!("read #{} at {index}", token.0),
        Output::Transferred(token) => format!("transferred #{}", token.0),
        Output::Unchanged { token, index } => format!("unchanged #{} since {index}", token.0),
        Output::Release(index) => format!("release {index}"),
        Output::ReadPiece { peer, snapshot, offset, max_bytes, .. } => {
            format!("read {offset}+{max_bytes} of snapshot {} for {peer}", snapshot.last)
        }
        Output::SendPiece { .. } => return None,
        Output::StorePiece { snapshot, offset, bytes } => {
            format!("store {offset}+{} of snapshot {}", bytes.len(), snapshot.last)
        }
        Output::LoadReceived(snapshot) => format!("load snapshot {}", snapshot.last),
        Output::Install { snapshot, begins_anew: false } => {
            format!("install snapshot {}", snapshot.last)
        }
        Output::Install { snapshot, begins_anew: true } => {
            format!("install snapshot {}, the log begins anew", snapshot.last)
        }
        Output::Compact { through, wanted } => {
            format!("compact through {through}, wanted above {wanted}")
        }
        Output::KeepSnapshots(kept) => {
            let kept: Vec<String> = kept.iter().map(|kept| kept.last.to_string()).collect();
            format!("keep snapshots {}", kept.join(" "))
        }
        Output::Event(it) => event(it),
    })
}

fn refusal(reason: Refusal) -> String {
    match reason {
        Refusal::NotLeader(None) => "not the leader".to_owned(),
        Refusal::NotLeader(Some(leader)) => format!("not the leader, {leader} is"),
        Refusal::Busy => "busy".to_owned(),
        Refusal::Transferring => "transferring".to_owned(),
        Refusal::LeadershipLost => "leadership lost".to_owned(),
        Refusal::NoTarget => "no target".to_owned(),
        Refusal::TransferFailed => "transfer failed".to_owned(),
        Refusal::NotYet => "not yet".to_owned(),
        Refusal::NoSeat => "no seat".to_owned(),
        Refusal::Change(reason) => reason.to_string(),
    }
}

fn event(event: &Event) -> String {
    match event {
        Event::Role { role, term, reason } => format!("{} of t{term}: {reason}", self::role(*role)),
        Event::Leader { leader: Some(leader), term } => format!("leader of t{term} is {leader}"),
        Event::Leader { leader: None, term } => format!("leader of t{term} isn't known"),
        Event::Voted { candidate, term } => format!("votes for {candidate} in t{term}"),
        Event::Replaced { keep, dropped } => format!("drops {}..{dropped}", keep.next()),
        Event::Configuration { index, configuration } => {
            format!("configuration at {index}: {}", self::configuration(configuration))
        }
        Event::Transfer { to, what } => format!("transfer to {to} {what}"),
        Event::Behind { peer, base } => format!("{peer} needs entries at or below {base}"),
        Event::Sending { to, snapshot, has, what } => {
            format!("sending {snapshot} to {to} {what}, {has} bytes there")
        }
        Event::Receiving { snapshot, has, what } => {
            format!("receiving {snapshot} {what}, {has} bytes here")
        }
        Event::Installed { snapshot, applied_before } => {
            format!("installed {snapshot} over {applied_before}")
        }
        Event::SnapshotLost(snapshot) => format!("snapshot {snapshot} is lost"),
        Event::Dropped { from, reason } => format!("dropped from {from}: {reason}"),
    }
}

pub(super) fn role(role: RoleKind) -> &'static str {
    match role {
        RoleKind::Follower => "follower",
        RoleKind::PreCandidate => "pre-candidate",
        RoleKind::Candidate => "candidate",
        RoleKind::Leader => "leader",
    }
}

pub(super) fn configuration(configuration: &Configuration) -> String {
    let seats = configuration.seats().iter().map(|seat| {
        let vacant = if seat.incarnation.is_none() { "?" } else { "" };
        let standing = match seat.standing {
            Standing::Learner => " learner",
            Standing::Voter => "",
            Standing::Incoming => " incoming",
            Standing::Outgoing => " outgoing",
            Standing::Demoted => " demoted",
            Standing::Joining => " joining",
            Standing::Leaving => " leaving",
            Standing::Retiring => " retiring",
        };
        let life = life(seat.id.number(), seat.incarnation);
        let moved = (seat.address != format!("host{}:3111", seat.id)).then_some(&seat.address);
        let moved = moved.map_or(String::new(), |address| format!(" at {address}"));
        format!("{}{life}{vacant}{standing}{moved}", seat.id)
    });
    let gone = configuration.removed().iter();
    let gone: Vec<String> = gone
        .map(|member| format!("{member}{}", life(member.id.number(), Some(member.incarnation))))
        .collect();
    let gone =
        if gone.is_empty() { String::new() } else { format!(" without {}", gone.join(", ")) };
    format!("({}){gone}", seats.collect::<Vec<_>>().join(", "))
}

/// Which life of a node it is, unless it is the first.
fn life(id: u16, incarnation: Option<Incarnation>) -> String {
    let later = incarnation.filter(|incarnation| incarnation.0 != id.into());
    later.map_or(String::new(), |incarnation| format!("'{}", incarnation.0))
}

fn entry(stored: &Stored) -> String {
    let id = stored.header.id;
    if stored.header.kind == EntryKind::COMMAND && stored.payload.len() < 32 {
        format!("{id}={}", String::from_utf8_lossy(&stored.payload))
    } else {
        id.to_string()
    }
}

/// The whole log, in runs of one term.
pub(super) fn log(host: &Host) -> String {
    let mut runs: Vec<(LogId, LogId)> = Vec::new();
    for stored in &host.entries {
        let id = stored.header.id;
        match runs.last_mut() {
            Some((_, last)) if last.term == id.term => *last = id,
            _ => runs.push((id, id)),
        }
    }
    let base = host.base;
    let mut shown = if base == LogId::ORIGIN { String::new() } else { format!("({base}) ") };
    let runs: Vec<String> = runs
        .iter()
        .map(
            |(first, last)| {
                if first == last { first.to_string() } else { format!("{}..{last}", first.index) }
            },
        )
        .collect();
    shown.push_str(&runs.join(" "));
    shown
}

/// The snapshots on the disk, and what there is of one that is being received.
pub(super) fn snapshots(host: &Host) -> String {
    let ids = host.disk.snapshots.iter().map(|kept| kept.id.to_string());
    let part = host.disk.part.as_ref();
    let part = part.map(|part| format!("{} bytes of {}", part.bytes.len(), part.snapshot));
    let shown: Vec<String> = ids.chain(part).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

pub(super) fn status(status: &Status) -> String {
    let vote = status.vote.map_or("-".to_owned(), |vote| vote.to_string());
    let leader = status.leader.map_or("-".to_owned(), |leader| leader.to_string());
    let mut line = format!(
        "{} t{} vote={vote} leader={leader} last={} durable={} commit={} applied={}",
        role(status.role),
        status.term,
        status.last,
        status.durable,
        status.commit,
        status.applied
    );
    for peer in &status.peers {
        let (member, matched, next) = (peer.member, peer.matched, peer.next);
        write!(line, " [{member} matched={matched} next={next}").expect("into a string");
        if peer.inflight_bytes > 0 {
            write!(line, " inflight={}", peer.inflight_bytes).expect("into a string");
        }
        if let Some((snapshot, has)) = peer.snapshot {
            write!(line, " snapshot={} has={has}", snapshot.last).expect("into a string");
        }
        line.push(']');
    }
    line
}

/// How far a change of members is, and how far each member is behind.
pub(super) fn change(status: &Status) -> String {
    let (index, configuration) = &status.configuration;
    let stage = status.change.map_or("none under way".to_owned(), |stage| format!("{stage:?}"));
    let mut line = format!("{stage}, {index}: {}", self::configuration(configuration));
    for peer in &status.peers {
        let caught_up = if peer.caught_up { "caught up" } else { "not caught up" };
        write!(line, " [{} {} behind, {caught_up}]", peer.member, peer.behind).expect("a string");
    }
    line
}
