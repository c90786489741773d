//! Chance, all of it from the seed.

use std::time::Duration;

/// The generator splitmix64: small, and good enough for spreading timeouts.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// A duration from `least` to `most`, both included, in whole nanoseconds.
    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos());
        let least = nanoseconds(least).unwrap_or(u64::MAX);
        let width = nanoseconds(most).unwrap_or(u64::MAX).saturating_sub(least);
        let drawn = u128::from(self.next()) * (u128::from(width) + 1);
        Duration::from_nanos(least.saturating_add((drawn >> 64) as u64))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_bounds_and_spread_over_them() {
        let (least, most) = (Duration::from_millis(150), Duration::from_millis(300));
        let mut chance = Chance::new(7);
        let draws: Vec<Duration> = (0..1000).map(|_| chance.between(least, most)).collect();
        assert!(draws.iter().all(|draw| (least..=most).contains(draw)));
        assert!(draws.iter().any(|draw| *draw < Duration::from_millis(165)));
        assert!(draws.iter().any(|draw| *draw > Duration::from_millis(285)));
        assert_eq!(chance.between(least, least), least);
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let draws = |seed| {
            let mut chance = Chance::new(seed);
            [(); 4].map(|()| chance.between(Duration::ZERO, Duration::MAX))
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
