//! Where the data directory itself is, by whatever links `data_dir` leads there.
//!
//! An epoch begins in a directory beside it that takes its place by its name. Where that name were a link, the link alone
//! would go, and the data would stay where it is, with the key that was to go with it. So the link is followed first: the
//! directory that it leads to is replaced, and the link stays. What nothing can take the place of is refused before
//! anything is done.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use attorn_store::is_there;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::EpochError;
use crate::config::Config;

/// The same configuration, with the data directory itself in the place of a link to it.
pub(crate) fn without_links(config: &Config) -> Result<Config, EpochError> {
    Ok(Config { data_dir: followed(&config.data_dir)?, ..config.clone() })
}

fn followed(named: &Path) -> Result<PathBuf, EpochError> {
    // With a slash at its end, what is beside a directory would be in it.
    let named: PathBuf = named.components().collect();
    let io = EpochError::io;
    let dir = match named.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A link that leads nowhere is there.
            let is_link = is_there(&named).map_err(io(&named))?;
            return if is_link { Err(EpochError::LeadsNowhere(named)) } else { Ok(named) };
        }
        dir => dir.map_err(io(&named))?,
    };
    let is_root = dir.parent().is_none() || is_mount(&dir).map_err(io(&dir))?;
    if is_root { Err(EpochError::Mounted(dir)) } else { Ok(dir) }
}

/// Whether something is mounted there, from another file system or from elsewhere in the same one.
fn is_mount(dir: &Path) -> std::io::Result<bool> {
    let found = statx(CWD, dir, AtFlags::empty(), StatxFlags::BASIC_STATS)?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn what_nothing_can_take_the_place_of_is_refused() {
        let dir = TempDir::new().unwrap();
        let link = dir.path().join("link");
        symlink("nowhere", &link).unwrap();
        for named in [link.clone(), link.join("")] {
            let error = followed(&named).unwrap_err();
            let message = format!("`{}` is a link that leads nowhere; nothing was changed", link.display());
            assert_eq!(error.to_string(), message);
            assert!(error.help().unwrap().starts_with("make the directory that it leads to"), "{error}");
        }
        // A file system that every Linux has, and the one below which all others are.
        for root in ["/proc", "/"] {
            let error = followed(Path::new(root)).unwrap_err();
            let message =
                format!("`{root}` is the root of a file system, and nothing can take its place; nothing was changed");
            assert_eq!(error.to_string(), message);
            assert!(error.help().unwrap().contains("a directory within it"), "{error}");
        }
        let circle = dir.path().join("circle");
        symlink("circle", &circle).unwrap();
        assert_eq!(followed(&circle).unwrap_err().to_string(), format!("cannot use `{}`", circle.display()));
    }

    #[test]
    fn a_link_is_followed_and_what_is_not_there_keeps_its_name() {
        let dir = TempDir::new().unwrap();
        let above = dir.path().canonicalize().unwrap();
        fs::create_dir(above.join("data")).unwrap();
        symlink("data", above.join("link")).unwrap();
        symlink("link", above.join("again")).unwrap();
        for named in ["data", "data/", "data/.", "data/../data", "link", "link/", "again"] {
            assert_eq!(followed(&above.join(named)).unwrap(), above.join("data"), "{named}");
        }
        for named in ["new", "new/", "new/."] {
            let found = followed(&above.join(named)).unwrap();
            assert_eq!(found.as_os_str(), above.join("new").as_os_str(), "{named}");
        }
    }
}
