//! Numbers, times and bytes as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use unicode_width::UnicodeWidthStr;

/// A number with commas between its thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size: `512 B`, `16.0 MiB`.
pub(crate) fn bytes(size: u64) -> String {
    let mut scaled = size as f64;
    if size < 1024 {
        return format!("{size} B");
    }
    for unit in ["KiB", "MiB", "GiB", "TiB"] {
        scaled /= 1024.0;
        if scaled < 999.95 {
            return format!("{scaled:.1} {unit}");
        }
    }
    format!("{:.1} PiB", scaled / 1024.0)
}

/// A duration with about three digits: `0.18 ms`, `6.0 s`, `3d 4h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = duration.as_secs();
    match whole {
        0 if seconds < 0.000_999_5 => format!("{:.0} us", seconds * 1e6),
        0 if seconds < 0.009_995 => format!("{:.2} ms", seconds * 1e3),
        0 if seconds < 0.099_95 => format!("{:.1} ms", seconds * 1e3),
        0 if seconds < 0.999_5 => format!("{:.0} ms", seconds * 1e3),
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        3600..86_400 => format!("{}h {}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d {}h", whole / 86_400, whole / 3600 % 24),
    }
}

/// How long something holds: `3d 4h`, `12s`.
pub(crate) fn since(time: Duration) -> String {
    if time < Duration::from_secs(60) { format!("{}s", time.as_secs()) } else { duration(time) }
}

/// Parts with two blanks between them, in as many lines as the width asks for. Styles take no
/// room.
pub(crate) fn flowed(parts: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for part in parts {
        let room = columns(part);
        match lines.last_mut() {
            Some(line) if used + 2 + room <= width => {
                line.push_str("  ");
                line.push_str(part);
                used += 2 + room;
            }
            _ => {
                lines.push(part.clone());
                used = room;
            }
        }
    }
    lines
}

/// A sentence in lines of at most `width`, those behind the first with `indent` blanks before
/// them. What has no blanks stays whole.
pub(crate) fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for (place, word) in text.split(' ').enumerate() {
        let room = columns(word);
        if used > 0 && used + 1 + room > width {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else if place > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += room;
    }
    lines
}

/// How long ago: `2h ago`.
pub(crate) fn ago(age: Duration) -> String {
    let whole = age.as_secs();
    match whole {
        0..60 => format!("{whole}s ago"),
        60..3600 => format!("{}m ago", whole / 60),
        3600..86_400 => format!("{}h ago", whole / 3600),
        _ => format!("{}d ago", whole / 86_400),
    }
}

/// Whole seconds: `5 s`, `1.5 s`, for limits that somebody set.
pub(crate) fn seconds(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A moment, as `2026-11-23T13:05:17.204Z`.
pub(crate) fn wall_time(nanoseconds: u64) -> String {
    // Further than the calendar's four digits reach, the number itself says more.
    match UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds)) {
        Some(time) if time < last_moment() => humantime::format_rfc3339_millis(time).to_string(),
        _ => format!("{nanoseconds} ns"),
    }
}

fn last_moment() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(253_402_300_800)
}

/// Bytes between quotation marks, whatever isn't printable escaped, so that it can't do anything
/// to a terminal.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    each_letter(bytes, |letter| {
        text.push_str(letter);
        true
    });
    text.push('"');
    text
}

/// Like [`quoted`], in about `width` columns: of what is longer, the beginning and the size.
pub(crate) fn quoted_within(bytes: &[u8], width: usize) -> String {
    let size = format!("... ({} bytes)", count(bytes.len() as u64));
    let room = width.saturating_sub(size.len() + 2).max(SHOWN_COLUMNS);
    let mut text = String::from('"');
    let (mut used, mut kept, mut whole) = (0, text.len(), true);
    each_letter(bytes, |letter| {
        used += columns(letter);
        whole = used + 2 <= width;
        text.push_str(letter);
        if used <= room {
            kept = text.len();
        }
        whole || used <= room
    });
    if !whole {
        text.truncate(kept);
    }
    text.push('"');
    if !whole {
        text.push_str(&size);
    }
    text
}

/// So much is shown however little room there is.
const SHOWN_COLUMNS: usize = 8;

/// How many columns a text takes. Styles take none, some letters take two.
pub(crate) fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().width()
}

