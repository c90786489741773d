//! The closed lists of reasons for which a connection or a request is refused.

/// Declares the codes of refused requests: number, name, whether trying again is safe and may
/// help, meaning.
macro_rules! refusal_codes {
    ($($variant:ident $number:literal $name:literal $retry_safe:literal $meaning:literal)*) => {
        /// Why a request was refused. A refused request certainly has no effect.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum RefusalCode {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl RefusalCode {
            /// All of them, by number.
            pub const ALL: &[RefusalCode] = &[$(RefusalCode::$variant),*];

            /// The code of this number.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<RefusalCode> {
                match number { $($number => Some(RefusalCode::$variant),)* _ => None }
            }

            /// The name that JSON and documentation use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(RefusalCode::$variant => $name),* }
            }

            /// Whether the same request may be sent again, here or elsewhere, and may then be
            /// carried out.
            #[must_use]
            pub const fn retry_safe(self) -> bool {
                match self { $(RefusalCode::$variant => $retry_safe),* }
            }

            /// What docs/wire-protocol.md says of it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(RefusalCode::$variant => $meaning),* }
            }
        }
    };
}

refusal_codes! {
    NoLeader 1 "no_leader" true
        "This node doesn't lead and knows of nobody who does."
    NotLeader 2 "not_leader" true
        "Another node leads; the reply names it."
    Busy 3 "busy" true
        "The node has as much unfinished work as it may hold."
    DiskFull 4 "disk_full" true
        "The leader's disk is too full to take more."
    TooLarge 5 "too_large" false
        "A key, a value or the whole request is longer than allowed."
    BadRequest 6 "bad_request" false
        "The request can't be understood; the text says which field is wrong."
    Transferring 7 "transferring" true
        "The leader is handing leadership over and takes nothing new."
    LeadershipLost 8 "leadership_lost" true
        "The node stopped leading before a read was confirmed."
    TimedOut 9 "timed_out" true
        "The request's time was over before it was begun, or before a read was confirmed."
    NotFormed 10 "not_formed" true
        "The cluster hasn't formed yet; the text says who is waited for."
    Stopping 11 "stopping" true
        "The node is shutting down."
    NoTarget 12 "no_target" true
        "No other voter can take leadership over: none has the whole log and is at hand."
    TransferFailed 13 "transfer_failed" true
        "The other node didn't take leadership over in time; this one goes on leading."
    NotYet 14 "not_yet" true
        "Another change of members, or the first entry of the leader's term, isn't committed yet."
    Unsupported 15 "unsupported" false
        "The cluster's feature level is too low for the request."
    SnapshotGone 16 "snapshot_gone" false
        "The node doesn't keep this snapshot, or not any more."
    ChangeUnderWay 17 "change_under_way" true
        "Another change of members is under way."
    MembersChanged 18 "members_changed" false
        "Another configuration is in force than the one that the client has seen."
    NoLiveQuorum 19 "no_live_quorum" true
        "Too few of those that would vote are heard from; the text has the numbers."
    UsedBefore 20 "used_before" false
        "A node was a member in this incarnation before."
    BadMembers 21 "bad_members" false
        "These can't be the members of a cluster; the text says why."
}

/// Declares the codes of refused connections: number, name, whether it guards the data,
/// meaning.
macro_rules! hello_refusals {
    ($($constant:ident $number:literal $name:literal $guard:literal $meaning:literal)*) => {
        /// Why a hello was refused. A newer node may have reasons that this program doesn't
        /// know, so it is a number with names for the known ones.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct HelloRefusal(pub u16);

        impl HelloRefusal {
            $(#[doc = $meaning] pub const $constant: HelloRefusal = HelloRefusal($number);)*

            /// Those that this program knows, by number.
            pub const ALL: &[HelloRefusal] = &[$(HelloRefusal::$constant),*];

            /// The name that logs and documentation use, or `None` for one of a newer version.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($number => Some($name),)* _ => None }
            }

            /// Whether the sender must not go on as it is, because a promise of its own or of
            /// an earlier life of its number could be broken. A node that a quorum refuses so
            /// stops.
            #[must_use]
            pub const fn is_guard(self) -> bool {
                match self.0 { $($number => $guard,)* _ => false }
            }

            /// What docs/wire-protocol.md says of it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self.0 {
                    $($number => $meaning,)*
                    _ => "A reason of a newer version; the text says more.",
                }
            }
        }
    };
}

hello_refusals! {
    PROTOCOL 1 "protocol" false
        "No version of the protocol is spoken by both."
    FEATURE_LEVEL 2 "feature_level" false
        "The cluster's feature level isn't supported by the sender."
    ROLE 3 "role" false
        "The sender's role is neither peer nor client."
    AUTHENTICATION 4 "authentication" false
        "The method isn't known here, or the proof is wrong or missing."
    WRONG_CLUSTER 5 "wrong_cluster" false
        "The cluster's id is another one."
    WRONG_EPOCH 6 "wrong_epoch" false
        "The cluster's epoch is another one."
    WRONG_NAME 7 "wrong_name" false
        "The cluster's name is another one."
    WRONG_NODES 8 "wrong_nodes" false
        "The cluster hasn't formed, and the sender's file lists other nodes."
    WRONG_NODE 9 "wrong_node" false
        "The node at this address has another number than the one addressed."
    WRONG_INCARNATION 10 "wrong_incarnation" false
        "The node at this address has another incarnation than the one addressed."
    SAME_NODE 11 "same_node" false
        "The sender says that it is the node it speaks to."
    TOO_MANY 13 "too_many" false
        "There are as many connections of this role as are allowed."
    STOPPING 14 "stopping" false
        "The node is shutting down."
    WIPED 15 "wiped" true
        "An earlier incarnation of the sender is a member: its disk was lost or replaced."
    REGRESSED 16 "regressed" true
        "The sender has durable state older than what it was known to have: its disk was put back."
    CLONE 17 "clone" true
        "Two starts under one boot: the sender's directory is a copy that runs twice."
    REMOVED 18 "removed" true
        "The sender was removed from the cluster by the entry at the index that is told."
    OUTDATED 19 "outdated" false
        "More is known of the sender's log: the hello was overtaken, and is to be said again."
}
