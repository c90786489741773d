//! Reads the dialect of Python's `configparser`: sections, keys and values, each with its place.
//!
//! A file is read as `ConfigParser().read(path, encoding="utf-8-sig")` reads it: whole-line
//! comments begin with `#` or `;`, `=` or `:` stands between key and value, keys are compared in
//! lower case, sections as written, and `%%` is a percent sign. What that reader would fold
//! together silently is a mistake here: `[DEFAULT]`, values over several lines and `%(name)s`.
//!
//! Reading never stops at a mistake. Each is noted, and the rest of the file is read.

use std::collections::HashMap;

use super::diagnostics::printable;

/// A place in the file; both numbers count from 1, the column in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A line `key = value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// The key as it is written.
    pub(super) key: String,
    pub(super) key_at: Position,
    /// The value without surrounding white space, `%%` folded to `%`; `None` after a mistake.
    pub(super) value: Option<String>,
    pub(super) value_at: Position,
}

/// A section and what stands in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) entries: Vec<Entry>,
    pub(super) standing: Standing,
}

/// Whether what stands in a section counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// The first section of its name.
    Good,
    /// A section of this name came before. Its keys are checked and don't count.
    Repeated,
    /// The header is a mistake, and its keys say nothing.
    Broken,
}

/// A finding of the reader; all of them are errors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mistake {
    pub(super) at: Position,
    pub(super) message: String,
}

/// What was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Document {
    pub(super) sections: Vec<Section>,
    pub(super) mistakes: Vec<Mistake>,
    /// The lines of the file, for messages; bytes that aren't UTF-8 are replaced.
    pub(super) lines: Vec<String>,
}

/// Reads a whole file. Total: any bytes give a document.
pub(super) fn read(bytes: &[u8]) -> Document {
    let mut reader = Reader::default();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (number, line) in (1..).zip(lines(bytes)) {
        reader.lines.push(String::from_utf8_lossy(line).into_owned());
        match std::str::from_utf8(line) {
            Ok(text) => reader.line(number, text),
            Err(error) => reader.not_utf8(number, line, error.valid_up_to()),
        }
    }
    reader.finish()
}

/// The key in the form in which keys are compared.
pub(super) fn folded(key: &str) -> String {
    key.to_lowercase()
}

#[derive(Default)]
struct Reader {
    sections: Vec<Section>,
    mistakes: Vec<Mistake>,
    lines: Vec<String>,
    /// The line of each section's first header, by name.
    headers: HashMap<String, u32>,
    /// The line of each key of the section being read, by folded name.
    keys: HashMap<String, u32>,
    /// The indent of the last header or key. What stands deeper behind a key continues it.
    indent: usize,
    in_value: bool,
    orphan_seen: bool,
}

impl Reader {
    fn line(&mut self, number: u32, line: &str) {
        let text = line.trim_matches(is_space);
        if text.is_empty() || text.starts_with(['#', ';']) {
            return;
        }
        let indent = line.chars().take_while(|character| is_space(*character)).count();
        let column = column_after(indent);
        if let Some(offset) = text.chars().position(|c| c.is_control() && c != '\t') {
            let found = text.chars().nth(offset).unwrap_or_default();
            let message =
                format!("control character U+{:04X}; a value is plain text", u32::from(found));
            self.mistake(number, column_after(indent + offset), message);
            return;
        }
        if self.in_value && indent > self.indent {
            let message = "an indented line continues the value above it, and no value here \
                           goes over several lines; take the indent away";
            self.mistake(number, column, message.to_owned());
            // What was merely indented is still looked at, so that it isn't missed too.
            if text.starts_with('[') {
                self.header(number, indent, text);
            } else if text.contains(['=', ':']) {
                self.entry(number, indent, text);
            }
            return;
        }
        self.indent = indent;
        if text.starts_with('[') {
            self.header(number, indent, text);
        } else {
            self.entry(number, indent, text);
        }
    }