/// Gives the letters of `bytes` one by one, escaped where they aren't printable, until `each`
/// returns false.
fn each_letter(bytes: &[u8], mut each: impl FnMut(&str) -> bool) {
    let mut escaped = String::new();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            escaped.clear();
            if matches!(letter, '"' | '\\') {
                escaped.push('\\');
                escaped.push(letter);
            } else if letter.is_control() || steers(letter) {
                escaped.extend(letter.escape_default());
            } else {
                escaped.push(letter);
            }
            if !each(&escaped) {
                return;
            }
        }
        for byte in chunk.invalid() {
            if !each(&format!("\\x{byte:02x}")) {
                return;
            }
        }
    }
}

/// Whether a letter changes how those around it are shown.
fn steers(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether these bytes are text that does nothing to a terminal but begin new lines and columns.
pub(crate) fn is_harmless(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars()
            .all(|letter| matches!(letter, '\n' | '\t') || !(letter.is_control() || steers(letter)))
    })
}

/// Bytes as an argument for the shell that means them.
pub(crate) fn shell_quoted(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:@%+=,".contains(byte);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && bytes.iter().all(plain) => text.to_owned(),
        Ok(text) if is_harmless(bytes) && !text.contains(['\n', '\t']) => {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
        _ => {
            let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("$'{escaped}'")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (883_410, "883,410"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn sizes_and_durations_have_about_three_digits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(16 << 20), "16.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
        assert_eq!(duration(Duration::from_micros(180)), "180 us");
        assert_eq!(duration(Duration::from_micros(1800)), "1.80 ms");
        assert_eq!(duration(Duration::from_millis(25)), "25.0 ms");
        assert_eq!(duration(Duration::from_millis(250)), "250 ms");
        assert_eq!(duration(Duration::from_secs(6)), "6.0 s");
        assert_eq!(duration(Duration::from_secs(76 * 3600)), "3d 4h");
    }

    #[test]
    fn moments_are_shown_to_the_end_of_the_calendar_and_beyond_it() {
        assert_eq!(wall_time(1_795_439_117_204_000_000), "2026-11-23T13:05:17.204Z");
        assert_eq!(wall_time(0), "1970-01-01T00:00:00.000Z");
        assert!(wall_time(u64::MAX).starts_with("2554-"));
    }

    #[test]
    fn bytes_can_do_nothing_to_a_terminal() {
        assert_eq!(quoted(b"ann"), "\"ann\"");
        assert_eq!(quoted(b"a\"b\\\n\x1b[2J\xff"), "\"a\\\"b\\\\\\n\\u{1b}[2J\\xff\"");
        assert_eq!(quoted("\u{202e}x\u{e9}".as_bytes()), "\"\\u{202e}x\u{e9}\"");
    }

    #[test]
    fn sentences_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 2, 80), "one two three");
        assert_eq!(wrapped("one two three four", 2, 9), "one two\n  three\n  four");
        assert_eq!(wrapped("unbreakably long", 2, 5), "unbreakably\n  long");
        assert_eq!(wrapped("  two  blanks", 2, 80), "  two  blanks");
    }

    #[test]
    fn an_argument_for_the_shell_means_the_bytes() {
        assert_eq!(shell_quoted(b"user:1"), "user:1");
        assert_eq!(shell_quoted(b"it's"), "'it'\\''s'");
        assert_eq!(shell_quoted(b"\xff\n"), "$'\\xff\\x0a'");
        assert_eq!(shell_quoted(b""), "''");
    }

    #[test]
    fn what_is_long_is_cut_and_says_how_long_it_is() {
        assert_eq!(quoted_within(b"short", 20), "\"short\"");
        let cut = quoted_within(&[b'x'; 5000], 40);
        assert_eq!(cut, format!("\"{}\"... (5,000 bytes)", "x".repeat(21)));
        assert_eq!(quoted_within(&[0xff; 5], 22), "\"\\xff\\xff\\xff\\xff\\xff\"");
        assert_eq!(quoted_within(&[0xff; 6], 22), "\"\\xff\\xff\"... (6 bytes)");
        // A letter of two columns, three bytes each.
        let wide = "\u{6f22}".repeat(50);
        assert_eq!(columns(&quoted_within(wide.as_bytes(), 41)), 41);
    }
}
