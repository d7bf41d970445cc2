//! In which boot of the machine a store was open last, and whether it was closed since.
//!
//! ```text
//! <dir>/store.boot   `attorn-boot 1 <what Linux calls the boot> open|closed`
//! ```
//!
//! A process that is killed leaves all that it wrote with the kernel, and the engine finds it. When the machine
//! stops, the kernel loses what was not synced, in any order: the engine's files may then be unreadable, and they
//! may also be readable and lack something. Opening could not tell, for it does not look at everything, and nobody
//! could: that a value is missing shows nowhere. A revocation might be gone. Journal and base copies do not have
//! this: each of their bytes is synced in its order and checked. So the engine's files are not relied on, and not
//! even opened, when the machine stopped while they were in use. Whether it did is all that is known here.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::OpenError;
use crate::files::sync_dir;
use crate::places::{Places, at};

const MAGIC: &str = "attorn-boot 1";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A boot of the machine; none if nobody can say which, which is like no other then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Boot(Option<String>);

/// What a store's file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastUse {
    /// It was closed: all is synced.
    Closed,
    /// The machine has not stopped since.
    ThisBoot,
    /// The machine stopped while it was open, or nobody knows.
    CutOff,
}

impl Boot {
    pub(crate) fn of_machine() -> Self {
        let id = fs::read_to_string(BOOT_ID).unwrap_or_default().trim_ascii().to_owned();
        Self(Some(id).filter(|id| !id.is_empty()))
    }

    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        Self(Some(name.to_owned()))
    }

    /// How a store was used last, seen from this boot.
    pub(crate) fn last_use(&self, places: &Places) -> Result<LastUse, OpenError> {
        let text = match fs::read_to_string(&places.boot) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => String::new(),
            text => text.map_err(at(&places.boot))?,
        };
        let said = text.strip_suffix('\n').and_then(|line| line.strip_prefix(MAGIC)?.strip_prefix(' '));
        Ok(match said.and_then(|said| said.split_once(' ')) {
            Some((_, "closed")) => LastUse::Closed,
            Some((boot, "open")) if self.0.as_deref() == Some(boot) => LastUse::ThisBoot,
            _ => LastUse::CutOff,
        })
    }

    /// Say that it is open from now on: before anything of the engine is opened.
    pub(crate) fn say_open(&self, places: &Places) -> Result<(), OpenError> {
        self.say(places, "open")
    }

    /// Say that it is closed: when nothing of the engine is open any more, and all of it is synced.
    pub(crate) fn say_closed(&self, places: &Places) -> Result<(), OpenError> {
        self.say(places, "closed")
    }

    fn say(&self, places: &Places, stand: &str) -> Result<(), OpenError> {
        let text = format!("{MAGIC} {} {stand}\n", self.0.as_deref().unwrap_or("-"));
        replace(&places.boot, &places.dir, text.as_bytes()).map_err(at(&places.boot))
    }
}

/// Replace a small file. It is there before or after, and never in part.
pub(crate) fn replace(path: &Path, dir: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn only_what_was_closed_or_is_of_this_boot_is_relied_on() {
        let dir = TempDir::new().unwrap();
        let places = Places::of(dir.path());
        let (this, other, unknown) = (Boot::named("this"), Boot::named("other"), Boot(None));
        let seen = |boot: &Boot| boot.last_use(&places).unwrap();
        assert_eq!(seen(&this), LastUse::CutOff, "nothing is said");
        this.say_open(&places).unwrap();
        assert_eq!([seen(&this), seen(&other), seen(&unknown)], [LastUse::ThisBoot, LastUse::CutOff, LastUse::CutOff]);
        this.say_closed(&places).unwrap();
        assert_eq!([seen(&this), seen(&other), seen(&unknown)], [LastUse::Closed; 3]);
        unknown.say_open(&places).unwrap();
        assert_eq!([seen(&this), seen(&unknown)], [LastUse::CutOff; 2]);
        for broken in [
            "",
            "attorn-boot 1 this open",
            "attorn-boot 1 this\n",
            "attorn-boot 2 this open\n",
            "attorn-boot 1 this shut\n",
        ] {
            fs::write(&places.boot, broken).unwrap();
            assert_eq!(seen(&this), LastUse::CutOff, "{broken:?}");
        }
        fs::write(&places.boot, [0xff, 0xfe]).unwrap();
        assert_eq!(seen(&this), LastUse::CutOff);
    }
}
