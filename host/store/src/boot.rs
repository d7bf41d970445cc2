//! In which boot of the machine a store was open last, on which device, and whether it was closed since, or failed.
//!
//! ```text
//! <dir>/store.boot   `attorn-boot 1 <what Linux calls the boot>/<number of the device>[/<mount namespace>:<mount>]
//!                     open|closed|failed`, on one line
//! ```
//!
//! A process that is killed leaves all that it wrote with the kernel, and the engine finds it. When the machine
//! stops, the kernel loses what was not synced, in any order: the engine's files may then be unreadable, and they
//! may also be readable and lack something. Opening could not tell, for it does not look at everything, and nobody
//! could: that a value is missing shows nowhere. A revocation might be gone. Journal and base copies do not have
//! this: each of their bytes is synced in its order and checked. So the engine's files are not relied on, and not
//! even opened, when the machine stopped while they were in use. Whether it did is all that is known here.
//!
//! The same is lost where the store failed, say because a sync did: the kernel may call clean afterwards what never
//! came to disk. And a volume that went away and came back as another device has lost what the kernel had of it. One
//! that came back as the same device within a boot is not told from one that stayed.

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::error::OpenError;
use crate::files::sync_dir;
use crate::files::{create_beside, read_regular_text, with_way_out};
use crate::places::{Places, at};

const MAGIC: &str = "attorn-boot 1";
/// What to do where something else stands in its place.
const AWAY: &str = "move it away, and the next start makes the database anew from base copy and journal";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// More bytes than it says.
const SAID_BYTES_MAX: u64 = 1 << 10;
const MOUNT_NAMESPACE: &str = "/proc/self/ns/mnt";
/// `STATX_MNT_ID_UNIQUE` (since Linux 6.8).
const MOUNT_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

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
    /// Its engine is not to be relied on.
    CutOff(CutOffBy),
}

/// Why a store's engine is not to be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOffBy {
    /// The machine stopped while it was open, or nobody knows.
    Machine,
    /// The store failed.
    Failure,
}

impl CutOffBy {
    /// The same about a store in this directory.
    pub(crate) fn of(self, dir: &Path) -> String {
        let dir = dir.display();
        match self {
            Self::Machine => format!("the machine stopped while the store in `{dir}` was open"),
            Self::Failure => format!("the store in `{dir}` failed when it was open last"),
        }
    }
}

impl fmt::Display for CutOffBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Machine => "the machine stopped while it was open",
            Self::Failure => "the store failed while it was open",
        })
    }
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
        let text = match read_regular_text(&places.boot, SAID_BYTES_MAX) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => String::new(),
            text => text.map_err(|error| at(&places.boot)(with_way_out(error, AWAY)))?,
        };
        let said = text.strip_suffix('\n').and_then(|line| line.strip_prefix(MAGIC)?.strip_prefix(' '));
        Ok(match said.and_then(|said| said.split_once(' ')) {
            Some((_, "closed")) => LastUse::Closed,
            Some((was, "open")) if self.here(places).is_some_and(|here| here.is_where(was)) => LastUse::ThisBoot,
            Some((_, "failed")) => LastUse::CutOff(CutOffBy::Failure),
            _ => LastUse::CutOff(CutOffBy::Machine),
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

    /// Say that it failed, if that can be said.
    pub(crate) fn say_failed(&self, places: &Places) {
        let Err(error) = self.say(places, "failed") else { return };
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot say that the store has failed");
        // A directory that says nothing is not relied on either, and to remove a file takes no room.
        if let Err(error) = fs::remove_file(&places.boot).and_then(|()| sync_dir(&places.dir)) {
            tracing::warn!(%error, path = %places.boot.display(), "cannot remove it either");
        }
    }

    /// This boot, and what the directory is on.
    fn here(&self, places: &Places) -> Option<Here> {
        let device = fs::metadata(&places.dir).ok()?.dev();
        Some(Here { boot: format!("{}/{device}", self.0.as_ref()?), mount: mount_of(&places.dir) })
    }

    fn say(&self, places: &Places, stand: &str) -> Result<(), OpenError> {
        let here = self.here(places).map_or_else(|| "-".to_owned(), |here| here.to_string());
        let text = format!("{MAGIC} {here} {stand}\n");
        replace(&places.boot, &places.dir, text.as_bytes()).map_err(at(&places.boot))
    }
}

/// Where and when a store is used.
struct Here {
    /// The boot and the device.
    boot: String,
    /// The mount namespace, and the mount in it; none where Linux does not say.
    mount: Option<(u64, u64)>,
}

impl Here {
    /// Whether that was here, as [`fmt::Display`] wrote it.
    fn is_where(&self, was: &str) -> bool {
        let Some(rest) = was.strip_prefix(self.boot.as_str()) else { return false };
        if rest.is_empty() {
            return true;
        }
        let numbers = rest.strip_prefix('/').and_then(|mount| mount.split_once(':'));
        let numbers = numbers.and_then(|(space, mount)| Some((space.parse::<u64>().ok()?, mount.parse::<u64>().ok()?)));
        match (numbers, self.mount) {
            (None, _) => false,
            (Some((space, mount)), Some(now)) => space != now.0 || mount == now.1,
            (Some(_), None) => true,
        }
    }
}

impl fmt::Display for Here {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.boot)?;
        self.mount.map_or(Ok(()), |(space, mount)| write!(f, "/{space}:{mount}"))
    }
}

