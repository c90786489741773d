//! Keys and values from the command line.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use raft_node::kv::{MAX_COMMAND_BYTES, MAX_KEY_BYTES};

use crate::codes::Code;
use crate::error::CliError;

/// The bytes of a key, which must be of a length that keys can have.
pub(crate) fn key(text: &OsStr) -> Result<&[u8], CliError> {
    let bytes = text.as_bytes();
    check_key(bytes).map_err(|message| {
        let code = if bytes.is_empty() { Code::Usage } else { Code::TooLarge };
        CliError::new(code, message).hint("nothing was sent")
    })?;
    Ok(bytes)
}

/// Why a key can't be one.
pub(crate) fn check_key(bytes: &[u8]) -> Result<(), String> {
    match bytes.len() {
        0 => Err("a key has at least 1 byte".to_owned()),
        length if length > MAX_KEY_BYTES as usize => {
            Err(format!("the key has {length} bytes, {MAX_KEY_BYTES} are allowed"))
        }
        _ => Ok(()),
    }
}

/// The value that an argument means: itself, what stands on standard input (`-` or nothing), or
/// what is in a file (`@FILE`). With `literal`, itself in any case.
pub(crate) fn value(argument: Option<&OsString>, literal: bool) -> Result<Vec<u8>, CliError> {
    let bytes = match argument.map(|argument| argument.as_bytes()) {
        Some(bytes) if literal => return Ok(bytes.to_vec()),
        Some(b"-") | None => return standard_input(),
        Some(bytes) => bytes,
    };
    match bytes.strip_prefix(b"@") {
        Some(path) => {
            let path = Path::new(OsStr::from_bytes(path));
            let open = || bounded(File::open(path)?);
            let bytes = open().map_err(|error| CliError::file(path, "read", &error))?;
            bytes.ok_or_else(|| too_large(&format!("{}", path.display())))
        }
        None => Ok(bytes.to_vec()),
    }
}

fn standard_input() -> Result<Vec<u8>, CliError> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(CliError::usage("there is no value, and standard input is a terminal")
            .hint("give the value, @FILE, or send it through a pipe"));
    }
    let bytes = bounded(input.lock())
        .map_err(|error| CliError::file(Path::new("standard input"), "read", &error))?;
    bytes.ok_or_else(|| too_large("standard input"))
}

/// All bytes, or `None` where they are more than any value has.
fn bounded(from: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(MAX_COMMAND_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= MAX_COMMAND_BYTES).then_some(bytes))
}

fn too_large(source: &str) -> CliError {
    CliError::new(
        Code::TooLarge,
        format!("{source} has more than {MAX_COMMAND_BYTES} bytes, which no value may have"),
    )
    .hint("nothing was sent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_length_between_its_bounds() {
        assert_eq!(key(OsStr::new("k")).unwrap(), b"k");
        assert_eq!(key(OsStr::new("")).unwrap_err().code(), Code::Usage);
        let long = OsString::from("x".repeat(MAX_KEY_BYTES as usize + 1));
        assert_eq!(key(&long).unwrap_err().code(), Code::TooLarge);
    }

    #[test]
    fn a_value_is_itself_or_what_is_in_a_file() {
        let itself = |text: &str, literal| value(Some(&OsString::from(text)), literal);
        assert_eq!(itself("v", false).unwrap(), b"v");
        assert_eq!(itself("@v", true).unwrap(), b"@v");
        assert_eq!(itself("-", true).unwrap(), b"-");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"\x00\xff\n").unwrap();
        let path = format!("@{}", file.path().display());
        assert_eq!(itself(&path, false).unwrap(), b"\x00\xff\n");
        let error = itself("@/nowhere/at/all", false).unwrap_err();
        assert_eq!(error.code(), Code::LocalIo);
        assert!(error.json().contains("/nowhere/at/all"), "{}", error.json());
    }
}
