//! The hello, in both directions: who may speak with this node.
//!
//! Membership isn't asked for here, because a joining or lagging node must be led by nodes that it
//! doesn't know of. What is refused is what could break a promise: another cluster, another
//! addressee, an earlier start, a copy that runs twice, a disk that was lost or put back.

use std::collections::BTreeMap;

use crate::kv::FEATURE_LEVEL;
use crate::model::{
    Boot, ClusterId, Configuration, Epoch, Index, LogId, Member, NodeId, PeerLevel, StartNumber,
    Term,
};
use crate::wire::{
    Addressed, Authentication, Hello, HelloAnswer, HelloRefusal, PROTOCOL, Party, Purpose, Verdict,
    VersionRange,
};

/// The feature levels that this program supports; a cluster begins at 0.
const FEATURES: VersionRange = VersionRange { lowest: 0, highest: FEATURE_LEVEL };

/// A log that holds no more than the founding entry binds nobody.
const FOUNDING: Index = Index(1);

/// What this node says of itself in each hello.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Myself {
    pub(crate) member: Member,
    pub(crate) boot: Boot,
    pub(crate) start: StartNumber,
    pub(crate) cluster_name: String,
    pub(crate) nodes_hash: u64,
    /// Where it is reached, as `host:port`.
    pub(crate) address: String,
}

/// What this node is at the moment of a hello.
#[derive(Clone, Debug)]
pub(crate) struct Standpoint<'a> {
    /// Its cluster, once it has formed.
    pub(crate) cluster: Option<(ClusterId, Epoch)>,
    /// Its durable term.
    pub(crate) term: Term,
    /// The last entry of its log that is durable.
    pub(crate) last: LogId,
    /// Up to where the log is committed.
    pub(crate) commit: Index,
    /// The members, once the cluster has formed, and where that stands in the log.
    pub(crate) members: Option<(Index, &'a Configuration)>,
    /// The cluster's feature level.
    pub(crate) feature_level: u32,
    /// Whether the node is shutting down.
    pub(crate) is_stopping: bool,
}

/// Why a connection doesn't stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) code: HelloRefusal,
    /// The index of the entry that is the reason, else 0.
    pub(crate) index: Index,
    pub(crate) text: String,
}

/// What a connection that stands is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Footing {
    /// Both are of the same cluster.
    Members,
    /// At least one of them is of no cluster, or of another one that nothing binds it to: only
    /// founding entries are spoken of.
    Founders,
}

/// What was told of a member's log, and under which boot.
#[derive(Clone, Copy, Debug)]
struct Level {
    term: Term,
    matched: Index,
    boot: Boot,
}

/// The checks, and what they remember of the others.
#[derive(Debug)]
pub(crate) struct Door {
    me: Myself,
    /// The latest start that was heard of each member.
    starts: BTreeMap<Member, (Boot, StartNumber)>,
    levels: BTreeMap<Member, Level>,
}

impl Door {
    pub(crate) fn new(me: Myself) -> Door {
        Door { me, starts: BTreeMap::new(), levels: BTreeMap::new() }
    }

    pub(crate) const fn me(&self) -> &Myself {
        &self.me
    }

    /// The hello to the node `id`, in the life in which the members know it.
    pub(crate) fn hello(&self, id: NodeId, standpoint: &Standpoint<'_>) -> Hello {
        let seats = standpoint.members.map_or(&[][..], |(_, members)| members.seats());
        let mut lives = seats.iter().filter(|seat| seat.id == id);
        // With two lives in the configuration either may answer.
        let incarnation = match (lives.next(), lives.next()) {
            (Some(seat), None) => seat.incarnation,
            _ => None,
        };
        Hello {
            party: self.party(standpoint),
            to: Addressed { id: Some(id), incarnation },
            purpose: Purpose::Peer,
            authentication: Authentication::default(),
        }
    }

    /// The answer to `hello`.
    pub(crate) fn answer(
        &self,
        hello: &Hello,
        standpoint: &Standpoint<'_>,
        refused: Option<&Refused>,
    ) -> HelloAnswer {
        let verdict = match refused {
            Some(Refused { code, index, text }) => {
                Verdict::Refused { code: *code, index: *index, text: text.clone() }
            }
            None => Verdict::Accepted {
                protocol: PROTOCOL.common(hello.party.protocol).unwrap_or(PROTOCOL.highest),
                feature_level: match standpoint.feature_level {
                    0 => FEATURES.common(hello.party.features).unwrap_or(FEATURES.highest),
                    known => known,
                },
            },
        };
        let member = hello.party.member;
        let to = Addressed {
            id: member.map(|member| member.id),
            incarnation: member.map(|member| member.incarnation),
        };
        HelloAnswer { party: self.party(standpoint), to, purpose: hello.purpose, verdict }
    }

