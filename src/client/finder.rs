//! Which node to ask next: the one that led last, the one that a node names as its leader, or
//! the next in turn. It does no I/O and knows no clock.

use std::time::Duration;

use super::Endpoint;
use crate::model::Term;

/// The first pause after all endpoints were tried in vain; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Which node to ask next.
///
/// A hint is followed once for each term: two nodes that name each other can't send a client in
/// circles, and a node that doesn't know yet that it was replaced can't either. After each round
/// in vain comes a pause, longer each time.
#[derive(Clone, Debug)]
pub struct Finder {
    endpoints: Vec<Endpoint>,
    /// Only these may be asked, whatever others say.
    fixed: bool,
    /// Whose turn it is.
    turn: usize,
    /// Who is to be asked next, out of turn.
    next: Option<Endpoint>,
    /// The term of the last hint that was followed.
    followed: Option<Term>,
    /// How many were asked in vain since the last pause.
    in_vain: usize,
    /// The longest that the next pause may be.
    pause: Duration,
    chance: u64,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Ask this node.
    Ask(Endpoint),
    /// All were asked in vain: wait for so long, then ask again.
    Pause(Duration),
}

impl Finder {
    /// For these endpoints; `fixed` keeps to them. The seed decides where the turn begins and
    /// how long pauses are: different clients should have different ones, so that they neither
    /// begin at the same node nor come back at the same moment.
    ///
    /// # Panics
    ///
    /// Without an endpoint.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>, fixed: bool, seed: u64) -> Finder {
        assert!(!endpoints.is_empty(), "a client needs an endpoint");
        let turn = (seed % endpoints.len() as u64) as usize;
        Finder {
            endpoints,
            fixed,
            turn,
            next: None,
            followed: None,
            in_vain: 0,
            pause: FIRST_PAUSE,
            chance: seed,
        }
    }

    pub(super) fn step(&mut self) -> Step {
        if let Some(endpoint) = self.next.take() {
            return Step::Ask(endpoint);
        }
        if self.in_vain >= self.endpoints.len() {
            return Step::Pause(self.lengthen_pause());
        }
        let endpoint = self.endpoints[self.turn].clone();
        self.turn = (self.turn + 1) % self.endpoints.len();
        self.in_vain += 1;
        Step::Ask(endpoint)
    }

    /// The node that was asked isn't the leader and names another one, or none.
    pub(super) fn redirected(&mut self, hint: Option<(Term, Endpoint)>) {
        let Some((term, endpoint)) = hint else { return };
        if self.fixed || self.followed.is_some_and(|followed| term <= followed) {
            return;
        }
        self.followed = Some(term);
        let known = self.endpoints.iter().find(|known| known.address == endpoint.address);
        self.next = Some(known.cloned().unwrap_or(endpoint));
    }

    /// The node that was asked has answered as it should: it stays the first choice.
    pub(super) fn found(&mut self, endpoint: &Endpoint) {
        self.next = Some(endpoint.clone());
        self.in_vain = 0;
        self.pause = FIRST_PAUSE;
    }

    /// The node that was asked can't do it now and may soon: it is asked again after a pause.
    pub(super) fn busy(&mut self, endpoint: &Endpoint) -> Duration {
        self.next = Some(endpoint.clone());
        self.lengthen_pause()
    }

    fn lengthen_pause(&mut self) -> Duration {
        let longest = self.pause;
        self.pause = (longest * 2).min(LONGEST_PAUSE);
        self.in_vain = 0;
        // The one that was named may have been elected meanwhile.
        self.followed = None;
        self.jittered(longest)
    }

    /// A duration between half of `longest` and all of it, by the generator splitmix64.
    fn jittered(&mut self, longest: Duration) -> Duration {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        longest / 2 + (longest / 2) * (mixed >> 56) as u32 / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::parse(&format!("10.0.0.1:{port}")).unwrap()
    }

    fn finder() -> Finder {
        Finder::new((1..=3).map(endpoint).collect(), false, 0)
    }

    fn asked(finder: &mut Finder) -> u16 {
        match finder.step() {
            Step::Ask(endpoint) => endpoint.address.port,
            Step::Pause(pause) => panic!("a pause of {pause:?}"),
        }
    }

    #[test]
    fn all_are_asked_in_turn_and_then_comes_a_pause_that_grows_to_its_bound() {
        let mut finder = finder();
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            assert_eq!([1, 2, 3], [(); 3].map(|()| asked(&mut finder)));
            let Step::Pause(pause) = finder.step() else { panic!("no pause") };
            assert!(pause >= last || pause >= LONGEST_PAUSE / 2, "{pause:?} after {last:?}");
            last = pause;
        }
        assert!((LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(&last), "{last:?}");
    }

    #[test]
    fn a_hint_is_followed_once_for_each_term() {
        let mut finder = finder();
        assert_eq!(asked(&mut finder), 1);
        finder.redirected(Some((Term(5), endpoint(3))));
        assert_eq!(asked(&mut finder), 3);
        // It names the first again, as of the same term: no circle.
        finder.redirected(Some((Term(5), endpoint(1))));
        assert_eq!(asked(&mut finder), 2);
        // A node that is behind.
        finder.redirected(Some((Term(4), endpoint(1))));
        assert_eq!(asked(&mut finder), 3);
        // A newer leader.
        finder.redirected(Some((Term(6), endpoint(9))));
        assert_eq!(asked(&mut finder), 9);
        assert!(matches!(finder.step(), Step::Pause(_)));
    }

    #[test]
    fn nodes_that_name_each_other_for_ever_end_in_pauses() {
        let mut finder = finder();
        let mut pauses = 0;
        for _ in 0..1000 {
            match finder.step() {
                Step::Ask(asked) => {
                    let other = if asked.address.port == 1 { 2 } else { 1 };
                    finder.redirected(Some((Term(7), endpoint(other))));
                }
                Step::Pause(_) => pauses += 1,
            }
        }
        // Three in turn and one that is named, then a pause.
        assert!(pauses >= 1000 / 5, "{pauses} pauses");
    }

    #[test]
    fn the_one_that_was_found_is_asked_first() {
        let mut finder = finder();
        asked(&mut finder);
        assert_eq!(asked(&mut finder), 2);
        finder.found(&endpoint(2));
        assert_eq!(asked(&mut finder), 2);
        // It failed: the others have their turn.
        assert_eq!([3, 1, 2], [(); 3].map(|()| asked(&mut finder)));
    }

    #[test]
    fn a_fixed_node_is_the_only_one_asked() {
        let mut finder = Finder::new(vec![endpoint(1)], true, 7);
        assert_eq!(asked(&mut finder), 1);
        finder.redirected(Some((Term(5), endpoint(3))));
        assert!(matches!(finder.step(), Step::Pause(_)));
        assert_eq!(asked(&mut finder), 1);
    }
}
