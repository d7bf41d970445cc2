//! Every way to a target, on machines made of shell scripts.

use tempfile::TempDir;

use super::*;

/// A machine with nothing on it but what a test puts there.
struct Machine {
    root: TempDir,
    tools: Tools,
}

impl Machine {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let tools = Tools {
            rustc: root.path().join("rustc"),
            other_rustcs: vec![root.path().join("debian-rustc")],
            rustup: None,
            apt_get: None,
            linkers: Vec::new(),
        };
        let machine = Self { root, tools };
        machine.rustc("rustc", "active");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        let text = format!("#!/bin/sh\ncd '{}'\n{body}\n", self.root.path().display());
        // Written by another process: were the file open for writing here while another test starts a
        // process, that process would hold it open too, and "text file busy" would follow.
        let write = r#"printf %s "$2" > "$1" && chmod 755 "$1""#;
        let status = Command::new("sh").args(["-c", write, "sh"]).arg(&path).arg(text).status().unwrap();
        assert!(status.success());
        path
    }

    /// A compiler that answers as `rustc` does, with this directory as its sysroot.
    fn rustc(&self, name: &str, sysroot: &str) {
        let body = format!(
            "case \"$*\" in\n\
             *target-libdir*) echo \"$PWD/{sysroot}/wasm\" ;;\n\
             *sysroot*) echo \"$PWD/{sysroot}\" ;;\n\
             -vV) printf 'rustc 1.0.0\\nhost: some-host\\n' ;;\n\
             esac"
        );
        self.script(name, &body);
    }

    fn file(&self, name: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn find(&self) -> Result<StandardLibrary, String> {
        find(&self.tools, &mut |_| {}).map(|target| target.0).map_err(|error| error.to_string())
    }

    fn debian(&self) -> StandardLibrary {
        StandardLibrary::FromSource {
            rustc: self.path("debian-rustc"),
            linker: self.path("active/lib/rustlib/some-host/bin/rust-lld"),
        }
    }
}

const INSTALL_STD: &str = "mkdir -p active/wasm && : > active/wasm/libstd-0.rlib";
const LINKER: &str = "active/lib/rustlib/some-host/bin/rust-lld";
const SOURCES: &str = "debian/lib/rustlib/src/rust/library/std/Cargo.toml";

#[track_caller]
fn refused(machine: &Machine, lines: &[&str]) {
    let error = machine.find().unwrap_err();
    for line in lines {
        assert!(error.contains(line), "no {line:?} in {error}");
    }
    assert!(error.contains("\nhelp: run `rustup target add wasm32-unknown-unknown`"), "{error}");
}

#[test]
fn a_machine_with_nothing_says_what_was_tried() {
    let machine = Machine::new();
    refused(
        &machine,
        &[
            "/rustc` has no standard library for it\n",
            "\n- rustup is not on the path\n",
            "\n- no compiler here brings the sources of its standard library\n",
            "\n- there is no apt-get, or this is not root\n",
        ],
    );
}

#[test]
fn a_directory_without_the_library_is_no_target() {
    let machine = Machine::new();
    machine.file("active/wasm/libcore-0.rlib");
    refused(&machine, &["has no standard library for it"]);
}

#[test]
fn rustup_that_fails_is_not_the_end() {
    let mut machine = Machine::new();
    machine.tools.rustup = Some(machine.script("rustup", "echo 'error: component download failed' >&2; exit 1"));
    refused(&machine, &["ended with exit status: 1: error: component download failed\n"]);

    machine.rustc("debian-rustc", "debian");
    machine.file(SOURCES);
    machine.file(LINKER);
    assert_eq!(machine.find(), Ok(machine.debian()));
}

#[test]
fn rustup_that_adds_to_another_toolchain_is_not_believed() {
    let mut machine = Machine::new();
    machine.tools.rustup = Some(machine.script("rustup", ":"));
    refused(&machine, &["- rustup has added it, but not to `"]);
}

#[test]
fn apt_that_fails_is_said() {
    let mut machine = Machine::new();
    machine.tools.apt_get =
        Some(machine.script("apt-get", "echo 'E: Unable to locate package rustc-web' >&2; exit 100"));
    refused(&machine, &["ended with exit status: 100: E: Unable to locate package rustc-web\n"]);
}

#[test]
fn sources_without_a_linker_are_not_enough() {
    let mut machine = Machine::new();
    machine.rustc("debian-rustc", "debian");
    machine.file(SOURCES);
    refused(&machine, &["there is no rust-lld or wasm-ld (Debian: `lld`)"]);

    machine.tools.linkers = vec!["/usr/bin/wasm-ld".into()];
    let found = StandardLibrary::FromSource { rustc: machine.path("debian-rustc"), linker: "/usr/bin/wasm-ld".into() };
    assert_eq!(machine.find(), Ok(found));
}

#[test]
fn what_is_installed_is_taken_and_nothing_is_run() {
    let mut machine = Machine::new();
    machine.file("active/wasm/libstd-0.rlib");
    machine.tools.rustup = Some(machine.script("rustup", ": > rustup-ran"));
    assert_eq!(machine.find(), Ok(StandardLibrary::Installed));
    assert!(!machine.path("rustup-ran").exists());
}

#[test]
fn looking_gets_nothing() {
    let mut machine = Machine::new();
    machine.tools.rustup = Some(machine.script("rustup", ": > rustup-ran"));
    machine.tools.apt_get = Some(machine.script("apt-get", ": > apt-ran"));
    let error = find_here(&machine.tools).unwrap_err().to_string();
    assert!(error.contains("has no standard library for it\n"), "{error}");
    assert!(!machine.path("rustup-ran").exists() && !machine.path("apt-ran").exists());
    machine.file("active/wasm/libstd-0.rlib");
    assert_eq!(find_here(&machine.tools).unwrap().to_string(), "installed");
}

#[test]
fn rustup_can_add_it() {
    let mut machine = Machine::new();
    machine.tools.rustup = Some(machine.script("rustup", INSTALL_STD));
    assert_eq!(machine.find(), Ok(StandardLibrary::Installed));
}

#[test]
fn apt_can_install_it() {
    let mut machine = Machine::new();
    machine.rustc("debian-rustc", "debian");
    machine.file(LINKER);
    let install = format!("if [ $1 = install ]; then mkdir -p $(dirname {SOURCES}); : > {SOURCES}; fi");
    machine.tools.apt_get = Some(machine.script("apt-get", &install));
    assert_eq!(machine.find(), Ok(machine.debian()));
}
