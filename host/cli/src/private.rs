//! Files and directories that hold what not everybody should read: the owner alone may use them, whatever the umask.
//!
//! Where there are no modes, as on Windows, they are like any other.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Make a directory with those above it, if they are not there.
pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    let mut directory = DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        directory.mode(0o700);
    }
    directory.recursive(true).create(path)
}

/// Make a new file.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
}

/// How a file is written whose mode is right from when it is made.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}
