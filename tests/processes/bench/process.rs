//! One process of a test: started, signalled, waited for, and gone when it is dropped.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use super::wait_for;

/// How much of a process's output is shown when a test fails.
const SHOWN_BYTES: usize = 16 << 10;

/// A child of the test. What it writes to standard output and standard error is in one file.
pub(crate) struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    /// Once it has ended, its process id may be somebody else's.
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`, whose output goes to the file `output`.
    #[track_caller]
    pub(crate) fn start(mut command: Command, name: &str, output: PathBuf) -> Process {
        let file = File::create(&output).expect("the file of the output can be made");
        let errors = file.try_clone().expect("a file descriptor");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().expect("the process starts");
        Process { name: name.to_owned(), child, output, status: None }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Whether it hasn't ended.
    pub(crate) fn runs(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child of ours can be waited for");
        }
        self.status.is_none()
    }

    /// Sends a signal.
    #[track_caller]
    pub(crate) fn signal(&mut self, signal: Signal) {
        assert!(self.runs(), "{} has ended: {:?}", self.name, self.status);
        kill_process(self.pid(), signal).expect("a child of ours takes signals");
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Waits until it has ended, and gives the exit code: 128 and the signal if it was killed.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> i32 {
        let what = format!("{} to end", self.name);
        wait_for(&what, || (!self.runs()).then_some(()));
        let status = self.status.expect("it has ended");
        status.code().or(status.signal().map(|signal| 128 + signal)).expect("one of the two")
    }

    /// Waits until it has written `text`.
    #[track_caller]
    pub(crate) fn wait_for_output(&mut self, text: &str) {
        let what = format!("{} to write {text:?}", self.name);
        wait_for(&what, || {
            let (runs, output) = (self.runs(), self.output());
            assert!(runs || output.contains(text), "{} ended without {text:?}", self.name);
            output.contains(text).then_some(())
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            let output = fs::read(&self.output).unwrap_or_default();
            let end = &output[output.len().saturating_sub(SHOWN_BYTES)..];
            println!("---- output of {}\n{}", self.name, String::from_utf8_lossy(end));
        }
    }
}
