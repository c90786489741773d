//! The key-value commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::parse;

/// `get`
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// The keys
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<OsString>,
    /// Write the bytes of the value and nothing else (one key)
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    /// Whole values also on a terminal, unprintable bytes escaped
    #[arg(long)]
    pub(crate) full: bool,
}

/// `put`
#[derive(Args, Debug)]
#[command(
    override_usage = "raft-ctl put [OPTIONS] KEY [VALUE|-|@FILE]",
    after_help = "Without VALUE, or with -, the value is what stands on standard input, byte for \
                  byte.\n\nThe answer tells the version: 1 for a new key, one more with each \
                  change."
)]
pub(crate) struct PutArgs {
    /// The key
    pub(crate) key: OsString,
    /// The value; - is standard input, @FILE what is in a file
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: Option<OsString>,
    /// Take VALUE as it is, also where it is - or begins with @
    #[arg(long)]
    pub(crate) literal: bool,
}

/// `del`
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// The keys
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<OsString>,
}

/// `cas`
#[derive(Args, Debug)]
#[command(
    override_usage = "raft-ctl cas [OPTIONS] KEY OLD NEW\n       \
                      raft-ctl cas [OPTIONS] KEY NEW --absent\n       \
                      raft-ctl cas [OPTIONS] KEY NEW --version N",
    after_help = "OLD and NEW are values, - for standard input, or @FILE. Where the key has \
                  another value, nothing is changed, the value that it has is printed, and the \
                  exit code is 1."
)]
pub(crate) struct CasArgs {
    /// The key
    pub(crate) key: OsString,
    /// The value that is expected; with --absent or --version, the new one
    #[arg(allow_negative_numbers = true)]
    pub(crate) old: OsString,
    /// The value to put in its place
    #[arg(allow_negative_numbers = true)]
    pub(crate) new: Option<OsString>,
    /// Only if there is no such key
    #[arg(long, conflicts_with = "version")]
    pub(crate) absent: bool,
    /// Only if the key has this version
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) version: Option<u64>,
    /// Take OLD and NEW as they are, also where one is - or begins with @
    #[arg(long)]
    pub(crate) literal: bool,
}

/// `incr`
#[derive(Args, Debug)]
pub(crate) struct IncrementArgs {
    /// The key
    pub(crate) key: OsString,
    /// How much to add; may be negative
    #[arg(default_value = "1", allow_negative_numbers = true, value_parser = parse::summand)]
    pub(crate) by: i64,
}

/// `scan`
#[derive(Args, Debug)]
pub(crate) struct ScanArgs {
    /// Only keys that begin with this
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: OsString,
    /// At most so many keys
    #[arg(long, value_name = "N", value_parser = parse::count)]
    pub(crate) limit: Option<u64>,
    /// Begin at this key
    #[arg(long, value_name = "KEY")]
    pub(crate) from: Option<OsString>,
    /// Leave the values out
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// Whole values, also where a terminal is too narrow
    #[arg(long)]
    pub(crate) full: bool,
}

/// `import`
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The file, or - for standard input
    pub(crate) file: PathBuf,
    /// How many connections to use
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub(crate) clients: u16,
}

/// `export`
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// Only keys that begin with this
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: OsString,
}