/// The mount namespace of this process, and the mount in it that a directory is on.
fn mount_of(dir: &Path) -> Option<(u64, u64)> {
    let found = statx(CWD, dir, AtFlags::empty(), MOUNT_UNIQUE).ok()?;
    let is_said = found.stx_mask & MOUNT_UNIQUE.bits() != 0;
    is_said.then_some((fs::metadata(MOUNT_NAMESPACE).ok()?.ino(), found.stx_mnt_id))
}

/// Replace a small file. It is there before or after, and never in part.
pub(crate) fn replace(path: &Path, dir: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("tmp");
    let mut file = create_beside(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const CUT_OFF: LastUse = LastUse::CutOff(CutOffBy::Machine);

    #[test]
    fn only_what_was_closed_or_is_of_this_boot_is_relied_on() {
        let dir = TempDir::new().unwrap();
        let places = Places::of(dir.path());
        let (this, other, unknown) = (Boot::named("this"), Boot::named("other"), Boot(None));
        let seen = |boot: &Boot| boot.last_use(&places).unwrap();
        assert_eq!(seen(&this), CUT_OFF, "nothing is said");
        this.say_open(&places).unwrap();
        assert_eq!([seen(&this), seen(&other), seen(&unknown)], [LastUse::ThisBoot, CUT_OFF, CUT_OFF]);
        this.say_closed(&places).unwrap();
        assert_eq!([seen(&this), seen(&other), seen(&unknown)], [LastUse::Closed; 3]);
        unknown.say_open(&places).unwrap();
        assert_eq!([seen(&this), seen(&unknown)], [CUT_OFF; 2]);
        this.say_failed(&places);
        assert_eq!([seen(&this), seen(&other), seen(&unknown)], [LastUse::CutOff(CutOffBy::Failure); 3]);
        // Another device, within the same boot.
        let device = fs::metadata(dir.path()).unwrap().dev();
        for (device, is_same) in [(device, true), (device + 1, false)] {
            fs::write(&places.boot, format!("{MAGIC} this/{device} open\n")).unwrap();
            assert_eq!(seen(&this) == LastUse::ThisBoot, is_same);
        }
        // The same device, on another mount: of this namespace, and of another, where that says nothing. What nobody
        // noted says nothing either.
        if let Some((space, mount)) = mount_of(dir.path()) {
            this.say_open(&places).unwrap();
            assert_eq!(
                fs::read_to_string(&places.boot).unwrap(),
                format!("{MAGIC} this/{device}/{space}:{mount} open\n")
            );
            for (noted, is_relied_on) in [
                (format!("/{space}:{mount}"), true),
                (format!("/{space}:{}", mount + 1), false),
                (format!("/{}:{}", space + 1, mount + 1), true),
                (String::new(), true),
                ("/".to_owned(), false),
                (format!("/{space}"), false),
                (format!("/{space}:{mount}:1"), false),
            ] {
                fs::write(&places.boot, format!("{MAGIC} this/{device}{noted} open\n")).unwrap();
                assert_eq!(seen(&this) == LastUse::ThisBoot, is_relied_on, "{noted}");
            }
        }
        for broken in [
            "",
            "attorn-boot 1 this open",
            "attorn-boot 1 this open\n",
            "attorn-boot 1 this\n",
            "attorn-boot 2 this open\n",
            "attorn-boot 1 this shut\n",
        ] {
            fs::write(&places.boot, broken).unwrap();
            assert_eq!(seen(&this), CUT_OFF, "{broken:?}");
        }
        fs::write(&places.boot, [0xff, 0xfe]).unwrap();
        assert_eq!(seen(&this), CUT_OFF);
    }
}
