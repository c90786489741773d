//! Who a new node is: it is asked itself.

use std::time::Duration;

use raft_node::client::{Endpoint, Options, survey};
use raft_node::config::Address;
use raft_node::model::Member;
use raft_node::wire::StatusReply;

use super::goal::View;
use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::explain::one_reason;

/// How long a node gets to answer, where nobody says.
const USUAL_TIME: Duration = Duration::from_secs(2);

/// A node that runs and can be taken in.
pub(super) struct Found {
    pub(super) member: Member,
    /// Where it says that it is reached.
    pub(super) address: Address,
    /// What a person should know of that.
    pub(super) note: Option<String>,
}

/// Asks the node at one of these addresses who it is.
pub(super) fn identify(
    addresses: &[Address],
    view: &View,
    context: &Context,
) -> Result<Found, CliError> {
    let endpoint =
        |address: &Address| Endpoint { node: None, label: None, address: address.clone() };
    let answers = survey(&Options {
        endpoints: addresses.iter().map(endpoint).collect(),
        fixed: true,
        patient: false,
        timeout: context.timeout_or(USUAL_TIME),
        ..context.options()
    });
    let mut failed = Vec::new();
    for (endpoint, answer) in answers {
        match answer {
            Ok(status) => return found(&endpoint.address, &status, view),
            Err(failure) => failed.push(format!("{endpoint}  {}", one_reason(&failure))),
        }
    }
    let message = match failed.as_slice() {
        [one] => format!("the new node doesn't answer: {one}"),
        _ => "the new node doesn't answer".to_owned(),
    };
    let details = if failed.len() > 1 { failed } else { Vec::new() };
    Err(CliError::new(Code::CannotConnect, message).details(details).hint(
        "start it first, with an empty directory: raft -c raft.ini -n N --join; nothing was changed",
    ))
}

fn found(asked: &Address, status: &StatusReply, view: &View) -> Result<Found, CliError> {
    let id = status.node.id;
    if let Some(other) = status.cluster.filter(|cluster| Some(*cluster) != view.cluster()) {
        let message = format!("node {id} at {asked} is a member of another cluster, {other}");
        return Err(CliError::new(Code::WrongCluster, message).hint(
            "give it an empty data directory and start it with --join; nothing was changed",
        ));
    }
    let told: Address = status.address.parse().map_err(|reason| {
        let message =
            format!("node {id} at {asked} says that it is {:?}: {reason}", status.address);
        CliError::new(Code::BadMembers, message).hint("correct its Host and Port")
    })?;
    let note = (told != *asked).then(|| {
        format!("node {id} was asked at {asked} and tells the others to reach it at {told}")
    });
    Ok(Found { member: status.node, address: told, note })
}
