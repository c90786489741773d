//! The reference of raft.ini, made from the tables of keys.

use std::fmt::Write;

use super::keys::{Fallback, Key};
use super::table;

/// The reference of raft.ini in Markdown: the format, and every key with its meaning, range and
/// default.
#[must_use]
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    section(&mut page, "[Cluster]", "What all nodes share.", table::CLUSTER);
    section(&mut page, "[Storage]", "The log on disk.", table::STORAGE);
    section(&mut page, "[Snapshot]", "When the log is replaced by a snapshot.", table::SNAPSHOT);
    section(&mut page, "[Client]", "Limits at the clients' door.", table::CLIENT);
    page.push_str(NODES);
    section(&mut page, "[Node.X]", "One section for each label X in [Nodes].", table::NODE);
    page
}

fn section<T>(page: &mut String, name: &str, meaning: &str, keys: &[Key<T>]) {
    let mut text = format!("\n## {name}\n\n{meaning}\n\n| Key | Allowed | Default | Meaning |\n");
    text.push_str("|---|---|---|---|\n");
    for Key { name, default, kind, doc } in keys {
        let default = match default {
            Fallback::Text(text) => format!("`{text}`"),
            Fallback::Absent(meaning) => (*meaning).to_owned(),
            Fallback::Required => "must be given".to_owned(),
        };
        writeln!(text, "| `{name}` | {kind} | {default} | {doc} |")
            .expect("a string takes any text");
    }
    page.push_str(&text);
}

const INTRODUCTION: &str = "\
# raft.ini

The file that `raft` and `raft-ctl` read. It is the same file on every node. Once a cluster has
formed, the configuration in its log rules; the file then names addresses and sets what follows.

`raft -c raft.ini --check-config` prints the configuration that holds and where each value comes
from, or all mistakes of the file with their places. This page is made from the same tables.

## Format

The format of Python's `configparser`:

- `[Section]` on a line of its own, written exactly as below. A section appears once.
- `Key = Value` or `Key: Value`. Keys may be written in any case; a key appears once in a section.
- A line that begins with `#` or `;` is a comment. Behind a value there are no comments.
- `%%` is a percent sign. References such as `%(name)s`, the section `[DEFAULT]` and values that
  go on over indented lines are errors.
- The file is UTF-8, with or without a byte order mark, and at most 256 KiB. Lines may end in LF, CR
  LF or CR.

Values:

- switches: `True` or `False`, or `yes`, `no`, `on`, `off`, `1`, `0`, in any case;
- durations: a whole number with `ms`, `s`, `m`, `h` or `d`; a bare number is milliseconds;
- sizes: a whole number with `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024), `KB`, `MB`, `GB`, `TB`
  (powers of 1000) or `B`; a bare number is bytes;
- relative paths are relative to the working directory.

## What stands above the file

A flag holds before the environment, that before the file, and that before the default.

- Flags: `--set Section.Key=Value`, as in `--set Cluster.ElectionTimeout=2s` or
  `--set Node.A.Port=4000`; for the node that is started also `--host`, `--port` and `--data`
  (that node's `DataDirectory`). The last one given holds.
- Environment: `RAFT_` with section and key in capitals, and `_` for each character that isn't a
  letter or digit: `RAFT_CLUSTER_ELECTIONTIMEOUT`, `RAFT_NODE_A_PORT`. A variable of this kind that
  names no key is warned of and has no effect. `RAFT_CLIENT_ID` is a flag of `raft-ctl`.

[Nodes] can be changed in the file only.
";

const NODES: &str = "
## [Nodes]

`NodeN = X` gives the number N (1..65535; gaps are allowed) to the node of the section
[Node.X]. There are 1 to 64 nodes. The number names the node for ever: don't give that of a removed
node to another host. X is the node's label: 1..64 letters, digits, `-`, `_` or `.`, not all
digits. Labels that differ only in case or punctuation are an error.
";