    fn header(&mut self, number: u32, indent: usize, text: &str) {
        let column = column_after(indent);
        self.in_value = false;
        self.keys.clear();
        let Some((name, rest)) = text[1..].rsplit_once(']') else {
            self.mistake(number, column, "the section header has no closing \"]\"".to_owned());
            self.open("", number, column, Standing::Broken);
            return;
        };
        let rest = rest.trim_matches(is_space);
        if !rest.is_empty() && !rest.starts_with(['#', ';']) {
            let message = format!("\"{}\" stands behind the section header", printable(rest));
            self.mistake(number, column, message);
        }
        let first = self.headers.get(name).copied();
        let (standing, message) = match (name, first) {
            ("", _) => (Standing::Broken, "a section needs a name".to_owned()),
            ("DEFAULT", _) => {
                let message = "[DEFAULT] isn't supported: each key stands in its own section";
                (Standing::Broken, message.to_owned())
            }
            (_, Some(first)) => {
                let name = printable(name);
                let message =
                    format!("section [{name}] appears twice; the first is on line {first}");
                (Standing::Repeated, message)
            }
            (_, None) => {
                self.headers.insert(name.to_owned(), number);
                self.open(name, number, column, Standing::Good);
                return;
            }
        };
        self.mistake(number, column, message);
        self.open(name, number, column, standing);
    }

    fn open(&mut self, name: &str, line: u32, column: u32, standing: Standing) {
        let at = Position { line, column };
        let name = name.to_owned();
        self.sections.push(Section { name, at, entries: Vec::new(), standing });
    }

    fn entry(&mut self, number: u32, indent: usize, text: &str) {
        let column = column_after(indent);
        if self.sections.is_empty() {
            // One finding is enough: in a file of another kind each line would give one.
            if !self.orphan_seen {
                self.orphan_seen = true;
                let message = "this stands before the first section, such as [Cluster]";
                self.mistake(number, column, message.to_owned());
            }
            return;
        }
        let Some((key, value)) = text.split_once(['=', ':']) else {
            let message = format!(
                "\"{}\" is neither a section, a key with \"=\" or \":\", nor a comment",
                printable(text)
            );
            self.mistake(number, column, message);
            return;
        };
        let value_start = text.len() - value.trim_start_matches(is_space).len();
        let value_column = column_after(indent + text[..value_start].chars().count());
        let key = key.trim_end_matches(is_space);
        if key.is_empty() {
            self.mistake(number, column, "a key is missing before the value".to_owned());
            return;
        }
        self.in_value = true;
        if let Some(first) = self.keys.get(&folded(key)).copied() {
            let key = printable(key);
            let message = format!("key \"{key}\" appears twice; the first is on line {first}");
            self.mistake(number, column, message);
            return;
        }
        self.keys.insert(folded(key), number);
        let value = percent_folded(value.trim_matches(is_space))
            .map_err(|message| self.mistake(number, value_column, message.to_owned()))
            .ok();
        if let Some(section) = self.sections.last_mut() {
            section.entries.push(Entry {
                key: key.to_owned(),
                key_at: Position { line: number, column },
                value,
                value_at: Position { line: number, column: value_column },
            });
        }
    }

    fn not_utf8(&mut self, number: u32, line: &[u8], offset: usize) {
        let before = String::from_utf8_lossy(&line[..offset]).chars().count();
        let byte = line.get(offset).copied().unwrap_or_default();
        let message = format!("byte 0x{byte:02x} isn't UTF-8; save the file as UTF-8");
        self.mistake(number, column_after(before), message);
    }

    fn mistake(&mut self, line: u32, column: u32, message: String) {
        self.mistakes.push(Mistake { at: Position { line, column }, message });
    }

    fn finish(self) -> Document {
        Document { sections: self.sections, mistakes: self.mistakes, lines: self.lines }
    }
}

/// Splits at `\n`, `\r\n` and `\r`, as Python's text files do.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..end];
        let ending = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[end + ending..];
        Some(line)
    })
}

/// White space as Python's `str.strip` knows it: four separators more than Unicode's.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

fn column_after(characters: usize) -> u32 {
    u32::try_from(characters).unwrap_or(u32::MAX).saturating_add(1)
}

/// Undoes the doubling of percent signs.
fn percent_folded(value: &str) -> Result<String, &'static str> {
    let mut folded = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        folded.push(character);
        if character == '%' {
            match characters.next() {
                Some('%') => {}
                Some('(') => return Err("%(...)s isn't supported; write the value out"),
                _ => return Err("a single \"%\"; write \"%%\" for a percent sign"),
            }
        }
    }
    Ok(folded)
}
