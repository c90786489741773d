//! What a failed request means to the person who gave it: the cause, what happened to the data,
//! what to do next.

use std::time::Duration;

use raft_node::client::{
    Attempt, AttemptResult, Doubt, Endpoint, Failure, Options, Reason, Refused, Unknown, survey,
};
use raft_node::kv::Refusal;
use raft_node::wire::{HelloRefusal, RefusalCode, StatusReply, StatusRole};

use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::output;

/// How long nodes get to say why there is no leader.
const SURVEY_TIME: Duration = Duration::from_secs(1);

/// What a failed request means.
pub(crate) fn failed(failure: &Failure, context: &Context) -> CliError {
    match failure {
        Failure::Refused(refused) => self::refused(refused, context),
        Failure::Unknown(unknown) => self::unknown(unknown, context),
    }
}

fn refused(refused: &Refused, context: &Context) -> CliError {
    let text = refused.reason.to_string();
    match &refused.reason {
        Reason::CannotConnect => cannot_connect(&refused.tried),
        Reason::NoLeader => no_leader(context),
        Reason::TimedOut(_) => CliError::new(Code::TimedOut, text)
            .details(lines(&refused.tried))
            .hint("`raft-ctl status` shows the nodes; --timeout gives more time"),
        Reason::Node { code, text } => by_node(*code, text, context),
        Reason::Door { code, text } => at_door(*code, text),
        Reason::Store(refusal) => by_store(*refusal),
        Reason::TooLarge { .. } => CliError::new(Code::TooLarge, text),
        Reason::SessionName => CliError::usage(text).hint("see --client-id"),
        Reason::Answer(_) => CliError::new(Code::Corrupt, text)
            .hint("raft-ctl and the nodes may be of different versions; nothing was changed"),
    }
}

fn cannot_connect(tried: &[Attempt]) -> CliError {
    let message = match tried {
        [one] => format!("{} can't be reached: {}", one.endpoint, one.result),
        _ => format!("none of {} nodes can be reached", tried.len()),
    };
    let made = CliError::new(Code::CannotConnect, message);
    let made = if tried.len() > 1 { made.details(lines(tried)) } else { made };
    let them = if tried.len() > 1 { "them" } else { "it" };
    made.hint(format!("start raft on {them}, or see --config and --endpoints; nothing was written"))
}

/// One line for each node that was tried.
fn lines(tried: &[Attempt]) -> Vec<String> {
    let mut tried: Vec<&Attempt> = tried.iter().collect();
    tried.sort_by_key(|attempt| &attempt.endpoint);
    tried.iter().map(|attempt| format!("{}  {}", attempt.endpoint, attempt.result)).collect()
}

/// Asks the nodes themselves why none leads.
pub(crate) fn no_leader(context: &Context) -> CliError {
    let options = Options { timeout: SURVEY_TIME, ..context.options() };
    let answers = survey(&options);
    let up: Vec<&StatusReply> =
        answers.iter().filter_map(|(_, answer)| answer.as_deref().ok()).collect();
    if !up.is_empty() && up.iter().all(|status| status.role == StatusRole::Forming) {
        return not_formed(&up);
    }
    let voters = up.iter().map(|status| status.configuration.seats().len()).max();
    let voters = voters.unwrap_or(answers.len()).max(up.len());
    let needed = voters / 2 + 1;
    let seen: Vec<String> = up
        .iter()
        .map(|status| {
            format!("node {}, {}, term {}", status.node.id, status.role.name(), status.term)
        })
        .collect();
    let message = match context.fixed {
        true => format!("no leader: {}", seen.join("; ")),
        false => format!(
            "no leader: {} of {voters} voters answered ({}); {needed} are needed",
            up.len(),
            seen.join("; ")
        ),
    };
    let down: Vec<&(Endpoint, Result<Box<StatusReply>, Failure>)> =
        answers.iter().filter(|(_, answer)| answer.is_err()).collect();
    let details = down.iter().map(|(endpoint, answer)| {
        let why = answer.as_ref().err().map_or_else(String::new, one_reason);
        format!("{endpoint}  {why}")
    });
    let names: Vec<String> = down
        .iter()
        .map(|(endpoint, _)| {
            endpoint.node.map_or_else(|| endpoint.to_string(), |node| node.to_string())
        })
        .collect();
    let hint = match (up.len() >= needed, names.len()) {
        (false, 1) => format!("start raft on node {}, then `raft-ctl status`", names[0]),
        (false, 2..) => {
            format!("start raft on nodes {}, then `raft-ctl status`", either(&names))
        }
        _ => "an election is probably under way: try again, or see `raft-ctl status`".to_owned(),
    };
    CliError::new(Code::NoLeader, message)
        .details(details)
        .hint(format!("{hint}; nothing was written"))
}

/// `2, 3 or 4`
fn either(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.join(""),
    }
}

fn not_formed(up: &[&StatusReply]) -> CliError {
    let mut waits: Vec<String> = Vec::new();
    for awaited in up.iter().flat_map(|status| &status.waits_for) {
        let line = format!("node {} {}  {}", awaited.id, awaited.address, awaited.why);
        if !waits.contains(&line) {
            waits.push(line);
        }
    }
    CliError::new(Code::NotFormed, "the cluster hasn't formed yet; its nodes wait for others")
        .details(waits)
        .hint("start raft on them, then `raft-ctl wait --leader`; nothing was written")
}

/// Why a node didn't answer, in a few words.
pub(crate) fn one_reason(failure: &Failure) -> String {
    match failure.tried().last() {
        Some(Attempt { result: AttemptResult::Refused { text, .. }, .. }) => text.clone(),
        Some(attempt) => attempt.result.to_string(),
        None => failure.to_string(),
    }
}

