//! One entry: as a line, as a JSON object, and what its payload says.

use raft_node::kv::{Command, Expected, FeatureLevel, Operation, Point, SessionPart, Settings};
use raft_node::model::{ByteReader, Configuration, EntryKind, Founding};
use raft_node::storage::StoredEntry;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::commands::seats::{seats_json, seats_text};
use crate::output::{self, Align, Blob, Column, Output};

/// How the lines of `log dump` are laid out.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// All columns, and data as long as they are.
    Whole,
    /// Lines of so many columns.
    Within(usize),
}

/// So much of the data is shown however little room there is: where a line doesn't fit anyway,
/// some of them are better than none.
const LEAST_DATA: usize = 24;

impl Layout {
    pub(super) fn of(out: &Output, full: bool) -> Layout {
        match out.is_terminal() && !full {
            true => Layout::Within(out.width()),
            false => Layout::Whole,
        }
    }

    /// Whether size, checksum and place are left out, so that there is room for the data.
    fn is_narrow(self) -> bool {
        matches!(self, Layout::Within(width) if width < 120)
    }

    /// The columns of `log dump`.
    pub(super) fn header(self) -> String {
        let names = ["index", "term", "time", "bytes", "crc", "segment:offset", "type", "data"];
        self.join(&names.map(str::to_owned))
    }

    /// An entry as a line of `log dump`.
    pub(super) fn line(self, entry: &StoredEntry) -> String {
        let mut cells = [
            entry.header.id.index.0.to_string(),
            entry.header.id.term.0.to_string(),
            output::wall_time(entry.header.time.0),
            entry.encoded_bytes.to_string(),
            format!("{:08x}", entry.checksum),
            place(entry),
            String::new(),
            String::new(),
        ];
        let head = |cells: &[String; 8]| output::columns(&self.join(cells));
        let room = match self {
            Layout::Whole => None,
            Layout::Within(width) => Some(width.saturating_sub(head(&cells)).max(LEAST_DATA)),
        };
        let told = Told::within(entry, room);
        // A long word for the kind takes its room from the data.
        let data = room.map(|room| (room + 5).saturating_sub(told.kind.len().max(5)));
        cells[6] = told.kind;
        cells[7] = match data {
            Some(room) => shortened(&told.text, room.max(LEAST_DATA)),
            None => told.text,
        };
        self.join(&cells).trim_end().to_owned()
    }

    fn join(self, cells: &[String; 8]) -> String {
        let [index, term, time, bytes, crc, place, kind, data] = cells;
        match self.is_narrow() {
            true => format!("{index:<8} {term:<5} {time:<24} {kind:<5} {data}"),
            false => format!(
                "{index:<8} {term:<5} {time:<24} {bytes:>8}  {crc:<8}  {place:<19}  {kind:<5} {data}"
            ),
        }
    }
}

/// An entry, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct EntryObject<'a> {
    index: u64,
    term: u64,
    time: String,
    time_nanoseconds: u64,
    #[serde(rename = "type")]
    kind: String,
    bytes: u32,
    crc: String,
    segment: &'a str,
    offset: u64,
    ends_block: bool,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl EntryObject<'_> {
    pub(super) fn new(entry: &StoredEntry) -> EntryObject<'_> {
        let told = Told::of(entry);
        EntryObject {
            index: entry.header.id.index.0,
            term: entry.header.id.term.0,
            time: output::wall_time(entry.header.time.0),
            time_nanoseconds: entry.header.time.0,
            kind: told.kind,
            bytes: entry.encoded_bytes,
            crc: format!("{:08x}", entry.checksum),
            segment: &entry.segment,
            offset: entry.offset,
            ends_block: entry.ends_block,
            fields: told.fields,
        }
    }
}

/// `...880001:0x00ffe10`: the end of the segment's ordinal and first index, and the offset in it.
fn place(entry: &StoredEntry) -> String {
    let name = entry.segment.strip_suffix(".seg").unwrap_or(&entry.segment);
    let tail: String = name.chars().skip(name.chars().count().saturating_sub(6)).collect();
    format!("...{tail}:{:#09x}", entry.offset)
}

