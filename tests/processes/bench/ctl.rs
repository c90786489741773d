//! The tool `raft-ctl`, which is another package's binary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::Cluster;

/// The tool, asking the nodes of `cluster`.
pub(crate) fn raft_ctl(cluster: &Cluster) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAFT_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").arg("--config").arg(cluster.config_path());
    command
}

/// Where the tool is. A test of one package alone doesn't build the binaries of others, so it is
/// brought up to date first; where it is already, that takes no time.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_raft")).parent().expect("it is in a folder");
        let target = folder.parent().expect("the folder of a profile is in the target directory");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args(["build", "--quiet", "--package", "raft-ctl"]).arg("--target-dir").arg(target);
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        let output = cargo.output().expect("cargo starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "raft-ctl can't be built: {errors}");
        folder.join("raft-ctl")
    })
}
