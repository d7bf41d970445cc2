//! What `attorn.toml` names stands apart from the data directory, and so does the file itself.
//!
//! The data directory is replaced when the log's key is rotated, and made anew by a restore; copies of it are what backups
//! are for. A key in it would go with the old one, or be in each copy of what it is there to protect. So it is refused when
//! the configuration is read, before anything is lost, by whatever links it leads there. That a directory within the data
//! directory is mounted elsewhere, and named there, is not seen.

use std::path::{Component, Path, PathBuf};

use attorn_store::is_within;

use super::{Config, ConfigError, Tls};
use crate::epochs::beside;

/// See that nothing which a configuration that was read from here names is within its data directory.
pub(super) fn check(config: &Config, path: &Path) -> Result<(), ConfigError> {
    let mut named: Vec<(&'static str, &Path)> = vec![
        ("data_dir", path),
        ("root_key", config.root_key.as_path()),
        ("user_keys", config.user_keys.as_path()),
        ("high_water", config.high_water.as_path()),
    ];
    if let Tls::Server { certificate, key } = &config.tls {
        named.extend([("tls_certificate", certificate.as_path()), ("tls_key", key.as_path())]);
    }
    // What a restore or a new key makes beside it, and whoever finds it left over removes.
    let dirs = ["", ".restoring", ".rotating"].map(|ending| beside(&config.data_dir, ending));
    for dir in dirs {
        if let Some((key, inner)) = named.iter().find(|(_, inner)| stands_in(inner, &dir)) {
            let (path, inner) = (path.to_owned(), (*inner).to_owned());
            return Err(ConfigError::Within { path, key, inner, dir });
        }
    }
    Ok(())
}

/// Whether a path leads into a directory, or is the name of a link there that leads elsewhere.
fn stands_in(path: &Path, dir: &Path) -> bool {
    let dir = cleaned(dir);
    [Some(path), path.parent()].into_iter().flatten().map(cleaned).any(|path| {
        // What nobody may look at is compared by its name.
        is_within(&path, &dir).unwrap_or_else(|_| path.starts_with(&dir))
    })
}

/// A path without links and steps back, as far as it is there. Beyond that, steps back are taken by name.
fn cleaned(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in path.ancestors() {
        let Ok(there) = above.canonicalize() else { continue };
        let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
        return rest.components().fold(there, |mut at, step| {
            match step {
                Component::ParentDir => {
                    at.pop();
                }
                step => at.push(step),
            }
            at
        });
    }
    path
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// What is said of a configuration in this directory with this line in the place of another, or with this line more.
    fn read(dir: &TempDir, line: &str) -> Result<Config, ConfigError> {
        let key = line.split(' ').next().unwrap();
        let mut text = r#"
            listen = "127.0.0.1:7400"
            public_url = "https://127.0.0.1:7400"
            data_dir = "data"
            root_key = "root.key"
            log_id = "log-1"
            tls = "server"
            tls_certificate = "tls.crt"
            tls_key = "tls.key"
        "#
        .lines()
        .map(str::trim)
        .filter(|there| !there.starts_with(&format!("{key} ")))
        .collect::<Vec<_>>()
        .join("\n");
        text.push_str(line);
        let path = dir.path().join("attorn.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn whatever_it_names_within_the_data_directory_is_refused_with_its_path() {
        let dir = TempDir::new().unwrap();
        let [file, data] = ["attorn.toml", "data"].map(|name| dir.path().join(name));
        // Before the data directory is there, and after.
        for _ in 0..2 {
            for key in ["root_key", "user_keys", "high_water", "tls_certificate", "tls_key"] {
                for inner in ["data/secret", "data/deep/secret", "data", "./data/../data/secret"] {
                    let error = read(&dir, &format!("{key} = {inner:?}")).unwrap_err();
                    let message = format!(
                        "`{key}` in `{}`: `{}` is within the data directory, `{}`",
                        file.display(),
                        dir.path().join(inner).display(),
                        data.display()
                    );
                    assert_eq!(error.to_string(), message);
                    let help = error.help().unwrap();
                    assert!(help.contains("move it out of the data directory and change the setting"), "{help}");
                }
            }
            fs::create_dir_all(&data).unwrap();
        }
        // What is left over of a restore or a new key somebody removes.
        for inner in ["data.restoring/users", "data.rotating"] {
            let error = read(&dir, &format!("user_keys = {inner:?}")).unwrap_err();
            assert!(matches!(error, ConfigError::Within { key: "user_keys", .. }), "{inner}: {error}");
        }
        for data_dir in [".", "", "../"] {
            let error = read(&dir, &format!("data_dir = {data_dir:?}")).unwrap_err().to_string();
            let message =
                format!("`data_dir` in `{}`: `{}` is within the data directory, `", file.display(), file.display());
            assert!(error.starts_with(&message), "{error}");
        }
    }

    #[test]
    fn links_lead_nothing_into_it_and_nothing_in_it_is_a_link() {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("disk/data")).unwrap();
        for file in ["disk/data/inner", "outer"] {
            fs::write(at(file), "").unwrap();
        }
        symlink("disk/data", at("data")).unwrap();
        symlink("data", at("way")).unwrap();
        symlink("data/inner", at("to-inner")).unwrap();
        symlink(at("outer"), at("disk/data/to-outer")).unwrap();
        for inner in ["way/inner", "to-inner", "disk/data/new", "data/to-outer", "way/new/../new"] {
            let error = read(&dir, &format!("root_key = {inner:?}")).unwrap_err();
            assert!(matches!(error, ConfigError::Within { key: "root_key", .. }), "{inner}: {error}");
        }
        for outer in ["outer", "disk/outer", "database/root.key", "data.key", "data/../outer", "new/../outer"] {
            read(&dir, &format!("root_key = {outer:?}")).unwrap();
        }
    }
}
