//! The texts of single values: what they mean and how they are written back.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::settings::{Address, Listen};
use crate::model::{ClusterId, MAX_ADDRESS_BYTES, NodeId};

/// The units of a duration and how many milliseconds each has, the largest first.
const DURATION_UNITS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The units of a size and how many bytes each has; the binary ones, in which sizes are written,
/// stand first and fall.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

/// The longest host name. RFC 1035 allows 253 bytes; with a port it must fit into a member's
/// address in the cluster's configuration.
const LONGEST_HOST: usize = MAX_ADDRESS_BYTES as usize - ":65535".len();

/// The longest label of a node or name of a cluster, in bytes.
pub(super) const LONGEST_NAME: usize = 64;

/// The words of Python's `getboolean`, in any case.
pub(super) fn parse_switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn show_switch(value: bool) -> String {
    (if value { "True" } else { "False" }).to_owned()
}

/// A whole number in plain digits.
pub(super) fn parse_count(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// A number with a unit of time; without one it counts milliseconds.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    parse_scaled(text, DURATION_UNITS).map(Duration::from_millis)
}

pub(super) fn show_duration(value: Duration) -> String {
    let milliseconds = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
    show_scaled(milliseconds, DURATION_UNITS)
}

/// A number with a unit of bytes; without one it counts bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    parse_scaled(text, SIZE_UNITS)
}

pub(super) fn show_size(bytes: u64) -> String {
    show_scaled(bytes, &SIZE_UNITS[..5])
}

fn parse_scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number = parse_count(number)?;
    let unit = unit.trim();
    if unit.is_empty() {
        return Some(number);
    }
    let (_, scale) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*scale)
}

/// The largest unit in which the number is whole.
fn show_scaled(number: u64, units: &[(&str, u64)]) -> String {
    let fits = |scale: u64| number >= scale && number.is_multiple_of(scale);
    let found = units.iter().find(|(_, scale)| fits(*scale)).or(units.last());
    match found {
        Some((unit, scale)) => format!("{}{unit}", number / scale),
        None => number.to_string(),
    }
}

/// A host name or an address; one of version 6 may stand in brackets. Addresses come back in
/// their canonical form.
pub(super) fn parse_host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    if text.matches(':').count() == 1 {
        return Err("must be a host alone; the port has a key of its own".to_owned());
    }
    let letters = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let named = text.len() <= LONGEST_HOST && text.split('.').all(letters);
    // A resolver would take 127.1 or 10.0.0 as an address, and another one than was meant.
    let numeric = text.split('.').next_back().is_some_and(|part| parse_count(part).is_some());
    if named && !numeric {
        Ok(text.to_owned())
    } else {
        Err("must be a host name or an IP address, such as 10.0.0.1 or ::1".to_owned())
    }
}

/// A port to which others can connect.
pub(super) fn parse_port(text: &str) -> Result<u16, String> {
    parse_count(text)
        .and_then(|number| u16::try_from(number).ok())
        .filter(|port| *port != 0)
        .ok_or_else(|| "must be 1..65535".to_owned())
}

/// A host, with or without a port.
pub(super) fn parse_listen(text: &str) -> Result<Listen, String> {
    let wrong = || "must be HOST or HOST:PORT, such as 0.0.0.0 or [::]:3111".to_owned();
    if let Ok(host) = parse_host(text) {
        return Ok(Listen { host, port: None });
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    if host.contains(':') && !host.starts_with('[') {
        return Err(wrong());
    }
    let host = parse_host(host).map_err(|_| wrong())?;
    let port = parse_port(port).map_err(|reason| format!("the port {reason}"))?;
    Ok(Listen { host, port: Some(port) })
}

impl FromStr for Address {
    type Err = String;

    /// Reads `host:port`, with brackets around an address of version 6.
    fn from_str(text: &str) -> Result<Address, String> {
        match parse_listen(text) {
            Ok(Listen { host, port: Some(port) }) => Ok(Address { host, port }),
            Ok(Listen { port: None, .. }) => Err("must be HOST:PORT; the port is missing".into()),
            Err(_) => Err("must be HOST:PORT, such as 10.0.0.1:3111 or [::1]:3111".into()),
        }
    }
}

/// The label of a node. A word of digits alone would be taken for a number.
pub(super) fn parse_label(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(plain) {
        return Err(format!("must be 1..{LONGEST_NAME} letters, digits, \"-\", \"_\" or \".\""));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a label must not be all digits; it would be taken for a number".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn parse_cluster_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LONGEST_NAME || text.chars().any(char::is_control) {
        return Err(format!("must be 1..{LONGEST_NAME} bytes of text"));
    }
    Ok(text.to_owned())
}

pub(super) fn parse_node_id(text: &str) -> Result<NodeId, String> {
    parse_count(text)
        .and_then(|number| u16::try_from(number).ok())
        .and_then(NodeId::new)
        .ok_or_else(|| "must be 1..65535".to_owned())
}

/// 32 hexadecimal digits; dashes between them are passed over.
pub(super) fn parse_cluster_id(text: &str) -> Result<ClusterId, String> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    let hexadecimal = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u128::from_str_radix(&digits, 16) {
        Ok(number) if hexadecimal && number != 0 => Ok(ClusterId(number)),
        _ => Err("must be 32 hexadecimal digits, not all 0".to_owned()),
    }
}

