//! What the nodes write into their logs, taken in as it is written, for timelines and for the
//! markers of rare states; and what was overheard of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;

use log::kv::{Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};

use super::ear::Heard;

thread_local! {
    static PAGE: RefCell<Page> = const { RefCell::new(Page::new()) };
}

/// What was written in this world so far and isn't taken.
#[derive(Debug)]
struct Page {
    keeps_lines: bool,
    lines: Vec<String>,
    timeline: Vec<String>,
    heard: Vec<Heard>,
    markers: BTreeMap<Mark, u64>,
}

/// An event of a node's and the reason it gives.
pub(crate) type Mark = (&'static str, &'static str);

impl Page {
    const fn new() -> Page {
        Page {
            keeps_lines: false,
            lines: Vec::new(),
            timeline: Vec::new(),
            heard: Vec::new(),
            markers: BTreeMap::new(),
        }
    }
}

struct Writer;

static WRITER: Writer = Writer;

/// Begins a new page; with `keeps_lines` every line is kept as text.
pub(crate) fn begin(keeps_lines: bool) {
    // Whoever comes second finds the same writer in place.
    let _ = log::set_logger(&WRITER);
    log::set_max_level(LevelFilter::Debug);
    PAGE.with_borrow_mut(|page| {
        *page = Page::new();
        page.keeps_lines = keeps_lines;
    });
}

/// The lines that were written since they were last taken.
pub(crate) fn take_lines() -> Vec<String> {
    PAGE.with_borrow_mut(|page| std::mem::take(&mut page.lines))
}

/// Adds a line to the timeline.
pub(crate) fn add_to_timeline(line: String) {
    PAGE.with_borrow_mut(|page| page.timeline.push(line));
}

/// The timeline so far.
pub(crate) fn take_timeline() -> Vec<String> {
    let take = |page: &RefCell<Page>| match page.try_borrow_mut() {
        Ok(mut page) => std::mem::take(&mut page.timeline),
        // A node was just writing when it ended.
        Err(_) => Vec::new(),
    };
    PAGE.with(take)
}

/// Something was overheard.
pub(crate) fn heard(heard: Heard) {
    PAGE.with_borrow_mut(|page| page.heard.push(heard));
}

/// What was overheard since it was last taken.
pub(crate) fn take_heard() -> Vec<Heard> {
    PAGE.with_borrow_mut(|page| std::mem::take(&mut page.heard))
}

/// How often each marker was reached.
pub(crate) fn take_markers() -> BTreeMap<Mark, u64> {
    PAGE.with_borrow_mut(|page| std::mem::take(&mut page.markers))
}

/// Notes that a marker was reached.
pub(crate) fn mark(event: &'static str, reason: &'static str) {
    PAGE.with_borrow_mut(|page| *page.markers.entry((event, reason)).or_default() += 1);
}

impl Log for Writer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let text;
        let event = match record.args().as_str() {
            Some(event) => event,
            None => {
                text = record.args().to_string();
                text.as_str()
            }
        };
        PAGE.with_borrow_mut(|page| {
            let mut pairs = Pairs::default();
            if page.keeps_lines {
                pairs.text = Some(String::new());
            }
            let visited = record.key_values().visit(&mut pairs);
            debug_assert!(visited.is_ok(), "pairs take every value");
            if let Some(mark) = super::markers::known(event, pairs.reason.as_deref()) {
                *page.markers.entry(mark).or_default() += 1;
            }
            match (event, pairs.reason.as_deref()) {
                ("connected", _) => page.heard.push(Heard::LetIn),
                ("founding", _) => page.heard.push(Heard::Founds),
                ("snapshot_receiving", Some("begins")) => page.heard.push(Heard::Receives),
                _ => {}
            }
            if let Some(text) = pairs.text {
                page.lines.push(format!("{event}{text}"));
            }
        });
    }

    fn flush(&self) {}
}

/// The pairs of one line.
#[derive(Default)]
struct Pairs {
    reason: Option<String>,
    text: Option<String>,
}

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        match key.as_str() {
            "reason" | "what" | "detail" => {
                self.reason = value.to_borrowed_str().map(str::to_owned)
            }
            "applied_before" if value.to_u64() == Some(0) => {
                self.reason = Some("nothing was applied".to_owned());
            }
            _ => {}
        }
        if let Some(text) = &mut self.text {
            write!(text, " {key}={value}")?;
        }
        Ok(())
    }
}