fn shortened(text: &str, room: usize) -> String {
    if output::columns(text) <= room {
        return text.to_owned();
    }
    let mut cut = String::new();
    for letter in text.chars() {
        cut.push(letter);
        if output::columns(&cut) + 3 > room {
            cut.pop();
            break;
        }
    }
    cut + "..."
}

/// What the payload says.
pub(super) struct Told {
    /// The word for it: that of the command, else that of the kind of entry.
    pub(super) kind: String,
    /// For people, on one line.
    pub(super) text: String,
    /// For programs.
    pub(super) fields: Map<String, Value>,
}

impl Told {
    pub(super) fn of(entry: &StoredEntry) -> Told {
        Told::within(entry, None)
    }

    /// The same, with keys and values cut so that the text takes about `room` columns.
    fn within(entry: &StoredEntry, room: Option<usize>) -> Told {
        let kind = entry.header.kind;
        let told = match kind {
            EntryKind::COMMAND => Command::decode(&entry.payload).ok().map(|c| command(&c, room)),
            EntryKind::FOUNDING => Founding::decode(&entry.payload).ok().map(|f| founding(&f)),
            EntryKind::CONFIGURATION => configuration_entry(&entry.payload),
            EntryKind::SETTINGS => Settings::decode(&entry.payload).ok().map(settings),
            EntryKind::POINT => Point::decode(&entry.payload).ok().map(point),
            EntryKind::FEATURE_LEVEL => {
                FeatureLevel::decode(&entry.payload).ok().map(|level| feature_level(&level))
            }
            EntryKind::NOOP => Some(Told::new("noop", String::new(), json!({}))),
            _ => None,
        };
        told.unwrap_or_else(|| unreadable(entry))
    }

    fn new(kind: &str, text: String, fields: Value) -> Told {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Told { kind: kind.to_owned(), text, fields }
    }
}

/// A kind or layout that this version doesn't know.
fn unreadable(entry: &StoredEntry) -> Told {
    let number = entry.header.kind.0;
    let kind = entry.header.kind.name().map_or_else(|| format!("kind {number}"), str::to_owned);
    let text = format!("not known to this version: {}", output::quoted_within(&entry.payload, 60));
    Told::new(&kind, text, json!({ "payload": Blob(&entry.payload), "known": false }))
}

fn command(command: &Command<'_>, room: Option<usize>) -> Told {
    match command {
        Command::Change { session, operation } => {
            change(session.as_ref(), operation, command.name(), room)
        }
        Command::OpenSession(id) | Command::CloseSession(id) => {
            let text =
                format!("{} opened {}", output::quoted(id.name), output::wall_time(id.opened_at.0));
            let fields = json!({
                "session": Blob(id.name),
                "opened_at": id.opened_at.0,
            });
            Told::new(command.name(), text, fields)
        }
    }
}

fn change(
    session: Option<&SessionPart<'_>>,
    operation: &Operation<'_>,
    name: &str,
    room: Option<usize>,
) -> Told {
    let mut fields = json!({ "key": Blob(operation.key()) });
    match operation {
        Operation::Put { value, .. } => fields["value"] = json!(Blob(value)),
        Operation::Delete { .. } => {}
        Operation::CompareAndSwap { expected, value, .. } => {
            fields["value"] = json!(Blob(value));
            match expected {
                Expected::Absent => fields["expected_absent"] = json!(true),
                Expected::Value(old) => fields["expected_value"] = json!(Blob(old)),
                Expected::Version(version) => fields["expected_version"] = json!(version),
            }
        }
        Operation::Increment { by, .. } => fields["by"] = json!(by),
    }
    let mut behind = String::new();
    if let Some(part) = session {
        behind = format!("  [{} #{}]", output::quoted(part.id.name), part.number);
        fields["session"] = json!(Blob(part.id.name));
        fields["opened_at"] = json!(part.id.opened_at.0);
        fields["number"] = json!(part.number);
        fields["lowest"] = json!(part.lowest);
    }
    let room = room.map(|room| room.saturating_sub(output::columns(&behind)));
    Told::new(name, operation_text(operation, room) + &behind, fields)
}

