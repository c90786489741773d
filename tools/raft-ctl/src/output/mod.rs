//! What is printed: text for people, JSON for programs.
//!
//! Standard output carries the answer and nothing else; errors, warnings and progress go to
//! standard error. Colours appear on a terminal only.

mod base64;
mod blob;
mod human;
mod json;
mod table;

pub(crate) use blob::{Blob, OwnedBlob};
pub(crate) use human::{
    ago, bytes, columns, count, duration, flowed, is_harmless, quoted, quoted_within, seconds,
    shell_quoted, since, wall_time, wrapped,
};
pub(crate) use json::{Seconds, VERSION};
pub(crate) use table::{Align, Column, Table};

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;

use crate::cli::Format;
use crate::error::CliError;

/// What is bad.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is good.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What wants attention.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What stands out.
pub(crate) const BOLD: Style = Style::new().bold();
/// What stands back.
pub(crate) const DIM: Style = Style::new().dimmed();

/// The width of text where there is no terminal to ask.
const USUAL_WIDTH: usize = 80;

/// Where the answer goes.
pub(crate) struct Output {
    format: Format,
    terminal: bool,
    width: usize,
    out: BufWriter<Box<dyn Write>>,
}

impl Output {
    /// Standard output.
    pub(crate) fn standard(format: Format) -> Output {
        let terminal = io::stdout().is_terminal();
        let width = if terminal { width_of(io::stdout()) } else { USUAL_WIDTH };
        // Bytes of values must pass unchanged, so styles are taken out where text is made, not
        // here.
        Output { format, terminal, width, out: BufWriter::new(Box::new(io::stdout())) }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person looks at a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// How many columns there are.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// One JSON object on a line of its own.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        serde_json::to_writer(&mut self.out, value).map_err(|error| written(error.into()))?;
        self.out.write_all(b"\n").map_err(written)
    }

    /// A line of text, which may hold styles.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), CliError> {
        let text = text.to_string();
        let text =
            if self.styled() { text } else { anstream::adapter::strip_str(&text).to_string() };
        writeln!(self.out, "{text}").map_err(written)
    }

    /// A line of words. On a terminal it is broken between them where it doesn't fit, the lines
    /// behind the first with `indent` blanks before them.
    pub(crate) fn words(&mut self, text: &str, indent: usize) -> Result<(), CliError> {
        match self.terminal {
            true => self.line(wrapped(text, indent, self.width)),
            false => self.line(text),
        }
    }

    /// A table.
    pub(crate) fn table(&mut self, table: &Table) -> Result<(), CliError> {
        for line in table.lines() {
            self.line(line)?;
        }
        Ok(())
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.out.write_all(bytes).map_err(written)
    }

    /// Puts the cursor to the upper left of an empty screen.
    pub(crate) fn clear_screen(&mut self) -> Result<(), CliError> {
        self.raw(b"\x1b[H\x1b[2J")
    }

    /// Makes sure that what was printed has left.
    pub(crate) fn flush(&mut self) -> Result<(), CliError> {
        self.out.flush().map_err(written)
    }

    /// Waits, or ends with an error as soon as nobody reads standard output any more. A command
    /// that goes on until it is interrupted would otherwise notice only with its next line.
    pub(crate) fn pause(&mut self, time: Duration) -> Result<(), CliError> {
        self.flush()?;
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let out = io::stdout();
            // No events are asked for: an error is told anyway.
            let mut asked = [PollFd::new(&out, PollFlags::empty())];
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut asked, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Err(written(io::ErrorKind::BrokenPipe.into())),
                Err(error) => return Err(written(error.into())),
            }
        }
    }

    fn styled(&self) -> bool {
        let choice = anstream::AutoStream::choice(&io::stdout());
        self.terminal && choice != anstream::ColorChoice::Never
    }
}

fn written(error: io::Error) -> CliError {
    CliError::output(error)
}

/// How many columns standard error has, where it is a terminal.
pub(crate) fn error_width() -> Option<usize> {
    io::stderr().is_terminal().then(|| width_of(io::stderr()))
}

fn width_of(terminal: impl AsFd) -> usize {
    match rustix::termios::tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => USUAL_WIDTH,
    }
}

/// A sentence beside the answer, on standard error.
pub(crate) fn note(text: &str) {
    // Where it can't be said, the exit code still tells.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// `text` in a style; where styles aren't shown, they are taken out again by [`Output::line`].
pub(crate) fn styled(style: Style, text: impl fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
