//! One line of the log for one event.
//!
//! An event's message is its word; what else is known about it are key-value pairs. The pairs
//! `term` and `role` have places of their own.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use env_logger::fmt::style::{Effects, Style};
use log::Record;
use log::kv::{self, Error, Key, Value, VisitSource, VisitValue};
use raft_node::model::NodeId;

use super::arguments::LogFormat;

/// Who speaks.
#[derive(Clone, Debug)]
pub(crate) enum Speaker {
    /// A node.
    Node {
        /// Its number.
        id: NodeId,
        /// Its label.
        label: String,
    },
    /// The process that runs several nodes.
    Supervisor,
}

/// Writes a line for people: time, level, node, term, role, event, then `key=value` for each
/// pair. What isn't known is `-`.
pub(crate) fn text(
    out: &mut impl Write,
    time: &impl Display,
    style: Style,
    speaker: &Speaker,
    record: &Record<'_>,
) -> io::Result<()> {
    let pairs = Pairs::of(record);
    let level = record.level().as_str().to_lowercase();
    let label = match speaker {
        Speaker::Node { label, .. } => label,
        Speaker::Supervisor => "-",
    };
    let term = pairs.term.as_ref().map_or("-", |term| term.plain());
    let role = pairs.role.as_ref().map_or("-", |role| role.plain());
    let bold = if style == Style::new() { style } else { Style::new().effects(Effects::BOLD) };
    write!(out, "{time} {style}{level:<5}{style:#} {label} {term} {role:<9} ")?;
    write!(out, "{bold}{}{bold:#}", OneLine(&record.args().to_string()))?;
    for (key, value) in &pairs.others {
        // To people, what was not repeated says nothing.
        if (key.as_ref(), value.plain()) == ("repeated", "0") {
            continue;
        }
        write!(out, " {key}={}", Quoted(value.plain()))?;
    }
    writeln!(out)
}

/// Writes a line for programs: one JSON object.
pub(crate) fn json(
    out: &mut impl Write,
    time: &impl Display,
    speaker: &Speaker,
    record: &Record<'_>,
) -> io::Result<()> {
    let pairs = Pairs::of(record);
    let level = record.level().as_str().to_lowercase();
    write!(out, "{{\"v\":1,\"time\":\"{time}\",\"level\":\"{level}\"")?;
    if let Speaker::Node { id, label } = speaker {
        write!(out, ",\"node\":{id},\"label\":{}", Json(label))?;
    }
    let known = [("term", &pairs.term), ("role", &pairs.role)];
    for (key, value) in known.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        write!(out, ",\"{key}\":{value}")?;
    }
    write!(out, ",\"event\":{}", Json(&record.args().to_string()))?;
    for (key, value) in &pairs.others {
        write!(out, ",{}:{value}", Json(key))?;
    }
    writeln!(out, "}}")
}

/// Says that `count` lines are missing here.
pub(crate) fn gap(format: LogFormat, count: u64) -> String {
    match format {
        LogFormat::Text => format!("{count} lines are missing here: the log's reader is slow\n"),
        LogFormat::Json => format!("{{\"v\":1,\"event\":\"lines_missing\",\"count\":{count}}}\n"),
    }
}

/// What is known about an event.
#[derive(Default)]
struct Pairs {
    term: Option<Scalar>,
    role: Option<Scalar>,
    others: Vec<(String, Scalar)>,
}

impl Pairs {
    fn of(record: &Record<'_>) -> Pairs {
        let mut pairs = Pairs::default();
        // Our own visitor refuses nothing.
        let _ = record.key_values().visit(&mut pairs);
        pairs
    }
}

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let mut scalar = Scalar::Text(String::new());
        value.visit(&mut scalar)?;
        match key.as_str() {
            "term" => self.term = Some(scalar),
            "role" => self.role = Some(scalar),
            other => self.others.push((other.to_owned(), scalar)),
        }
        Ok(())
    }
}

/// A value of a pair; shown as JSON.
enum Scalar {
    /// A number, `true` or `false`: the same in text and in JSON.
    Bare(String),
    /// Anything else.
    Text(String),
}

impl Scalar {
    fn plain(&self) -> &str {
        let (Scalar::Bare(text) | Scalar::Text(text)) = self;
        text
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bare(text) => f.write_str(text),
            Scalar::Text(text) => Json(text).fmt(f),
        }
    }
}

impl<'v> VisitValue<'v> for Scalar {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        *self = Scalar::Text(value.to_string());
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        *self = Scalar::Bare("null".to_owned());
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        *self = Scalar::Bare(value.to_string());
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        *self = Scalar::Bare(value.to_string());
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        *self = match value.is_finite() {
            true => Scalar::Bare(value.to_string()),
            false => Scalar::Text(value.to_string()),
        };
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        *self = Scalar::Bare(value.to_string());
        Ok(())
    }
}

