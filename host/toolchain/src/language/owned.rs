//! Whether nobody but the user, or root, could have written what runs from the cache.
//!
//! It does not look at what stands in the files: that npm or pip did, by their digests, when it got them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::project::{ProjectError, file};

const HELP: &str = "remove it: it is got anew; or set `XDG_CACHE_HOME` to a directory of yours";

/// The most files that the tools come to.
const FILES_MAX: usize = 40_000;

/// Take from all others the right to write in the cache and in what lies here.
pub(super) fn make(cache: &Path, home: &Path) -> Result<(), ProjectError> {
    each(cache, home, &mut |path, metadata| {
        if let Some(mode) = platform::narrower(metadata) {
            fs::set_permissions(path, mode).map_err(file(path))?;
        }
        Ok(())
    })
}

/// An error if somebody else could have written there.
pub(super) fn check(cache: &Path, home: &Path) -> Result<(), ProjectError> {
    each(cache, home, &mut |path, metadata| {
        if platform::others_may_write(metadata) {
            let problem = format!("`{}` runs here, and others than you may write there", path.display());
            return Err(ProjectError::Tool { problem, help: HELP });
        }
        Ok(())
    })
}

/// Each directory and file, the cache itself among them; not what a link among them leads to.
fn each(
    cache: &Path,
    home: &Path,
    visit: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<(), ProjectError>,
) -> Result<(), ProjectError> {
    visit(cache, &fs::metadata(cache).map_err(file(cache))?)?;
    if !fs::symlink_metadata(home).map_err(file(home))?.is_dir() {
        let problem = format!("`{}` is no directory, or a link to one", home.display());
        return Err(ProjectError::Tool { problem, help: HELP });
    }
    let mut waiting: Vec<PathBuf> = vec![home.to_owned()];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        seen += 1;
        if seen > FILES_MAX {
            let problem = format!("`{}` holds more than {FILES_MAX} files", home.display());
            return Err(ProjectError::Tool { problem, help: HELP });
        }
        let metadata = fs::symlink_metadata(&path).map_err(file(&path))?;
        visit(&path, &metadata)?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path).map_err(file(&path))? {
                waiting.push(entry.map_err(file(&path))?.path());
            }
        }
    }
    Ok(())
}

#[cfg(unix)]
mod platform {
    use std::fs::{Metadata, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    /// The right to write, of the group and of everybody.
    const OTHERS: u32 = 0o022;

    /// A link has no rights of its own: who may change it is said by its directory.
    pub(super) fn others_may_write(metadata: &Metadata) -> bool {
        let owner = metadata.uid();
        let is_ours = owner == 0 || owner == rustix::process::geteuid().as_raw();
        !is_ours || !metadata.is_symlink() && metadata.mode() & OTHERS != 0
    }

    pub(super) fn narrower(metadata: &Metadata) -> Option<Permissions> {
        let wide = !metadata.is_symlink() && metadata.mode() & OTHERS != 0;
        wide.then(|| Permissions::from_mode(metadata.mode() & !OTHERS))
    }
}

#[cfg(not(unix))]
mod platform {
    use std::fs::{Metadata, Permissions};

    /// A user's own directory is their own there, unless they say otherwise.
    pub(super) fn others_may_write(_: &Metadata) -> bool {
        false
    }

    pub(super) fn narrower(_: &Metadata) -> Option<Permissions> {
        None
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn tools_that_lie_elsewhere_are_not_run() {
        let (cache, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let home = cache.path().join("tools");
        symlink(elsewhere.path(), &home).unwrap();
        assert!(check(cache.path(), &home).unwrap_err().to_string().ends_with("is no directory, or a link to one"));
    }

    #[test]
    fn what_others_may_write_is_not_run() {
        for name in ["", "tools", "tools/bin", "tools/bin/esbuild"] {
            let cache = tempfile::tempdir().unwrap();
            let home = cache.path().join("tools");
            fs::create_dir_all(home.join("bin")).unwrap();
            fs::write(home.join("bin/esbuild"), "").unwrap();
            symlink("bin/esbuild", home.join("link")).unwrap();
            make(cache.path(), &home).unwrap();
            check(cache.path(), &home).unwrap();

            for mode in [0o020, 0o002] {
                let path = cache.path().join(name);
                let before = fs::metadata(&path).unwrap().permissions();
                fs::set_permissions(&path, fs::Permissions::from_mode(before.mode() | mode)).unwrap();
                let error = check(cache.path(), &home).unwrap_err().to_string();
                assert!(error.contains(path.to_str().unwrap().trim_end_matches('/')), "{error}");
                make(cache.path(), &home).unwrap();
                check(cache.path(), &home).unwrap();
            }
        }
    }
}
