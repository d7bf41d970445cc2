//! A disk of a test's own: ext4 on a loop device, which can be small, be made read-only, and lose its power.
//!
//! It needs root, `mkfs.ext4`, `mount` and `python3`. Where one of them is missing the test is left out, and that
//! is said where everybody sees it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// Ends the file system at this directory: `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// Not what `println!` writes, which the test's harness keeps to itself.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A disk of our own, with a file system on it.
pub(crate) struct Disk {
    image: PathBuf,
    /// Where its files are.
    pub(crate) mount: PathBuf,
    mounted: bool,
    _dir: TempDir,
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

impl Disk {
    /// Make one with so many MiB, or say that it cannot be made here.
    pub(crate) fn make_or_say_why(mib: u64) -> Option<Self> {
        let made = Self::make(mib);
        if let Err(why) = &made {
            say(&format!("LEFT OUT: there can be no disk of its own here, and nothing was tested: {why}"));
        }
        made.ok()
    }

    fn make(mib: u64) -> Result<Self, String> {
        let dir = TempDir::new().unwrap();
        let (image, mount) = (dir.path().join("disk"), dir.path().join("mount"));
        File::create(&image).unwrap().set_len(mib << 20).unwrap();
        fs::create_dir(&mount).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(&image))?;
        run(Command::new("python3").args(["-c", "import fcntl"]))?;
        let mut disk = Self { image, mount, mounted: false, _dir: dir };
        disk.mount()?;
        Ok(disk)
    }

    pub(crate) fn mount(&mut self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount))?;
        self.mounted = true;
        Ok(())
    }

    pub(crate) fn unmount(&mut self) -> Result<(), String> {
        run(Command::new("umount").arg(&self.mount))?;
        self.mounted = false;
        Ok(())
    }

    /// Nothing can be written any more, or again.
    pub(crate) fn set_writable(&self, writable: bool) {
        let option = if writable { "remount,rw" } else { "remount,ro" };
        run(Command::new("mount").args(["-o", option]).arg(&self.mount)).unwrap();
    }

    /// The power fails.
    pub(crate) fn cut(&self) {
        run(Command::new("python3").args(["-c", CUT]).arg(&self.mount)).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: whoever still has a file open there must not keep the directory.
            let _ = run(Command::new("umount").arg("-l").arg(&self.mount));
        }
    }
}