    /// Whether whoever says `hello` may speak with this node.
    pub(crate) fn judge(
        &mut self,
        hello: &Hello,
        standpoint: &Standpoint<'_>,
    ) -> Result<Footing, Refused> {
        self.judge_form(hello, standpoint)?;
        match (hello.purpose, hello.party.member) {
            (Purpose::Peer, Some(member)) => self.judge_party(member, &hello.party, standpoint),
            _ => judge_client(&hello.party, standpoint),
        }
    }

    /// Whether the node that was called as `id` and has accepted is the one that was meant.
    pub(crate) fn judge_answer(
        &mut self,
        id: NodeId,
        answer: &HelloAnswer,
        standpoint: &Standpoint<'_>,
    ) -> Result<(Member, Footing), Refused> {
        let Some(member) = answer.party.member else {
            return Err(refuse(HelloRefusal::ROLE, "it doesn't say which node it is".to_owned()));
        };
        if member.id != id {
            let text = format!("node {} answers where node {id} was expected", member.id);
            return Err(refuse(HelloRefusal::WRONG_NODE, text));
        }
        let footing = self.judge_party(member, &answer.party, standpoint)?;
        Ok((member, footing))
    }

    /// What a leader tells of the members in its term.
    pub(crate) fn learn(&mut self, term: Term, levels: impl Iterator<Item = PeerLevel>) {
        for PeerLevel { member, matched, boot } in levels {
            let known = self.levels.entry(member).or_insert(Level { term, matched, boot });
            if term > known.term {
                *known = Level { term, matched, boot: boot.max(known.boot) };
            } else if term == known.term {
                known.matched = known.matched.max(matched);
                known.boot = known.boot.max(boot);
            }
        }
    }

    /// Forgets what was heard under another cluster.
    pub(crate) fn forget_levels(&mut self) {
        self.levels.clear();
    }

    fn party(&self, standpoint: &Standpoint<'_>) -> Party {
        let (cluster, epoch) = standpoint.cluster.unzip();
        Party {
            protocol: PROTOCOL,
            features: FEATURES,
            cluster,
            epoch: epoch.unwrap_or_default(),
            member: Some(self.me.member),
            boot: self.me.boot,
            start: self.me.start,
            term: standpoint.term,
            last: standpoint.last,
            nodes_hash: self.me.nodes_hash,
            cluster_name: self.me.cluster_name.clone(),
            address: self.me.address.clone(),
        }
    }

    /// What can be said without knowing who speaks.
    fn judge_form(&self, hello: &Hello, standpoint: &Standpoint<'_>) -> Result<(), Refused> {
        if standpoint.is_stopping {
            let text = format!("node {} is shutting down", self.me.member.id);
            return Err(refuse(HelloRefusal::STOPPING, text));
        }
        if PROTOCOL.common(hello.party.protocol).is_none() {
            let text = format!(
                "node {} speaks versions {} to {} of the protocol",
                self.me.member.id, PROTOCOL.lowest, PROTOCOL.highest
            );
            return Err(refuse(HelloRefusal::PROTOCOL, text));
        }
        if let Purpose::Unknown(role) = hello.purpose {
            let text = format!("role {role} isn't known to this version");
            return Err(refuse(HelloRefusal::ROLE, text));
        }
        if hello.authentication.method != 0 {
            let method = hello.authentication.method;
            let text = format!("authentication method {method} isn't known to this version");
            return Err(refuse(HelloRefusal::AUTHENTICATION, text));
        }
        let (id, me) = (hello.to.id, self.me.member);
        if let Some(id) = id.filter(|id| *id != me.id) {
            let text = format!("this is node {}, not node {id}", me.id);
            return Err(refuse(HelloRefusal::WRONG_NODE, text));
        }
        if hello.to.incarnation.is_some_and(|addressed| addressed != me.incarnation) {
            let text = format!("node {} has another incarnation than the one addressed", me.id);
            return Err(refuse(HelloRefusal::WRONG_INCARNATION, text));
        }
        Ok(())
    }

