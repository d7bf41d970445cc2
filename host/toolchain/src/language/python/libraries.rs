//! `CPython` and its libraries as modules of WebAssembly, and the modules of Python's own library, known by their digests
//! wherever they lie.
//!
//! They come, each compressed by itself, within the native library of componentize-py 0.25.1. That is read as bytes and never
//! run.

use std::io::Read as _;

use ruzstd::decoding::StreamingDecoder;

use super::Files;
use crate::project::ProjectError;

/// One of them.
pub(super) struct Library {
    /// Its file, by whose name libraries know each other.
    pub(super) file: &'static str,
    bytes: usize,
    /// The BLAKE3 digest.
    digest: &'static str,
}

impl Library {
    /// Whether these bytes are it.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.bytes && blake3::hash(bytes).to_hex().as_str() == self.digest
    }
}

/// What is linked, in this order.
pub(super) const LINKED: &[Library] = &[
    Library {
        file: "libcomponentize_py_runtime.so",
        bytes: 393_370,
        digest: "f8ad7c3715baf30d13c2de6f4c1943280692df8f53986423d32828e2763b453f",
    },
    Library {
        file: "libpython3.14.so",
        bytes: 9_388_441,
        digest: "66f33e5bb255daf06d3645230a38c80c95d1c230cd7aa9c847752d1b033902dc",
    },
    Library {
        file: "libc.so",
        bytes: 652_596,
        digest: "e016464aee7f62e323e050e37809f938b1e243a8428ff800951131bd06c6f47d",
    },
    Library {
        file: "libwasi-emulated-process-clocks.so",
        bytes: 1_072,
        digest: "5db59ddcd072aca21eea78ac4f7311cf985a708ec9b7305bc0f9020c72d18d8a",
    },
    Library {
        file: "libwasi-emulated-getpid.so",
        bytes: 407,
        digest: "c5d41e670c13457ad32100e6e164be29f012f2abd788409b04ebfb3685657ab3",
    },
    Library {
        file: "libwasi-emulated-signal.so",
        bytes: 3_567,
        digest: "97c6b7f56524d1513e4ed8e5afc6c056575635465347fca3ca20f49775f5b6dc",
    },
];

/// Modules of Python, as tar has them: its library, and what the interpreter imports of componentize-py.
pub(super) const ARCHIVES: &[Library] = &[
    Library {
        file: "library.tar",
        bytes: 12_666_368,
        digest: "287aa51b6360a8f58ae18f243dd36a7979d52b667219d416ac88fafc42391dca",
    },
    Library {
        file: "bundled.tar",
        bytes: 57_856,
        digest: "cee6b26df3b71340892bcba0b49cc48ca6b7bd3bd4b632d0d255175898d523cb",
    },
];

/// What each of them is known by.
pub(super) fn digests() -> impl Iterator<Item = &'static str> {
    LINKED.iter().chain(ARCHIVES).map(|library| library.digest)
}

/// How what is compressed begins.
const COMPRESSED: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// No more than the largest of them is decompressed of anything.
const BYTES_MAX: u64 = 13 << 20;

/// What no module imports: windows, and what explains, tests and installs Python.
const USELESS: &[&str] = &[
    "_pyrepl/",
    "config-",
    "ensurepip/",
    "idlelib/",
    "pydoc_data/",
    "test/",
    "tkinter/",
    "turtle.py",
    "turtledemo/",
    "venv/",
];

/// All of them, out of the native library of the package.
pub(super) fn within(native: &[u8]) -> Result<Vec<(&'static Library, Vec<u8>)>, ProjectError> {
    let mut missing: Vec<&Library> = LINKED.iter().chain(ARCHIVES).collect();
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(native, COMPRESSED) {
        let Some(bytes) = decompressed(&native[at..]) else { continue };
        if let Some(which) = missing.iter().position(|library| library.is(&bytes)) {
            found.push((missing.swap_remove(which), bytes));
        }
    }
    match missing.first() {
        None => Ok(found),
        Some(library) => Err(ProjectError::Tool {
            problem: format!("the package that was got does not bring `{}` as it is known here", library.file),
            help: "this is a fault of the toolchain, and not of the policy",
        }),
    }
}

fn decompressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    let decoder = StreamingDecoder::new(bytes).ok()?;
    decoder.take(BYTES_MAX).read_to_end(&mut whole).ok()?;
    Some(whole)
}

/// The modules of an archive.
pub(super) fn unpack(tar: &[u8], files: &mut Files) -> std::io::Result<()> {
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_module = std::path::Path::new(&name).extension().is_some_and(|ending| ending == "py");
        if is_module && !USELESS.iter().any(|begin| name.starts_with(begin)) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.insert(name, bytes);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_them_is_an_error() {
        let begins = [COMPRESSED, &[0; 64]].concat();
        for native in [&b""[..], COMPRESSED, &begins] {
            let error = within(native).err().unwrap().to_string();
            assert!(error.contains("does not bring `libcomponentize_py_runtime.so`"), "{error}");
        }
    }

    #[test]
    fn bytes_of_the_same_length_are_not_taken() {
        assert!(LINKED.iter().chain(ARCHIVES).all(|library| !library.is(&vec![0; library.bytes])));
    }

    #[test]
    fn of_an_archive_modules_are_taken_and_nothing_else() {
        let mut tar = tar::Builder::new(Vec::new());
        for name in ["json/__init__.py", "idlelib/run.py", "LICENSE", "tkinter/__init__.py", "site.py"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(1);
            tar.append_data(&mut header, name, &b"x"[..]).unwrap();
        }
        let mut files = Files::new();
        unpack(&tar.into_inner().unwrap(), &mut files).unwrap();
        assert_eq!(files.into_keys().collect::<Vec<_>>(), ["json/__init__.py", "site.py"]);
    }
}
