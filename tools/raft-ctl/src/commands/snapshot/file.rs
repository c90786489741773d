//! The file that a snapshot is saved into: it has its name only when all of it is durable and
//! verified.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

use raft_node::model::SnapshotId;
use raft_node::storage::{RealDisk, SnapshotFile};
use rustix::fs::{Advice, CWD, RenameFlags, fadvise, renameat_with};
use rustix::io::Errno;

use crate::cli::SaveArgs;
use crate::codes::Code;
use crate::commands::log::failed;
use crate::error::CliError;

/// Where a snapshot is to be saved.
pub(super) struct Target {
    path: PathBuf,
    directory: PathBuf,
    force: bool,
}

/// A file that hasn't its name yet. Unless it gets it, nothing is left of it.
pub(super) struct Unfinished {
    target: Target,
    path: PathBuf,
    file: File,
    named: bool,
}

impl Target {
    /// The file that the command line names; an error where it can't be written or is there.
    pub(super) fn new(args: &SaveArgs) -> Result<Target, CliError> {
        let path = &args.file;
        if path == Path::new("-") {
            return Err(CliError::usage("a snapshot can't be saved to standard output")
                .hint("it is verified as a whole before it counts, which takes a file"));
        }
        if path.file_name().is_none() {
            return Err(CliError::usage(format!("{} isn't the name of a file", path.display())));
        }
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let directory = above.unwrap_or(Path::new(".")).to_owned();
        let inside = fs::metadata(&directory)
            .map_err(|error| CliError::file(&directory, "written to", &error))?;
        if !inside.is_dir() {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(CliError::file(&directory, "written to", &error));
        }
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CliError::file(path, "looked at", &error)),
            Ok(found) if !found.is_file() => {
                return Err(CliError::usage(format!("{} isn't a regular file", path.display())));
            }
            Ok(_) if args.force => {}
            Ok(_) => return Err(exists(path)),
        }
        Ok(Target { path: path.clone(), directory, force: args.force })
    }
}

fn exists(path: &Path) -> CliError {
    CliError::new(Code::FileExists, format!("{} is there already", path.display()))
        .hint("it is as it was; choose another name, or --force to replace it")
}

impl Unfinished {
    /// Makes an empty file beside the target.
    pub(super) fn create(target: Target) -> Result<Unfinished, CliError> {
        let mut name = OsString::from(&target.path);
        name.push(format!(".{}.tmp", process::id()));
        let path = PathBuf::from(name);
        // What is in it is for its owner and group, as the files of a node are.
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o640).open(&path);
        let file = file.map_err(|error| CliError::file(&path, "made", &error))?;
        Ok(Unfinished { target, path, file, named: false })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.file.write_all(bytes).map_err(|error| {
            CliError::file(&self.path, "written", &error)
                .hint("nothing is left of it; free some space, or choose another directory")
        })
    }

    /// Makes what was written durable, and reads it again past the cache: it must be `id`, every
    /// byte of it.
    pub(super) fn verify(&self, id: SnapshotId, from: &str) -> Result<(), CliError> {
        let read = |error: &io::Error| CliError::file(&self.path, "synced", error);
        self.file.sync_all().map_err(|error| read(&error))?;
        // Where the cache can't be dropped, what is read was in memory.
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
        let opened = SnapshotFile::open(&RealDisk, &self.path).map_err(|error| failed(&error))?;
        let checked = match opened {
            Ok(found) if found.id() == id => {
                found.read(&mut |_| Ok(())).map_err(|error| failed(&error))?
            }
            Ok(found) => return Err(unlike(id, from, &format!("it is {}", described(found.id())))),
            Err(fault) => Err(fault),
        };
        checked.map_err(|fault| unlike(id, from, &fault.to_string()))
    }

    /// Gives the file its name, durably.
    pub(super) fn publish(mut self) -> Result<(), CliError> {
        let Target { path, directory, force } = &self.target;
        let renamed = match force {
            true => fs::rename(&self.path, path),
            false => rename_unless_there(&self.path, path),
        };
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists(path));
            }
            renamed => renamed.map_err(|error| CliError::file(path, "given its name", &error))?,
        }
        self.named = true;
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| {
            CliError::file(directory, "synced", &error).hint(format!(
                "{} is whole, and may be missing after a power cut: run sync",
                path.display()
            ))
        })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.named {
            // The failure that led here is what counts.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Renames without replacing what has come there meanwhile, where the file system can.
fn rename_unless_there(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        renamed => renamed.map_err(io::Error::from),
    }
}

/// What came isn't the snapshot.
fn unlike(id: SnapshotId, from: &str, what: &str) -> CliError {
    let message = format!("what {from} sent isn't snapshot {}: {what}", described(id));
    CliError::new(Code::Corrupt, message).hint(
        "nothing is left of it; read from another node with --node N, and see `raft-ctl snapshot \
         verify` on that node's own file",
    )
}

fn described(id: SnapshotId) -> String {
    format!("{} of {} bytes, hash {}", super::object::name(id), id.bytes, super::object::hash(id))
}
