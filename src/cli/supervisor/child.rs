//! One node in a process of its own.

use std::env;
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread;

use raft_node::config::Node;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::cli::arguments::{Arguments, LogFormat};
use crate::cli::terminal;

/// A line of a child's log is cut into lines of this many bytes.
const LONGEST_LINE: u64 = 64 << 10;

/// A node's process.
pub(super) struct Child {
    process: process::Child,
    /// Number and label of the node.
    pub(super) id: String,
    pub(super) label: String,
    /// Whether it has been waited for. Until then its process id is nobody else's.
    has_ended: bool,
}

impl Child {
    /// Starts the node in its own process group, so that a terminal's Ctrl-C reaches it through
    /// the supervisor alone. What it writes goes to `lines`; then `when_ended` is called.
    pub(super) fn start(
        arguments: &Arguments,
        node: &Node,
        lines: impl Write + Send + 'static,
        when_ended: impl FnOnce() + Send + 'static,
    ) -> io::Result<Child> {
        let (output, input) = pipe()?;
        let mut command = command(arguments, node)?;
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input).process_group(0);
        let process = command.spawn()?;
        // The command holds the write end of the pipe, which else never ends.
        drop(command);
        let (id, label) = (node.id.to_string(), node.label.clone());
        let mut child = Child { process, id, label, has_ended: false };
        let pid = child.pid();
        let follower = thread::Builder::new().name(format!("log of {}", child.label));
        let followed = follower.spawn(move || {
            follow(output, lines);
            wait_for_end(pid);
            when_ended();
        });
        if let Err(error) = followed {
            child.signal(Signal::KILL);
            child.end()?;
            return Err(error);
        }
        Ok(child)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Whether it may still be running.
    pub(super) fn runs(&self) -> bool {
        !self.has_ended
    }

    /// Sends a signal, if it hasn't ended.
    pub(super) fn signal(&self, signal: Signal) {
        if self.runs() {
            // It can have ended a moment ago; then there is nothing left to be told.
            let _ = kill_process(self.pid(), signal);
        }
    }

    /// How it has ended. Waits for that.
    pub(super) fn end(&mut self) -> io::Result<ExitStatus> {
        let status = self.process.wait()?;
        self.has_ended = true;
        Ok(status)
    }
}

/// The command that starts the node.
fn command(arguments: &Arguments, node: &Node) -> io::Result<Command> {
    let Arguments { set, log, log_format, form, restore, no_repair, .. } = arguments;
    let mut command = Command::new(env::current_exe()?);
    command.arg("--config").arg(arguments.config_path());
    command.arg("--node").arg(node.id.to_string());
    command.arg("--supervisor").arg(process::id().to_string());
    command.args(set.iter().flat_map(|value| ["--set", value]));
    command.args(log.iter().flat_map(|filter| ["--log", filter.text()]));
    command.args(match log_format {
        LogFormat::Text => ["--log-format", "text"],
        LogFormat::Json => ["--log-format", "json"],
    });
    command.args(form.then_some("--form"));
    if let Some(file) = restore {
        command.arg("--restore").arg(file);
    }
    command.args(no_repair.then_some("--no-repair"));
    if terminal::has_colour() {
        command.env("CLICOLOR_FORCE", "1");
    }
    Ok(command)
}

/// Hands on line by line what a child writes, until it has ended.
fn follow(output: PipeReader, mut lines: impl Write) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        // Where the log's reader is gone the child must not be held up.
        let _ = lines.write_all(&line);
    }
}

/// Waits until the process has ended, and leaves it for [`Child::end`]: so its id isn't given to
/// another process that a signal could hit.
fn wait_for_end(pid: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
}
