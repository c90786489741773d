//! Waiting until a change is over.

use std::thread;
use std::time::{Duration, Instant};

use raft_node::client::Endpoint;
use raft_node::model::{Index, Seat, Standing};
use raft_node::wire::StatusReply;

use super::goal::Goal;
use crate::codes::Code;
use crate::commands::nodes::{LONGEST_ANSWER, Nodes};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{self, count};
use crate::progress::Progress;

/// How long a change gets, where nobody says: a new node may have to receive many GiB.
const USUAL_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How often the nodes are asked.
const INTERVAL: Duration = Duration::from_millis(100);

/// Waits until the members are what they are to be, which the configuration at `begun` is the
/// first to say; gives where the last one stands.
pub(super) fn until_over(
    goal: &Goal<'_>,
    begun: Index,
    context: &Context,
) -> Result<Index, CliError> {
    let deadline = Instant::now() + context.timeout_or(USUAL_TIMEOUT);
    let mut progress = Progress::waiting_for();
    let all = with_members(goal, context);
    loop {
        let nodes = Nodes::ask_within(&all, LONGEST_ANSWER);
        if let Some(leader) = nodes.leader().filter(|it| it.configuration_index >= begun) {
            match stage(goal, leader) {
                Stage::Over => {
                    progress.clear();
                    return Ok(leader.configuration_index);
                }
                Stage::Replaced => {
                    progress.clear();
                    return Err(replaced());
                }
                Stage::UnderWay(text) => progress.say(text),
            }
        }
        if Instant::now() + INTERVAL >= deadline {
            progress.clear();
            return Err(too_long(nodes.leader(), context));
        }
        thread::sleep(INTERVAL);
    }
}

/// The nodes to ask. Those that the options name may all be gone when the change is over.
fn with_members(goal: &Goal<'_>, context: &Context) -> Context {
    let mut all = context.clone();
    if !context.fixed {
        let addresses = goal.seats().iter().map(|seat| &seat.address);
        for endpoint in addresses.filter_map(|address| Endpoint::parse(address).ok()) {
            if all.endpoints.iter().all(|other| other.address != endpoint.address) {
                all.endpoints.push(endpoint);
            }
        }
    }
    all
}

enum Stage {
    Over,
    /// Another change has come in between.
    Replaced,
    UnderWay(String),
}

fn stage(goal: &Goal<'_>, leader: &StatusReply) -> Stage {
    let configuration = &leader.configuration;
    let wanted = |seats: &[Seat]| {
        let same = |a: &Seat, b: &Seat| a.member() == b.member() && a.standing == b.standing;
        seats.len() == goal.seats().len()
            && seats.iter().zip(goal.seats()).all(|(seat, wanted)| same(seat, wanted))
    };
    // Addresses may change meanwhile: a node that comes back elsewhere is written down there.
    if !wanted(&configuration.goal()) {
        return Stage::Replaced;
    }
    if wanted(configuration.seats()) && leader.commit >= leader.configuration_index {
        return Stage::Over;
    }
    Stage::UnderWay(describe(leader))
}

/// What the change waits for, in a few words.
pub(super) fn describe(leader: &StatusReply) -> String {
    if leader.configuration.is_joint() {
        return "the old and the new voters decide together".to_owned();
    }
    let joining =
        leader.configuration.seats().iter().filter(|seat| seat.standing == Standing::Joining);
    let waits: Vec<String> = joining
        .map(|seat| {
            let peer = leader.peers.iter().find(|peer| Some(peer.member) == seat.member());
            match peer.filter(|peer| peer.matched > Index::ZERO) {
                Some(peer) => {
                    let behind = leader.last.0.saturating_sub(peer.matched.0);
                    format!("node {} catches up: {} entries behind", seat.id, count(behind))
                }
                None => format!("node {} catches up: waiting to hear from it", seat.id),
            }
        })
        .collect();
    match waits.is_empty() {
        true => "waiting for a majority".to_owned(),
        false => waits.join("; "),
    }
}

fn replaced() -> CliError {
    CliError::new(Code::MembersChanged, "another change of members has taken this one's place")
        .hint("`raft-ctl members ls` shows what the members are now")
}

fn too_long(leader: Option<&StatusReply>, context: &Context) -> CliError {
    let within = output::seconds(context.timeout_or(USUAL_TIMEOUT));
    let message = format!("the change has begun and isn't over within {within}");
    let details = leader.map(describe);
    CliError::new(Code::Unknown, message).details(details).hint(
        "it goes on by itself: give the same command again to wait on, or `raft-ctl members ls` to \
         look; `raft-ctl members rm` of a node that doesn't catch up takes it back",
    )
}
