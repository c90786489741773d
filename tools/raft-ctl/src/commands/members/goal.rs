//! What the members are to be, made from what they are and what was asked for.

use raft_node::config::Address;
use raft_node::model::{ClusterId, Index, Member, NodeId, Seat, Standing};
use raft_node::wire::StatusReply;

use super::identify::{Found, identify};
use crate::codes::Code;
use crate::commands::nodes::Nodes;
use crate::commands::seats::seats_text;
use crate::context::Context;
use crate::error::CliError;

/// The members as the leader has them.
pub(super) struct View {
    leader: StatusReply,
}

impl View {
    pub(super) fn ask(context: &Context) -> Result<View, CliError> {
        Ok(View { leader: Nodes::led(context)? })
    }

    pub(super) fn cluster(&self) -> Option<ClusterId> {
        self.leader.cluster
    }

    /// The members, or what they become if a change is under way.
    pub(super) fn seats(&self) -> Vec<Seat> {
        self.leader.configuration.goal()
    }
}

/// What the members are to be.
pub(super) struct Goal<'a> {
    view: &'a View,
    context: &'a Context,
    seats: Vec<Seat>,
    /// What a person should know.
    notes: Vec<String>,
}

impl<'a> Goal<'a> {
    pub(super) fn new(view: &'a View, context: &'a Context) -> Goal<'a> {
        Goal { view, context, seats: view.seats(), notes: Vec::new() }
    }

    /// The members as they are.
    pub(super) fn before(&self) -> &[Seat] {
        self.view.leader.configuration.seats()
    }

    /// The members to be, ordered by node.
    pub(super) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where the configuration stands that this was made from.
    pub(super) fn expected(&self) -> Index {
        self.view.leader.configuration_index
    }

    /// Whether the members are what they are to be.
    pub(super) fn is_reached(&self) -> bool {
        self.before() == self.seats && self.view.leader.commit >= self.expected()
    }

    /// Whether the change that is under way leads to them.
    pub(super) fn is_under_way(&self) -> bool {
        self.view.seats() == self.seats
    }

    pub(super) fn add(&mut self, nodes: &[String], learner_only: bool) -> Result<(), CliError> {
        let standing = if learner_only { Standing::Learner } else { Standing::Voter };
        for name in nodes {
            let found = self.new_node(name)?;
            self.take_in(found, standing)?;
        }
        Ok(())
    }

    pub(super) fn promote(&mut self, nodes: &[String]) -> Result<(), CliError> {
        self.stand(nodes, Standing::Voter)
    }

    pub(super) fn demote(&mut self, nodes: &[String]) -> Result<(), CliError> {
        self.stand(nodes, Standing::Learner)
    }

    pub(super) fn remove(&mut self, nodes: &[String]) -> Result<(), CliError> {
        for name in nodes {
            let id = self.member(name).or_else(|error| self.leaver(name).ok_or(error))?;
            self.seats.retain(|seat| seat.id != id);
        }
        Ok(())
    }

    pub(super) fn replace(&mut self, node: &str, with: Option<&str>) -> Result<(), CliError> {
        let id = self.member(node)?;
        let old: Vec<Seat> = self.seats.iter().filter(|seat| seat.id == id).cloned().collect();
        let known = self.context.config.as_ref().and_then(|config| config.node_by_id(id));
        let addresses = match with {
            Some(with) => vec![address(with)?],
            None => {
                let seats = old.iter().filter_map(|seat| seat.address.parse().ok());
                let mut addresses: Vec<Address> = seats.collect();
                let listed = known.map(|node| node.address());
                addresses.extend(listed.filter(|listed| !addresses.contains(listed)));
                addresses
            }
        };
        let found = identify(&addresses, self.view, self.context)?;
        if found.member.id != id {
            return Err(CliError::new(
                Code::WrongCluster,
                format!("node {} answers at {}, not node {id}", found.member.id, found.address),
            )
            .hint(format!(
                "start the new one as node {id}, or use `members add` and `members rm`; nothing \
                 was changed"
            )));
        }
        if old.iter().any(|seat| seat.member() == Some(found.member)) {
            // It may have taken the old one's place by this very command.
            let address = &found.address;
            self.notes.push(format!("node {id} at {address} is the member itself, with its data"));
            return Ok(());
        }
        let votes = old.iter().any(|seat| seat.standing == Standing::Voter);
        let standing = if votes { Standing::Voter } else { Standing::Learner };
        self.seats.retain(|seat| seat.id != id);
        self.take_in(found, standing)
    }

    pub(super) fn set(&mut self, voters: &[String], learners: &[String]) -> Result<(), CliError> {
        let before = std::mem::take(&mut self.seats);
        for (names, standing) in [(voters, Standing::Voter), (learners, Standing::Learner)] {
            for name in names {
                let seat = self.known(name).and_then(|id| before.iter().find(|it| it.id == id));
                match seat {
                    Some(seat) if self.seats.iter().any(|other| other.id == seat.id) => {
                        return Err(CliError::usage(format!("node {} is named twice", seat.id))
                            .hint("nothing was changed"));
                    }
                    Some(seat) => self.put(Seat { standing, ..seat.clone() }),
                    None => {
                        let found = self.new_node(name)?;
                        self.take_in(found, standing)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn stand(&mut self, nodes: &[String], standing: Standing) -> Result<(), CliError> {
        for name in nodes {
            let id = self.member(name)?;
            self.seats.iter_mut().filter(|seat| seat.id == id).for_each(|seat| {
                seat.standing = standing;
            });
        }
        Ok(())
    }

    /// A seat for a node that was found.
    fn take_in(&mut self, found: Found, standing: Standing) -> Result<(), CliError> {
        let Member { id, incarnation } = found.member;
        self.notes.extend(found.note);
        match self.seats.iter().find(|seat| seat.id == id) {
            Some(seat) if seat.incarnation == Some(incarnation) => {
                // It was taken in before. Whoever votes already isn't made a learner by that.
                let standing = standing.max(seat.standing);
                let seat = Seat { standing, ..seat.clone() };
                self.put(seat);
            }
            Some(_) => {
                let message = format!("node {id} is a member already, with another directory");
                return Err(CliError::new(Code::BadMembers, message).hint(format!(
                    "`raft-ctl members replace {id}` puts the new one in its place; nothing was \
                     changed"
                )));
            }
            None => self.put(Seat {
                id,
                incarnation: Some(incarnation),
                standing,
                address: found.address.to_string(),
            }),
        }
        Ok(())
    }

    fn put(&mut self, seat: Seat) {
        self.seats.retain(|other| (other.id, other.incarnation) != (seat.id, seat.incarnation));
        self.seats.push(seat);
        self.seats.sort_by_key(|seat| (seat.id, seat.incarnation));
    }

    /// The node at this address, or at that of this node of the configuration.
    fn new_node(&self, name: &str) -> Result<Found, CliError> {
        let config = self.context.config.as_ref();
        let listed = config.and_then(|config| config.node(name)).map(|node| node.address());
        let address = listed.map_or_else(|| address(name), Ok)?;
        identify(&[address], self.view, self.context)
    }

    /// The number that this name stands for, if it is one of a node.
    fn known(&self, name: &str) -> Option<NodeId> {
        let config = self.context.config.as_ref();
        let listed = config.and_then(|config| config.node(name)).map(|node| node.id);
        listed.or_else(|| name.parse().ok().and_then(NodeId::new))
    }

    /// The node of this name that leaves by the change under way, or has left.
    fn leaver(&mut self, name: &str) -> Option<NodeId> {
        let id = self.known(name)?;
        if self.before().iter().any(|seat| seat.id == id) {
            return Some(id);
        }
        let removed = self.view.leader.configuration.removed();
        removed.iter().find(|member| member.id == id)?;
        self.notes.push(format!("node {id} was taken out before"));
        Some(id)
    }

    /// The member of this name, or at this address.
    fn member(&self, name: &str) -> Result<NodeId, CliError> {
        let known = self.known(name).filter(|id| self.seats.iter().any(|seat| seat.id == *id));
        let there = || self.seats.iter().find(|seat| seat.address == name).map(|seat| seat.id);
        known.or_else(there).ok_or_else(|| {
            CliError::usage(format!("{name} isn't a member of the cluster"))
                .hint(format!("its members are {}; nothing was changed", seats_text(&self.seats)))
        })
    }
}

fn address(text: &str) -> Result<Address, CliError> {
    text.parse().map_err(|reason| {
        CliError::usage(format!("{text} is no node of the configuration; an address {reason}"))
            .hint("nothing was changed")
    })
}