    /// Whether `party`, which says that it is `member`, may take part.
    fn judge_party(
        &mut self,
        member: Member,
        party: &Party,
        standpoint: &Standpoint<'_>,
    ) -> Result<Footing, Refused> {
        if party.cluster_name != self.me.cluster_name {
            let text = format!(
                "the name of this cluster is {:?}, not {:?}",
                self.me.cluster_name, party.cluster_name
            );
            return Err(refuse(HelloRefusal::WRONG_NAME, text));
        }
        self.judge_self(member)?;
        // A node that hasn't applied the first entry yet doesn't know the level.
        let is_known = standpoint.feature_level > 0;
        if is_known && !party.features.contains(standpoint.feature_level) {
            let text = format!(
                "the cluster's feature level is {}, and the sender supports {} to {}",
                standpoint.feature_level, party.features.lowest, party.features.highest
            );
            return Err(refuse(HelloRefusal::FEATURE_LEVEL, text));
        }
        let footing = self.judge_cluster(party, standpoint)?;
        judge_seat(member, party, standpoint)?;
        if footing == Footing::Members {
            self.judge_level(member, party, standpoint)?;
        }
        self.judge_start(member, party)?;
        Ok(footing)
    }

    /// Another process that says it is this node.
    fn judge_self(&self, member: Member) -> Result<(), Refused> {
        let me = self.me.member;
        if member == me {
            let text = format!(
                "the directory of node {} is used twice: one of the two is a copy, or both have \
                 the same number in their addresses. Stop the copy",
                me.id
            );
            return Err(refuse(HelloRefusal::CLONE, text));
        }
        if member.id == me.id {
            let text = format!("both sides say that they are node {}", me.id);
            return Err(refuse(HelloRefusal::SAME_NODE, text));
        }
        Ok(())
    }

    fn judge_cluster(
        &self,
        party: &Party,
        standpoint: &Standpoint<'_>,
    ) -> Result<Footing, Refused> {
        let (Some((cluster, epoch)), Some(theirs)) = (standpoint.cluster, party.cluster) else {
            if standpoint.cluster.is_none()
                && party.cluster.is_none()
                && party.nodes_hash != self.me.nodes_hash
            {
                let text = "the cluster hasn't formed, and the two files list other nodes, \
                            addresses or roles: they must be the same on all nodes";
                return Err(refuse(HelloRefusal::WRONG_NODES, text.to_owned()));
            }
            return Ok(Footing::Founders);
        };
        if cluster != theirs {
            if standpoint.last.index <= FOUNDING || party.last.index <= FOUNDING {
                return Ok(Footing::Founders);
            }
            let text = format!("this is cluster {cluster}, not {theirs}");
            return Err(refuse(HelloRefusal::WRONG_CLUSTER, text));
        }
        if epoch != party.epoch {
            let text = format!("the cluster is in epoch {epoch}, not {}", party.epoch);
            return Err(refuse(HelloRefusal::WRONG_EPOCH, text));
        }
        Ok(Footing::Members)
    }

    /// Whether the member still has what it was known to have.
    fn judge_level(
        &self,
        member: Member,
        party: &Party,
        standpoint: &Standpoint<'_>,
    ) -> Result<(), Refused> {
        let Some(known) = self.levels.get(&member) else { return Ok(()) };
        let last = party.last.index;
        let lost = if party.boot < known.boot {
            Some(format!("it was started {} times, and says {}", known.boot, party.boot))
        } else if known.matched == Index::ZERO {
            None
        } else if party.term < known.term {
            Some(format!("it was in term {}, and says {}", known.term, party.term))
        } else if party.term == known.term && last < known.matched {
            Some(format!("it held entry {} durably, and its log ends at {last}", known.matched))
        } else if last < known.matched && last < standpoint.commit {
            let commit = standpoint.commit;
            Some(format!(
                "it held entry {} durably, entry {commit} is committed, and its log ends at {last}",
                known.matched
            ))
        } else {
            None
        };
        let Some(lost) = lost else { return Ok(()) };
        let text = format!(
            "node {} has lost durable state: {lost}. An older copy of its directory was put \
             back. Stop it and put the latest one back, if there is one",
            member.id
        );
        Err(refuse(HelloRefusal::REGRESSED, text))
    }

