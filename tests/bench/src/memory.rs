//! The memory that a process has: proc(5), `status`, `fd` and `maps`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};

/// What this process has of memory.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Resident: what it wrote.
    pub(crate) anonymous_bytes: u64,
    /// Resident: what it has mapped of files.
    pub(crate) file_bytes: u64,
    /// Resident: what it has mapped of files that are in memory only.
    pub(crate) shared_bytes: u64,
    /// The sizes of files that are in memory only and stay there as long as it has them open, whether
    /// they are mapped or not.
    pub(crate) memfd_bytes: u64,
    /// Files that it has open.
    pub(crate) open_files: u64,
    /// Its mappings, of which the host allows 65,530.
    pub(crate) mappings: u64,
}

impl Memory {
    /// All that is resident.
    pub(crate) const fn resident_bytes(&self) -> u64 {
        self.anonymous_bytes + self.file_bytes + self.shared_bytes
    }
}

/// That of this process.
pub(crate) fn of_this_process() -> Memory {
    let open: Vec<_> = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok).map(|file| file.path()).collect();
    let memfd = |path: &std::path::PathBuf| {
        let target = fs::read_link(path).ok()?;
        let occupied = || fs::metadata(path).map(|metadata| metadata.blocks() * 512);
        target.to_string_lossy().starts_with("/memfd:").then(occupied)?.ok()
    };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    Memory {
        anonymous_bytes: bytes(&status, "RssAnon").unwrap(),
        file_bytes: bytes(&status, "RssFile").unwrap(),
        shared_bytes: bytes(&status, "RssShmem").unwrap(),
        memfd_bytes: open.iter().filter_map(memfd).sum(),
        open_files: open.len() as u64,
        mappings: fs::read_to_string("/proc/self/maps").unwrap().lines().count() as u64,
    }
}

/// What another process has resident; none if it is gone.
pub(crate) fn resident_bytes_of(process: u32) -> Option<u64> {
    bytes(&fs::read_to_string(format!("/proc/{process}/status")).ok()?, "VmRSS")
}

/// The most that another process ever had resident; none if it is gone.
pub(crate) fn peak_bytes_of(process: u32) -> Option<u64> {
    bytes(&fs::read_to_string(format!("/proc/{process}/status")).ok()?, "VmHWM")
}

/// A field that is in units of 1,024 bytes.
fn bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib << 10)
}