fn by_node(code: RefusalCode, text: &str, context: &Context) -> CliError {
    let made = |code| CliError::new(code, text);
    match code {
        RefusalCode::NoLeader => no_leader(context),
        RefusalCode::NotLeader => made(Code::NotLeader).hint(
            "without --node the leader is found; --consistency stale reads from this node; \
             nothing was written",
        ),
        RefusalCode::Busy => made(Code::Busy)
            .hint("it takes no more until some of it is done; try again; nothing was written"),
        RefusalCode::DiskFull => made(Code::DiskFull).hint(
            "free space on the leader's data directory, or hand over with `raft-ctl \
                   transfer-leader`; nothing was written",
        ),
        RefusalCode::TooLarge => {
            made(Code::TooLarge).hint("MaxValueSize in raft.ini is the limit; nothing was written")
        }
        RefusalCode::BadRequest => made(Code::BadRequest)
            .hint("raft-ctl and the node may be of different versions; nothing was written"),
        RefusalCode::Transferring => {
            made(Code::Transferring).hint("try again; nothing was written")
        }
        RefusalCode::LeadershipLost => made(Code::LeadershipLost).hint("try again"),
        RefusalCode::TimedOut => {
            made(Code::TimedOut).hint("`raft-ctl health` shows what is slow; nothing was written")
        }
        RefusalCode::NotFormed => made(Code::NotFormed)
            .hint("start raft on them, then `raft-ctl wait --leader`; nothing was written"),
        RefusalCode::Stopping => made(Code::Stopping).hint("try again; nothing was written"),
        RefusalCode::NoTarget => made(Code::NoTarget)
            .hint("`raft-ctl status` shows which nodes are up and how far behind they are"),
        RefusalCode::TransferFailed => {
            made(Code::TransferFailed).hint("try again, or see `raft-ctl status`")
        }
        RefusalCode::NotYet => made(Code::NotYet).hint("try again; nothing was changed"),
        RefusalCode::Unsupported => made(Code::Unsupported)
            .hint("all voters must run the newer version first; nothing was written"),
        RefusalCode::SnapshotGone => {
            made(Code::SnapshotGone).hint("`raft-ctl snapshot ls` shows those that are kept")
        }
        RefusalCode::ChangeUnderWay => made(Code::ChangeUnderWay)
            .hint("`raft-ctl members ls` shows how far it is; ask again when it is over"),
        RefusalCode::MembersChanged => made(Code::MembersChanged)
            .hint("see what they are now, then ask again if that is still wanted"),
        RefusalCode::NoLiveQuorum => made(Code::NoLiveQuorum)
            .hint("start the nodes that are down, or leave them out; nothing was changed"),
        RefusalCode::UsedBefore => made(Code::UsedBefore)
            .hint("empty its data directory and start it again: it is a new member then"),
        RefusalCode::BadMembers => made(Code::BadMembers).hint("nothing was changed"),
    }
}

fn at_door(code: HelloRefusal, text: &str) -> CliError {
    match code {
        HelloRefusal::PROTOCOL | HelloRefusal::FEATURE_LEVEL | HelloRefusal::ROLE => {
            CliError::new(Code::Incompatible, text)
                .hint("see that the port is a raft node's, of this version; nothing was written")
        }
        HelloRefusal::AUTHENTICATION => {
            CliError::new(Code::Authentication, text).hint("nothing was written")
        }
        HelloRefusal::TOO_MANY => CliError::new(Code::Busy, text)
            .hint("MaxConnections in raft.ini is the limit; nothing was written"),
        HelloRefusal::STOPPING => {
            CliError::new(Code::Stopping, text).hint("try again; nothing was written")
        }
        _ => CliError::new(Code::WrongCluster, text).hint(
            "see that --config or --endpoints names the cluster you mean; nothing was written",
        ),
    }
}

fn by_store(refusal: Refusal) -> CliError {
    let text = refusal.to_string();
    match refusal {
        Refusal::NotANumber => {
            CliError::new(Code::NotANumber, text).hint("`raft-ctl get` shows the value")
        }
        Refusal::Overflow => CliError::new(Code::Overflow, text),
        Refusal::AboveWindow { .. } => CliError::new(Code::SessionWindow, text),
        Refusal::SessionInUse { .. } | Refusal::OpeningAhead { .. } => {
            CliError::new(Code::SessionInUse, text).hint("give the same command again")
        }
        Refusal::SessionForgotten | Refusal::NumberForgotten { .. } => forgotten(refusal),
    }
}

fn forgotten(refusal: Refusal) -> CliError {
    CliError::new(Code::SessionForgotten, refusal.to_string())
        .hint("`raft-ctl get` shows what is there now; go on with --seq 1 and another --client-id")
}

fn unknown(unknown: &Unknown, context: &Context) -> CliError {
    if let Doubt::Forgotten(refusal) = unknown.doubt {
        return forgotten(refusal);
    }
    let again = match (&context.global.client_id, context.global.seq) {
        (Some(id), Some(seq)) => format!(
            "give the same command with --client-id {} --seq {seq} again: it is carried out once",
            output::shell_quoted(id.as_bytes())
        ),
        _ => "`raft-ctl get` shows what is there now; with --client-id and --seq a request can \
              be repeated safely"
            .to_owned(),
    };
    // A single attempt is what the message speaks of.
    let details = if unknown.tried.len() > 1 { lines(&unknown.tried) } else { Vec::new() };
    CliError::new(Code::Unknown, unknown.to_string()).details(details).hint(again)
}
