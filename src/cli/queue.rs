//! Lines on their way to a reader that may be slow, stopped or gone.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many bytes of lines wait for the reader.
const MOST_BYTES: usize = 1 << 20;

/// Where lines are put in. Writing to it never waits: a line that there is no room for is dropped
/// and counted, since a node that stands still for its log is worse than a gap in the log.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    /// Whether the thread has lines in hand.
    writing: bool,
}

impl Lines {
    /// Begins to write lines to `reader`, on a thread of its own. `gap` says how many lines are
    /// missing, in a line.
    pub(crate) fn start(
        reader: impl Write + Send + 'static,
        gap: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Lines> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name("log lines".to_owned())
            .spawn(move || writer.write_for_ever(reader, gap))?;
        Ok(Lines(shared))
    }

    /// Waits until all lines are written, or `longest` has passed.
    pub(crate) fn write_out(&self, longest: Duration) {
        let Lines(shared) = self;
        let unwritten = |state: &mut State| state.writing || !state.waiting.is_empty();
        // Whether the lines are out or the time is up, the caller goes on.
        drop(shared.written.wait_timeout_while(shared.lock(), longest, unwritten));
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Lines(shared) = self;
        let mut state = shared.lock();
        if state.waiting.len() + line.len() > MOST_BYTES {
            state.dropped += 1;
        } else {
            state.waiting.extend_from_slice(line);
        }
        shared.filled.notify_one();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn write_for_ever(&self, mut reader: impl Write, gap: impl Fn(u64) -> String) {
        let mut lines = Vec::new();
        loop {
            let nothing = |state: &mut State| state.waiting.is_empty() && state.dropped == 0;
            let state = self.filled.wait_while(self.lock(), nothing);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            lines.clear();
            std::mem::swap(&mut lines, &mut state.waiting);
            let dropped = std::mem::take(&mut state.dropped);
            state.writing = true;
            drop(state);
            if dropped > 0 {
                lines.extend_from_slice(gap(dropped).as_bytes());
            }
            // A reader that is gone is no reason to stop.
            let _ = reader.write_all(&lines).and_then(|()| reader.flush());
            self.lock().writing = false;
            self.written.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, PipeReader, pipe};

    use super::*;

    fn started() -> (Lines, PipeReader) {
        let (reader, writer) = pipe().expect("a pipe");
        let gap = |count| format!("{count} dropped\n");
        (Lines::start(writer, gap).expect("a thread"), reader)
    }

    #[test]
    fn lines_arrive_in_their_order() {
        let (mut lines, reader) = started();
        lines.write_all(b"first\n").expect("room");
        lines.write_all(b"second\n").expect("room");
        let arrived = BufReader::new(reader).lines().take(2);
        let arrived: Vec<String> = arrived.map(|line| line.expect("a line")).collect();
        assert_eq!(arrived, ["first", "second"]);
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up_and_the_gap_is_counted() {
        let (mut lines, reader) = started();
        let line = [&[b'x'; (1 << 16) - 1][..], b"\n"].concat();
        for _ in 0..64 {
            lines.write_all(&line).expect("writing never fails");
        }
        let (mut whole, mut missing) = (0, 0);
        for arrived in BufReader::new(reader).lines() {
            let arrived = arrived.expect("the pipe stays open");
            match arrived.strip_suffix(" dropped") {
                Some(count) => missing += count.parse::<u64>().expect("a number"),
                None => whole += u64::from(arrived.len() + 1 == line.len()),
            }
            if whole + missing == 64 {
                break;
            }
        }
        assert!(missing > 0, "64 lines of 64 KiB had room");
    }

    #[test]
    fn a_reader_that_is_gone_holds_nobody_up() {
        let (mut lines, reader) = started();
        drop(reader);
        lines.write_all(b"nobody reads this\n").expect("writing never fails");
        lines.write_out(Duration::from_secs(60));
        lines.write_all(b"nor this\n").expect("writing never fails");
        lines.write_out(Duration::from_secs(60));
    }
}
