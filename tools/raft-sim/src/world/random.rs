//! Streams of chance: one for each concern, so that a change in one leaves the others as they are.

/// A stream of numbers that its seed decides (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of `seed` for one concern.
    pub(crate) fn stream(seed: u64, concern: &str) -> Random {
        let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
        for byte in concern.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut random = Random(state);
        random.next();
        random
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero if that is zero.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A number from `low` to `high`, each order of magnitude as likely as another.
    pub(crate) const fn spread(&mut self, low: u64, high: u64) -> u64 {
        let low = if low == 0 { 1 } else { low };
        let octaves = (high / low).ilog2() as u64;
        let base = low << self.below(octaves + 1);
        let drawn = self.between(base, base.saturating_mul(2));
        if drawn < high { drawn } else { high }
    }

    /// Whether something happens that happens so often in a thousand times.
    pub(crate) const fn permille(&mut self, often: u64) -> bool {
        self.below(1000) < often
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream_and_concerns_differ() {
        let first = |seed, concern| Random::stream(seed, concern).next();
        assert_eq!(first(5, "network"), first(5, "network"));
        assert_ne!(first(5, "network"), first(5, "clocks"));
        assert_ne!(first(5, "network"), first(6, "network"));
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut random = Random::stream(1, "bounds");
        for _ in 0..10_000 {
            assert!((3..=9).contains(&random.between(3, 9)));
            assert!((10..=5000).contains(&random.spread(10, 5000)));
        }
    }
}
