//! "Did you mean": the known word nearest to one that isn't known.

use strsim::damerau_levenshtein;

/// A longer word isn't a slip of the pen, and comparing it would only cost time.
const LONGEST_WORD: usize = 64;

/// The candidate nearest to `word`, if it is near enough to have been meant: at most a third of
/// the letters differ, and case doesn't count.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.chars().count() > LONGEST_WORD {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = |candidate: &str| (candidate.len() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= allowed(candidate))
        .map(|candidate| (damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let known = ["ElectionTimeout", "HeartbeatInterval", "Name"];
        assert_eq!(nearest("HeartBeatIntervall", known), Some("HeartbeatInterval"));
        assert_eq!(nearest("electiontimeuot", known), Some("ElectionTimeout"));
        assert_eq!(nearest("Nmae", known), Some("Name"));
        assert_eq!(nearest("Colour", known), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), known), None);
    }
}