    /// Whether it is the latest start of the member, and the only one.
    fn judge_start(&mut self, member: Member, party: &Party) -> Result<(), Refused> {
        if let Some((boot, start)) = self.starts.get(&member) {
            if party.boot < *boot {
                let text = format!("start {} of node {} was heard already", boot, member.id);
                return Err(refuse(HelloRefusal::OLD_BOOT, text));
            }
            if party.boot == *boot && party.start != *start {
                let text = format!(
                    "two processes say that they are start {boot} of node {}: one of them runs on \
                     a copy of its directory. Stop the copy, and never start it again",
                    member.id
                );
                return Err(refuse(HelloRefusal::CLONE, text));
            }
        }
        self.starts.insert(member, (party.boot, party.start));
        Ok(())
    }
}

/// Whether the member's number belongs to another life.
fn judge_seat(member: Member, party: &Party, standpoint: &Standpoint<'_>) -> Result<(), Refused> {
    let Some((index, members)) = standpoint.members else { return Ok(()) };
    // What is founded and not followed by anything binds nobody.
    if party.cluster.is_some() && Some(party.cluster) != standpoint.cluster.map(|(id, _)| Some(id))
    {
        return Ok(());
    }
    let seats = || members.seats().iter().filter(|seat| seat.id == member.id);
    if seats().any(|seat| seat.incarnation.is_none_or(|life| life == member.incarnation)) {
        return Ok(());
    }
    if seats().next().is_some() {
        let text = format!(
            "node {} is a member in another life: its data directory was lost or replaced, and a \
             node that has forgotten its votes must not vote again. Put the data directory back \
             and start the node again",
            member.id
        );
        return Err(Refused { code: HelloRefusal::WIPED, index, text });
    }
    if party.cluster.is_none() {
        let text = format!("node {} is no member of this cluster", member.id);
        return Err(Refused { code: HelloRefusal::REMOVED, index, text });
    }
    Ok(())
}

fn judge_client(party: &Party, standpoint: &Standpoint<'_>) -> Result<Footing, Refused> {
    if let (Some((cluster, _)), Some(theirs)) = (standpoint.cluster, party.cluster)
        && cluster != theirs
    {
        let text = format!("this is cluster {cluster}, not {theirs}");
        return Err(refuse(HelloRefusal::WRONG_CLUSTER, text));
    }
    Ok(Footing::Members)
}

