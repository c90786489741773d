//! The commands about members.

use clap::{Args, Subcommand};

/// See who is in the cluster, and change that.
#[derive(Subcommand, Debug)]
pub(crate) enum MembersCommand {
    /// List the members, and how far a change of them is
    ///
    /// Works without a leader.
    Ls,
    /// Take new nodes in
    ///
    /// Each must run already, with an empty directory: raft -c raft.ini -n 4 --join. It is a
    /// learner until it has caught up with the log, and then votes. Until then the others
    /// decide as before, so a new node that is slow or down holds nobody up.
    Add(AddArgs),
    /// Have learners vote, once they have caught up
    Promote(NodesArgs),
    /// Have voters learn only
    Demote(NodesArgs),
    /// Take members out
    ///
    /// A leader that is taken out finishes the change and hands over. The node's process ends
    /// with exit code 6 when the others have told it, and its directory is of no more use.
    #[command(name = "rm", visible_alias = "remove")]
    Remove(NodesArgs),
    /// Put a node with an empty directory in the place of a member
    ///
    /// For a disk or a machine that was lost, or a node that moves: start the new one, with
    /// an empty directory and --join, under the same number. It is caught up first, then the
    /// old one leaves and the new one votes, in one step.
    Replace(ReplaceArgs),
    /// Make exactly these the members
    ///
    /// Any set in place of any other, in one change.
    Set(SetArgs),
}

/// What all changes take.
#[derive(Args, Debug)]
pub(crate) struct ChangeOptions {
    /// Don't wait until the change is over; it goes on by itself
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// `members add`
#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// Where the new nodes are reached: HOST:PORT, or a node of the configuration
    #[arg(required = true, value_name = "NODE")]
    pub(crate) nodes: Vec<String>,
    /// Leave them learners: they receive the log and don't vote
    #[arg(long)]
    pub(crate) learner_only: bool,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
}

/// `members promote`, `demote` and `rm`
#[derive(Args, Debug)]
pub(crate) struct NodesArgs {
    /// The members
    #[arg(required = true, value_name = "NODE")]
    pub(crate) nodes: Vec<String>,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
}

/// `members replace`
#[derive(Args, Debug)]
pub(crate) struct ReplaceArgs {
    /// The member that is to go
    #[arg(value_name = "NODE")]
    pub(crate) member: String,
    /// Where the new one is reached, if not where the old one was
    #[arg(value_name = "HOST:PORT")]
    pub(crate) with: Option<String>,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
}

/// `members set`
#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// All that are to vote: members, or new nodes as in add
    #[arg(required = true, value_name = "NODE")]
    pub(crate) voters: Vec<String>,
    /// All that are to learn only
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    pub(crate) learners: Vec<String>,
    #[command(flatten)]
    pub(crate) options: ChangeOptions,
}