pub(super) fn parse_directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("must be the path of a directory".to_owned());
    }
    if text.starts_with('~') {
        return Err("\"~\" isn't expanded here; write the whole path".to_owned());
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::super::settings::Address;
    use super::*;

    #[test]
    fn a_bare_duration_counts_milliseconds_and_a_unit_may_follow() {
        let milliseconds = |text: &str| parse_duration(text).map(|value| value.as_millis());
        assert_eq!(milliseconds("12000"), Some(12_000));
        assert_eq!(milliseconds("150ms"), Some(150));
        assert_eq!(milliseconds("2 s"), Some(2_000));
        assert_eq!(milliseconds("5m"), Some(300_000));
        assert_eq!(milliseconds("1H"), Some(3_600_000));
        for wrong in ["", "ms", "1.5s", "-1", "+1", "1 2", "2y", "1s1", "99999999999999999999"] {
            assert_eq!(milliseconds(wrong), None, "{wrong}");
        }
        assert_eq!(milliseconds("18446744073709551615d"), None);
    }

    #[test]
    fn sizes_know_binary_and_decimal_units() {
        assert_eq!(parse_size("4096"), Some(4096));
        assert_eq!(parse_size("64KiB"), Some(64 << 10));
        assert_eq!(parse_size("64 mib"), Some(64 << 20));
        assert_eq!(parse_size("1GiB"), Some(1 << 30));
        assert_eq!(parse_size("2MB"), Some(2_000_000));
        for wrong in ["64M", "MiB", "1.5GiB", "0x10", "16777216TiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_and_sizes_are_written_in_the_largest_whole_unit() {
        assert_eq!(show_duration(Duration::from_millis(12_000)), "12s");
        assert_eq!(show_duration(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(show_duration(Duration::from_millis(0)), "0ms");
        assert_eq!(show_size(64 << 20), "64MiB");
        assert_eq!(show_size(1_000_000), "1000000B");
        assert_eq!(show_size(0), "0B");
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        assert_eq!(parse_host("127.0.0.1").unwrap(), "127.0.0.1");
        assert_eq!(parse_host("[::1]").unwrap(), "::1");
        assert_eq!(parse_host("FE80:0::1").unwrap(), "fe80::1");
        assert_eq!(parse_host("db-3.example.org").unwrap(), "db-3.example.org");
        for wrong in ["", "a b", "127.0.0", "10.0.0.256", "a..b", "a:1", "x/y", "[::1", ":::"] {
            assert!(parse_host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_longest_host_and_port_fit_into_a_members_address() {
        let longest = format!("{}.example", "a.".repeat(120) + "b");
        assert_eq!(longest.len(), LONGEST_HOST);
        let host = parse_host(&longest).unwrap();
        let address = Address { host, port: u16::MAX };
        assert!(address.to_string().len() <= usize::from(MAX_ADDRESS_BYTES));
        assert!(parse_host(&format!("{longest}s")).is_err());
    }

    #[test]
    fn what_is_bound_may_name_a_port() {
        let listen = |text: &str| parse_listen(text).ok().map(|l| (l.host, l.port));
        assert_eq!(listen("0.0.0.0"), Some(("0.0.0.0".to_owned(), None)));
        assert_eq!(listen("0.0.0.0:99"), Some(("0.0.0.0".to_owned(), Some(99))));
        assert_eq!(listen("::"), Some(("::".to_owned(), None)));
        assert_eq!(listen("[::]:99"), Some(("::".to_owned(), Some(99))));
        for wrong in ["", ":99", "a:0", "a:65536", "::1]:5", "a:b:c"] {
            assert_eq!(listen(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_cluster_id_is_128_bits_in_hexadecimal() {
        let id = parse_cluster_id("00112233-4455-6677-8899-aabbccddeeff").unwrap();
        assert_eq!(id.0, 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        assert_eq!(parse_cluster_id(&id.to_string()), Ok(id));
        for wrong in ["", "0", "6f1d2c", &"0".repeat(32), "+0112233445566778899aabbccddeeff"] {
            assert!(parse_cluster_id(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_of_python_switch() {
        for text in ["True", "yes", "ON", "1"] {
            assert_eq!(parse_switch(text), Some(true));
        }
        for text in ["False", "no", "OFF", "0"] {
            assert_eq!(parse_switch(text), Some(false));
        }
        assert_eq!(parse_switch("maybe"), None);
    }
}
