//! File systems of their own, each in a file, that can be frozen, shut down and filled.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An ext4 file system in a file, mounted.
pub(crate) struct Image {
    file: PathBuf,
    mounted: PathBuf,
}

/// What shuts an ext4 file system down at once, as if the power had gone: nothing more reaches the
/// device, its journal included (`EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`).
const SHUT_DOWN: &str = "\
import fcntl, os, struct, sys
handles = [os.open(path, os.O_RDONLY) for path in sys.argv[1:]]
for handle in handles:
    fcntl.ioctl(handle, 0x8004587d, struct.pack('I', 2))
";

impl Image {
    /// Makes one and mounts it at `path`; `None`, with a reason printed, if that can't be done
    /// here.
    pub(crate) fn mount(path: &Path, mebibytes: u64) -> Option<Image> {
        fs::create_dir_all(path).expect("a directory can be made");
        let file = path.with_extension("ext4");
        let image = File::create(&file).expect("a file can be made");
        image.set_len(mebibytes << 20).expect("it can be given its length");
        let made = quietly(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&file));
        let image = Image { file, mounted: path.to_owned() };
        if made && image.try_mount() {
            return Some(image);
        }
        println!("not tested: no ext4 image can be made and mounted here");
        None
    }

    fn try_mount(&self) -> bool {
        quietly(Command::new("mount").args(["-o", "loop"]).arg(&self.file).arg(&self.mounted))
    }

    /// Unmounts it and mounts it again, by which its journal is replayed: the power is back.
    pub(crate) fn remount(&self) {
        assert!(quietly(Command::new("umount").arg(&self.mounted)), "{:?} is busy", self.mounted);
        assert!(self.try_mount(), "it was mounted before");
    }

    /// The power goes under all of these at once.
    pub(crate) fn cut_power(images: &[Image]) {
        let paths = images.iter().map(|image| &image.mounted);
        let done = Command::new("python3").arg("-c").arg(SHUT_DOWN).args(paths).status();
        assert!(done.is_ok_and(|status| status.success()), "python3 and ext4 are there");
    }

    /// Nothing is written any more: whoever writes waits.
    pub(crate) fn freeze(&self) {
        assert!(quietly(Command::new("fsfreeze").arg("-f").arg(&self.mounted)), "it is frozen");
    }

    pub(crate) fn thaw(&self) {
        assert!(quietly(Command::new("fsfreeze").arg("-u").arg(&self.mounted)), "it goes on");
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file can be made");
        for piece in [1 << 20, 4096] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).expect("the filler is there");
    }

    fn filler(&self) -> PathBuf {
        self.mounted.join("filler")
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        quietly(Command::new("fsfreeze").arg("-u").arg(&self.mounted));
        quietly(Command::new("umount").arg("-l").arg(&self.mounted));
    }
}

fn quietly(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
