//! Values of options: durations, counts, sizes.

use std::time::Duration;

/// A duration with its unit. A bare number is refused: in raft.ini it is milliseconds, and most
/// who type one here mean seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Err(format!("give a unit, as in {text}s or {text}ms"));
    }
    let duration = humantime::parse_duration(text)
        .map_err(|_| "not a duration; 500ms, 5s and 1m are".to_owned())?;
    if duration.is_zero() {
        return Err("must be longer than nothing".to_owned());
    }
    if duration > LONGEST {
        return Err("must be at most 1 day".to_owned());
    }
    Ok(duration)
}

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A count, as `100000` or `100k` or `2M`.
pub(super) fn count(text: &str) -> Result<u64, String> {
    scaled(text, &[("k", 1000), ("M", 1_000_000)])
        .ok_or_else(|| "not a count; 100000, 100k and 2M are".to_owned())
        .and_then(positive)
}

/// An index, or another number of entries.
pub(super) fn index(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "not a whole number; 0 and 883410 are".to_owned())
}

/// What can be added to a number.
pub(super) fn summand(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("not a whole number from {} to {}; 1 and -20 are", i64::MIN, i64::MAX))
}

/// A size in bytes, as `256`, `4KiB` or `1MiB`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    scaled(text, &[("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)])
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| "not a size; 256, 4KiB and 1MiB are".to_owned())
}

/// Requests per second, as `5000` or `20k`.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    count(text).map(|rate| rate as f64)
}

/// A share, 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not a share; 0, 0.5 and 1 are".to_owned()),
    }
}

fn positive(count: u64) -> Result<u64, String> {
    if count == 0 { Err("must be at least 1".to_owned()) } else { Ok(count) }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, 1));
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_and_is_not_nothing() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5").unwrap_err(), "give a unit, as in 5s or 5ms");
        for wrong in ["", "s", "-1s", "0s", "25h", "1 fortnight"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_and_sizes_take_their_units() {
        assert_eq!(count("100k"), Ok(100_000));
        assert_eq!(count("2M"), Ok(2_000_000));
        assert_eq!(size("4KiB"), Ok(4096));
        assert_eq!(size("0"), Ok(0));
        for wrong in ["", "k", "1.5k", "0", "-1", "99999999999999999999", "18446744073709551615k"] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_between_none_and_all() {
        assert_eq!(share("0.25"), Ok(0.25));
        for wrong in ["", "1.1", "-0.1", "NaN", "half"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
