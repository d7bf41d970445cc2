//! Who else may write where this server keeps what it decides by.
//!
//! Nothing is refused: what stands there is verified where that can be, and who may write is the operator's to say.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::config::Config;

/// Whoever is in its group, and everybody.
const OTHERS_WRITE: u32 = 0o022;

/// Say which of its directories and files others may write.
pub(super) fn warn(config: &Config) {
    for path in [&config.data_dir, &config.user_keys, &config.high_water] {
        if let Some(mode) = written_by_others(path) {
            tracing::warn!(
                path = %path.display(),
                mode = format!("{mode:o}"),
                "others may write here, and could make this server lose or forget what it keeps: `chmod go-w` it"
            );
        }
    }
}

/// The mode of what others may write. What is not there is made for its owner alone.
fn written_by_others(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & OTHERS_WRITE != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_write_is_found() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("data");
        assert_eq!(written_by_others(&path), None);
        fs::create_dir(&path).unwrap();
        for (mode, found) in
            [(0o700, None), (0o755, None), (0o770, Some(0o770)), (0o702, Some(0o702)), (0o1777, Some(0o1777))]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(written_by_others(&path), found, "{mode:o}");
        }
    }
}