pub(crate) fn refuse(code: HelloRefusal, text: String) -> Refused {
    Refused { code, index: Index::ZERO, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Incarnation, Seat, Standing};

    const CLUSTER: ClusterId = ClusterId(7);

    fn member(number: u16, life: u128) -> Member {
        let id = NodeId::new(number).unwrap();
        Member { id, incarnation: Incarnation(life) }
    }

    fn door(number: u16) -> Door {
        Door::new(Myself {
            member: member(number, 100),
            boot: Boot(1),
            start: StartNumber(u64::from(number)),
            cluster_name: "raft".to_owned(),
            nodes_hash: 5,
            address: format!("host{number}:3111"),
        })
    }

    fn members() -> Configuration {
        let seat = |number, life: Option<u128>| Seat {
            id: NodeId::new(number).unwrap(),
            incarnation: life.map(Incarnation),
            standing: Standing::Voter,
            address: String::new(),
        };
        Configuration::new(vec![seat(1, Some(100)), seat(2, Some(100)), seat(3, None)])
    }

    /// A node of the cluster whose log ends at `last` in term 4, committed up to 10.
    fn formed(members: &Configuration, last: u64) -> Standpoint<'_> {
        Standpoint {
            cluster: Some((CLUSTER, Epoch(1))),
            term: Term(4),
            last: LogId::new(Term(4), Index(last)),
            commit: Index(10),
            members: Some((Index(1), members)),
            feature_level: 1,
            is_stopping: false,
        }
    }

    fn unformed() -> Standpoint<'static> {
        Standpoint {
            cluster: None,
            term: Term::ZERO,
            last: LogId::ORIGIN,
            commit: Index::ZERO,
            members: None,
            feature_level: 0,
            is_stopping: false,
        }
    }

    /// What node 2 says to node 1, as `change` has it, and what node 1 says to that.
    fn judged(change: impl FnOnce(&mut Hello)) -> Result<Footing, HelloRefusal> {
        let members = members();
        let standpoint = formed(&members, 20);
        let mut hello = door(2).hello(NodeId::new(1).unwrap(), &standpoint);
        change(&mut hello);
        door(1).judge(&hello, &standpoint).map_err(|refused| refused.code)
    }

    #[test]
    fn a_member_is_let_in_in_both_directions() {
        let members = members();
        let standpoint = formed(&members, 20);
        let (mut one, mut two) = (door(1), door(2));
        let hello = two.hello(NodeId::new(1).unwrap(), &standpoint);
        assert_eq!(hello.to.incarnation, Some(Incarnation(100)));
        assert_eq!(one.judge(&hello, &standpoint), Ok(Footing::Members));
        let answer = one.answer(&hello, &standpoint, None);
        assert!(matches!(answer.verdict, Verdict::Accepted { protocol: 1, feature_level: 1 }));
        let id = NodeId::new(1).unwrap();
        let accepted = two.judge_answer(id, &answer, &standpoint);
        assert_eq!(accepted, Ok((member(1, 100), Footing::Members)));
        let other = two.judge_answer(NodeId::new(3).unwrap(), &answer, &standpoint);
        assert_eq!(other.unwrap_err().code, HelloRefusal::WRONG_NODE);
    }

    #[test]
    fn each_thing_that_does_not_fit_has_its_own_refusal() {
        let versions = VersionRange { lowest: 8, highest: 9 };
        let refusal = |change: fn(&mut Hello)| judged(change).unwrap_err();
        assert_eq!(judged(|hello| hello.party.protocol = versions), Err(HelloRefusal::PROTOCOL));
        assert_eq!(
            judged(|hello| hello.party.features = versions),
            Err(HelloRefusal::FEATURE_LEVEL)
        );
        let unknown = |hello: &mut Hello| hello.purpose = Purpose::Unknown(9);
        assert_eq!(refusal(unknown), HelloRefusal::ROLE);
        let proves = |hello: &mut Hello| hello.authentication.method = 3;
        assert_eq!(refusal(proves), HelloRefusal::AUTHENTICATION);
        let name = |hello: &mut Hello| hello.party.cluster_name = "other".to_owned();
        assert_eq!(refusal(name), HelloRefusal::WRONG_NAME);
        let cluster = |hello: &mut Hello| hello.party.cluster = Some(ClusterId(8));
        assert_eq!(refusal(cluster), HelloRefusal::WRONG_CLUSTER);
        let epoch = |hello: &mut Hello| hello.party.epoch = Epoch(2);
        assert_eq!(refusal(epoch), HelloRefusal::WRONG_EPOCH);
        let node = |hello: &mut Hello| hello.to.id = NodeId::new(3);
        assert_eq!(refusal(node), HelloRefusal::WRONG_NODE);
        let life = |hello: &mut Hello| hello.to.incarnation = Some(Incarnation(9));
        assert_eq!(refusal(life), HelloRefusal::WRONG_INCARNATION);
        let same = |hello: &mut Hello| hello.party.member = Some(member(1, 9));
        assert_eq!(refusal(same), HelloRefusal::SAME_NODE);
        let copy = |hello: &mut Hello| hello.party.member = Some(member(1, 100));
        assert_eq!(refusal(copy), HelloRefusal::CLONE);
    }

    #[test]
    fn a_voter_whose_directory_was_wiped_is_refused_and_told_what_to_do() {
        let members = members();
        let standpoint = formed(&members, 20);
        let mut hello = door(2).hello(NodeId::new(1).unwrap(), &unformed());
        hello.party.member = Some(member(2, 200));
        let refused = door(1).judge(&hello, &standpoint).unwrap_err();
        assert_eq!((refused.code, refused.index), (HelloRefusal::WIPED, Index(1)));
        assert!(refused.code.is_guard() && refused.text.contains("Put the data directory back"));
    }

    #[test]
    fn who_comes_for_a_vacant_seat_hears_of_the_founding_first() {
        let members = members();
        let mut hello = door(3).hello(NodeId::new(1).unwrap(), &unformed());
        assert_eq!(door(1).judge(&hello, &formed(&members, 20)), Ok(Footing::Founders));
        hello.party.member = Some(member(4, 100));
        let refused = door(1).judge(&hello, &formed(&members, 20)).unwrap_err();
        assert_eq!(refused.code, HelloRefusal::REMOVED);
    }

    #[test]
    fn unequal_files_keep_a_cluster_from_forming_and_a_formed_one_does_not_mind() {
        let mut hello = door(2).hello(NodeId::new(1).unwrap(), &unformed());
        assert_eq!(door(1).judge(&hello, &unformed()), Ok(Footing::Founders));
        hello.party.nodes_hash = 6;
        let refused = door(1).judge(&hello, &unformed()).unwrap_err();
        assert_eq!(refused.code, HelloRefusal::WRONG_NODES);
        assert_eq!(judged(|hello| hello.party.nodes_hash = 6), Ok(Footing::Members));
    }

    #[test]
    fn of_two_clusters_one_of_which_binds_nobody_only_foundings_are_spoken_of() {
        let members = members();
        let lonely = |hello: &mut Hello| {
            hello.party.cluster = Some(ClusterId(8));
            hello.party.last = LogId::new(Term::ZERO, Index(1));
        };
        assert_eq!(judged(lonely), Ok(Footing::Founders));
        let mut hello = door(2).hello(NodeId::new(1).unwrap(), &formed(&members, 20));
        hello.party.cluster = Some(ClusterId(8));
        hello.to.incarnation = None;
        assert_eq!(door(1).judge(&hello, &formed(&members, 1)), Ok(Footing::Founders));
    }

    #[test]
    fn an_earlier_start_and_a_copy_are_refused_and_a_later_start_is_not() {
        let members = members();
        let standpoint = formed(&members, 20);
        let mut one = door(1);
        let mut say = |boot, start| {
            let mut hello = door(2).hello(NodeId::new(1).unwrap(), &standpoint);
            hello.party.boot = Boot(boot);
            hello.party.start = StartNumber(start);
            one.judge(&hello, &standpoint).map_err(|refused| refused.code)
        };
        assert_eq!(say(3, 77), Ok(Footing::Members));
        assert_eq!(say(3, 77), Ok(Footing::Members), "the same start may call again");
        assert_eq!(say(3, 78), Err(HelloRefusal::CLONE));
        assert_eq!(say(2, 76), Err(HelloRefusal::OLD_BOOT));
        assert_eq!(say(4, 79), Ok(Footing::Members));
        assert_eq!(say(3, 77), Err(HelloRefusal::OLD_BOOT));
    }

    #[test]
    fn who_has_lost_what_he_had_acknowledged_is_recognised() {
        let members = members();
        let standpoint = formed(&members, 20);
        let says = |boot: u64, term: u64, last: u64| {
            let mut one = door(1);
            let level = PeerLevel { member: member(2, 100), matched: Index(15), boot: Boot(2) };
            one.learn(Term(4), std::iter::once(level));
            let mut hello = door(2).hello(NodeId::new(1).unwrap(), &standpoint);
            hello.party.boot = Boot(boot);
            hello.party.term = Term(term);
            hello.party.last = LogId::new(Term(term), Index(last));
            one.judge(&hello, &standpoint).map_err(|refused| refused.code)
        };
        assert_eq!(says(2, 4, 15), Ok(Footing::Members));
        assert_eq!(says(1, 4, 15), Err(HelloRefusal::REGRESSED), "an earlier boot");
        assert_eq!(says(3, 3, 15), Err(HelloRefusal::REGRESSED), "an earlier term");
        assert_eq!(says(3, 4, 14), Err(HelloRefusal::REGRESSED), "a shorter log in that term");
        assert_eq!(
            says(3, 5, 12),
            Ok(Footing::Members),
            "replaced lawfully above the commit index"
        );
        assert_eq!(says(3, 5, 9), Err(HelloRefusal::REGRESSED), "less than what is committed");
    }

    #[test]
    fn a_client_may_know_no_cluster_and_is_held_to_the_one_that_it_names() {
        let client = |cluster| {
            judged(|hello| {
                hello.purpose = Purpose::Client;
                hello.party.member = None;
                hello.party.cluster = cluster;
                hello.party.cluster_name = String::new();
            })
        };
        assert_eq!(client(None), Ok(Footing::Members));
        assert_eq!(client(Some(CLUSTER)), Ok(Footing::Members));
        assert_eq!(client(Some(ClusterId(8))), Err(HelloRefusal::WRONG_CLUSTER));
    }

    #[test]
    fn a_node_that_is_shutting_down_lets_nobody_in() {
        let members = members();
        let standpoint = Standpoint { is_stopping: true, ..formed(&members, 20) };
        let hello = door(2).hello(NodeId::new(1).unwrap(), &standpoint);
        let refused = door(1).judge(&hello, &standpoint).unwrap_err();
        assert_eq!(refused.code, HelloRefusal::STOPPING);
    }
}
