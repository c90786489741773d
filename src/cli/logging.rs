//! The log: which events are written, how, and where to.

use std::io::{self, Write};
use std::panic;
use std::process;
use std::time::Duration;

use env_logger::{Builder, Target, WriteStyle};
use log::LevelFilter;
use raft_node::node::Exit;

use super::arguments::LogFormat;
use super::filter::Filter;
use super::line::{self, Speaker};
use super::queue::Lines;
use super::terminal;

/// How long the end of the process waits for a log that nobody reads.
const LAST_LINES_WAIT: Duration = Duration::from_secs(1);

/// The colours of the nodes' labels.
const COLOURS: [&str; 6] = ["\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[91m"];

/// The running log.
#[derive(Clone)]
pub(crate) struct Log {
    lines: Lines,
    format: LogFormat,
    has_colour: bool,
}

impl Log {
    /// Begins to log on standard error. Where the filter says nothing, `default` holds.
    pub(crate) fn start(
        format: LogFormat,
        filter: Option<&Filter>,
        default: LevelFilter,
        speaker: Speaker,
    ) -> io::Result<Log> {
        let has_colour = format == LogFormat::Text && terminal::has_colour();
        let lines = Lines::start(io::stderr(), move |count| line::gap(format, count))?;
        let mut builder = Builder::new();
        Filter::apply(filter, default, &mut builder);
        builder.target(Target::Pipe(Box::new(lines.clone())));
        builder.write_style(if has_colour { WriteStyle::Always } else { WriteStyle::Never });
        builder.format(move |out, record| {
            let time = out.timestamp_millis();
            match format {
                LogFormat::Text => {
                    let style = out.default_level_style(record.level());
                    line::text(out, &time, style, &speaker, record)
                }
                LogFormat::Json => line::json(out, &time, &speaker, record),
            }
        });
        builder.init();
        let log = Log { lines, format, has_colour };
        log.abort_on_a_bug();
        Ok(log)
    }

    /// How events are logged.
    pub(crate) fn format(&self) -> LogFormat {
        self.format
    }

    /// Writes text for people between the lines of the log.
    pub(crate) fn say(&self, text: &str) {
        // Writing to the queue never fails.
        let _ = self.lines.clone().write_all(text.as_bytes());
    }

    /// Says why the node has stopped.
    pub(crate) fn end(&self, why: &Exit) {
        let code = why.code();
        match (why, self.format) {
            (Exit::Clean | Exit::AtOnce { .. }, _) => log::info!(code, reason:% = why; "stopped"),
            (_, LogFormat::Json) => log::error!(code, reason:% = why; "stopped"),
            (_, LogFormat::Text) => self.say(&format!("error: {why}\n")),
        }
    }

    /// Where lines of another process become lines of this log, with its label in front of each
    /// unless programs read them. `place` chooses the colour of the label.
    pub(crate) fn lines_of(&self, place: usize, label: &str) -> impl Write + Send + use<> {
        let prefix = match (self.format, self.has_colour) {
            (LogFormat::Json, _) => String::new(),
            (LogFormat::Text, false) => format!("{label} | "),
            (LogFormat::Text, true) => {
                format!("{}{label} |\x1b[0m ", COLOURS[place % COLOURS.len()])
            }
        };
        Prefixed { prefix, lines: self.lines.clone() }
    }

    /// Waits a moment until all lines are written.
    pub(crate) fn finish(&self) {
        self.lines.write_out(LAST_LINES_WAIT);
    }

    /// A broken invariant ends the process, on whichever thread it was found; the last lines of
    /// the log tell what led to it.
    fn abort_on_a_bug(&self) {
        let lines = self.lines.clone();
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |broken| {
            lines.write_out(LAST_LINES_WAIT);
            report(broken);
            process::abort();
        }));
    }
}

/// Takes whole lines and puts the same before each.
struct Prefixed {
    prefix: String,
    lines: Lines,
}

impl Write for Prefixed {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.write_all(&[self.prefix.as_bytes(), line].concat())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}