/// What an operation does, in about `room` columns.
fn operation_text(operation: &Operation<'_>, room: Option<usize>) -> String {
    let shown = |bytes: &[u8], room: Option<usize>| match room {
        Some(room) => output::quoted_within(bytes, room),
        None => output::quoted(bytes),
    };
    let part = |of: Option<usize>, taken: usize, parts: usize| {
        of.map(|room| room.saturating_sub(taken) / parts)
    };
    let key = match operation {
        Operation::Delete { .. } => return shown(operation.key(), room),
        _ => shown(operation.key(), part(room, 0, 2)),
    };
    let taken = output::columns(&key);
    match operation {
        Operation::Put { value, .. } => {
            format!("{key} = {}", shown(value, part(room, taken + 3, 1)))
        }
        Operation::CompareAndSwap { expected, value, .. } => {
            let half = part(room, taken + 5, 2);
            let old = match expected {
                Expected::Absent => "absent".to_owned(),
                Expected::Value(old) => shown(old, half),
                Expected::Version(version) => format!("version {version}"),
            };
            format!("{key} {old} -> {}", shown(value, half))
        }
        Operation::Increment { by, .. } => format!("{key} {by:+}"),
        Operation::Delete { .. } => key,
    }
}

fn founding(founding: &Founding) -> Told {
    let text = format!(
        "cluster {} \"{}\" epoch {} by node {}: {}",
        founding.cluster,
        founding.name.escape_debug(),
        founding.epoch,
        founding.founder,
        seats_text(founding.configuration.seats())
    );
    let fields = json!({
        "cluster": founding.cluster.to_string(),
        "epoch": founding.epoch.0,
        "founder": founding.founder.number(),
        "cluster_name": founding.name,
        "seats": seats_json(founding.configuration.seats()),
        "settings": Settings::decode(&founding.settings).ok().map(settings_json),
    });
    Told::new("founding", text, fields)
}

fn configuration_entry(payload: &[u8]) -> Option<Told> {
    let mut reader = ByteReader::new(payload);
    let configuration = Configuration::decode(&mut reader).ok()?;
    reader.finish().ok()?;
    let fields = json!({ "seats": seats_json(configuration.seats()) });
    Some(Told::new("configuration", seats_text(configuration.seats()), fields))
}

fn settings(settings: Settings) -> Told {
    let text = format!(
        "session timeout {}, {} sessions, {} of answers",
        output::seconds(settings.session_timeout),
        settings.max_sessions,
        output::bytes(settings.max_answer_bytes)
    );
    Told::new("settings", text, settings_json(settings))
}

fn settings_json(settings: Settings) -> Value {
    json!({
        "session_timeout_seconds": settings.session_timeout.as_secs_f64(),
        "max_sessions": settings.max_sessions,
        "max_answer_bytes": settings.max_answer_bytes,
    })
}

fn point(point: Point) -> Told {
    let text = if point.snapshot { "hash and snapshot here" } else { "hash here" };
    Told::new("point", text.to_owned(), json!({ "snapshot": point.snapshot }))
}

fn feature_level(level: &FeatureLevel<'_>) -> Told {
    let text = format!("{} (known from version {} on)", level.level, level.version);
    let fields = json!({ "feature_level": level.level, "since_version": level.version });
    Told::new("feature_level", text, fields)
}

/// The columns of a table of kinds.
pub(super) const KINDS: &[Column] = &[
    ("TYPE", Align::Left),
    ("ENTRIES", Align::Right),
    ("SHARE", Align::Right),
    ("BYTES", Align::Right),
    ("MEAN", Align::Right),
    ("LARGEST", Align::Right),
];
