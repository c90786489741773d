//! Progress on standard error, where that is a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line that tells how far a command is.
pub(crate) struct Progress {
    bar: ProgressBar,
}

/// How often it is drawn at most.
const DRAWS_PER_SECOND: u8 = 10;

impl Progress {
    /// For a known amount of bytes.
    pub(crate) fn bytes(total: u64) -> Progress {
        Progress::new(
            ProgressBar::new(total),
            "{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {msg}",
            true,
        )
    }

    /// For an unknown amount of things.
    pub(crate) fn counting(what: &str, shown: bool) -> Progress {
        let template = format!("{{spinner}} {{human_pos}} {what}  {{per_sec}}  {{msg}}");
        Progress::new(ProgressBar::no_length(), &template, shown)
    }

    /// For a known time.
    pub(crate) fn time(total: Duration) -> Progress {
        let bar = ProgressBar::new(total.as_millis() as u64);
        Progress::new(bar, "{wide_bar} {msg}", true)
    }

    /// For something of which nothing is known until it is done. It shows how long it has taken.
    pub(crate) fn waiting(what: &str) -> Progress {
        Progress::ticking(&format!("{{spinner}} {what}  {{elapsed}}"))
    }

    /// For something that says what it waits for. It shows how long it has taken.
    pub(crate) fn waiting_for() -> Progress {
        Progress::ticking("{spinner} {msg}  {elapsed}")
    }

    fn ticking(template: &str) -> Progress {
        let progress = Progress::new(ProgressBar::no_length(), template, true);
        if !progress.bar.is_hidden() {
            progress.bar.enable_steady_tick(Duration::from_secs(1) / u32::from(DRAWS_PER_SECOND));
        }
        progress
    }

    /// For a known number of keys to be written.
    pub(crate) fn filling(total: u64) -> Progress {
        let template = "{wide_bar} {human_pos}/{human_len} keys written before they are read";
        Progress::new(ProgressBar::new(total), template, true)
    }

    fn new(bar: ProgressBar, template: &str, shown: bool) -> Progress {
        let target = match shown && io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND),
            false => ProgressDrawTarget::hidden(),
        };
        bar.set_draw_target(target);
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.expect("the templates above are right"));
        Progress { bar }
    }

    pub(crate) fn set(&mut self, position: u64) {
        self.bar.set_position(position);
    }

    pub(crate) fn say(&mut self, message: String) {
        self.bar.set_message(message);
    }

    /// Takes the line away, as before an error.
    pub(crate) fn clear(&mut self) {
        self.bar.finish_and_clear();
    }

    /// Takes the line away and says what came of it, where a person looks.
    pub(crate) fn finish(&mut self, message: &str) {
        let shown = !self.bar.is_hidden();
        self.clear();
        if shown {
            crate::output::note(message);
        }
    }
}