/// Text as a value: bare where nothing in it could be misread, else in quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=');
        if !self.0.is_empty() && self.0.chars().all(bare) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", OneLine(&self.0.replace('\\', "\\\\").replace('"', "\\\"")))
    }
}

/// Text without anything that could begin a line of its own or drive a terminal.
struct OneLine<'a>(&'a str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                _ if character.is_control() => write!(f, "{}", character.escape_default())?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// Text as a JSON string.
struct Json<'a>(&'a str);

impl Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                _ if character < ' ' || character == '\x7f' => {
                    write!(f, "\\u{:04x}", u32::from(character))?;
                }
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    const TIME: &str = "2026-11-23T13:05:17.204Z";

    fn record_of(event: &str, pairs: &[(&str, Value<'_>)], check: impl Fn(&Record<'_>, &Speaker)) {
        let id = NodeId::new(3).expect("not 0");
        let speaker = Speaker::Node { id, label: "C".to_owned() };
        let args = format_args!("{event}");
        let mut record = Record::builder();
        check(&record.args(args).level(Level::Info).key_values(&pairs).build(), &speaker);
    }

    #[track_caller]
    fn check_text(event: &str, pairs: &[(&str, Value<'_>)], expected: &str) {
        record_of(event, pairs, |record, speaker| {
            let mut line = Vec::new();
            text(&mut line, &TIME, Style::new(), speaker, record).expect("room");
            assert_eq!(String::from_utf8(line).expect("text"), format!("{TIME} {expected}\n"));
        });
    }

    #[track_caller]
    fn check_json(event: &str, pairs: &[(&str, Value<'_>)], expected: &str) {
        record_of(event, pairs, |record, speaker| {
            let mut line = Vec::new();
            json(&mut line, &TIME, speaker, record).expect("room");
            let expected = format!(
                "{{\"v\":1,\"time\":\"{TIME}\",\"level\":\"info\",\"node\":3,\"label\":\"C\",{expected}}}\n"
            );
            assert_eq!(String::from_utf8(line).expect("text"), expected);
        });
    }

    #[test]
    fn term_and_role_have_places_of_their_own() {
        let pairs =
            [("candidate", Value::from("B")), ("term", 7_u64.into()), ("role", "follower".into())];
        check_text("voted", &pairs, "info  C 7 follower  voted candidate=B");
        let expected = r#""term":7,"role":"follower","event":"voted","candidate":"B""#;
        check_json("voted", &pairs, expected);
    }

    #[test]
    fn people_are_told_of_repetitions_where_there_were_any() {
        let pairs = [("peer", Value::from(2)), ("repeated", Value::from(3))];
        check_text("gone", &pairs, "info  C - -         gone peer=2 repeated=3");
        let pairs = [("peer", Value::from(2)), ("repeated", Value::from(0))];
        check_text("gone", &pairs, "info  C - -         gone peer=2");
        check_json("gone", &pairs, r#""event":"gone","peer":2,"repeated":0"#);
    }

    #[test]
    fn what_is_not_known_is_a_dash_or_left_out() {
        check_text("listening", &[], "info  C - -         listening");
        check_json("listening", &[], r#""event":"listening""#);
    }

    #[test]
    fn values_that_could_be_misread_stand_in_quotes() {
        let pairs =
            [("reason", Value::from("a \"bad\" one")), ("path", "a=b".into()), ("text", "".into())];
        let expected = r#"info  C - -         dropped reason="a \"bad\" one" path="a=b" text="""#;
        check_text("dropped", &pairs, expected);
        let expected = r#""event":"dropped","reason":"a \"bad\" one","path":"a=b","text":"""#;
        check_json("dropped", &pairs, expected);
    }

    #[test]
    fn numbers_and_switches_are_bare_in_json() {
        let pairs = [
            ("count", Value::from(-3_i64)),
            ("took_seconds", 0.25.into()),
            ("durable", true.into()),
        ];
        check_text(
            "synced",
            &pairs,
            "info  C - -         synced count=-3 took_seconds=0.25 durable=true",
        );
        check_json(
            "synced",
            &pairs,
            r#""event":"synced","count":-3,"took_seconds":0.25,"durable":true"#,
        );
        check_json("odd", &[("rate", f64::NAN.into())], r#""event":"odd","rate":"NaN""#);
    }

    #[test]
    fn nothing_from_outside_breaks_the_line_or_drives_the_terminal() {
        let pairs = [("name", Value::from("a\nb\x1b[2J"))];
        check_text(
            "hello\rthere",
            &pairs,
            r#"info  C - -         hello\rthere name="a\nb\u{1b}[2J""#,
        );
        check_json("hello", &pairs, r#""event":"hello","name":"a\nb\u001b[2J""#);
    }
}
