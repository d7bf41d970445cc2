//! Bundles that are taken, and those that are not.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::*;

const MODULE: &str = "package app.authz\n\nallow if input.user";

/// An archive of these: path, kind, content.
fn archive(entries: &[(&str, EntryType, &[u8])]) -> tempfile::NamedTempFile {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, kind, content) in entries {
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        // As they are, also those that the crate would refuse to write.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    let bytes = builder.into_inner().unwrap().finish().unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    file
}

fn files(entries: &[(&str, &str)]) -> tempfile::NamedTempFile {
    let entries: Vec<_> = entries.iter().map(|(path, text)| (*path, EntryType::Regular, text.as_bytes())).collect();
    archive(&entries)
}

#[track_caller]
fn refuses(file: &tempfile::NamedTempFile, problem: &str) {
    let error = read(file.path()).unwrap_err().to_string();
    assert!(error.contains(problem), "{error}");
}

#[test]
fn hostile_archives_are_refused_whole() {
    let module = ("a.rego", EntryType::Regular, MODULE.as_bytes());
    let large = vec![b'#'; 1 << 20];
    let huge = vec![0; 17 << 20];
    for (entry, problem) in [
        (("../evil.rego", EntryType::Regular, &b"x"[..]), "`../evil.rego`: it leads out of the bundle"),
        (("a/../../evil.rego", EntryType::Regular, b"x"), "it leads out of the bundle"),
        (("link.rego", EntryType::Symlink, b""), "`link.rego`: it is a link or a device"),
        (("hard.rego", EntryType::Link, b""), "`hard.rego`: it is a link or a device"),
        (("pipe", EntryType::Fifo, b""), "`pipe`: it is a link or a device"),
        (("./a.rego", EntryType::Regular, b"package b"), "`a.rego`: it is there twice"),
        (("b.rego", EntryType::Regular, &large), "`b.rego`: with it there are more than 1048576 bytes"),
        (("zeros.bin", EntryType::Regular, &huge), "it comes to more than 16777216 bytes"),
        (("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a.rego", EntryType::Regular, b"x"), "directories nest deeper than 16"),
        (("b.rego", EntryType::Regular, b"\xff"), "`b.rego`: it is no UTF-8"),
    ] {
        refuses(&archive(&[module, entry]), problem);
    }
    let many: Vec<String> = (0..2_000).map(|at| format!("{at}.txt")).collect();
    let many = many.iter().map(|path| (path.as_str(), EntryType::Regular, &b""[..]));
    refuses(&archive(&many.chain([module]).collect::<Vec<_>>()), "there are more than 2000 files");
    let mut cut = tempfile::NamedTempFile::new().unwrap();
    let whole = fs::read(archive(&[module]).path()).unwrap();
    cut.write_all(&whole[..whole.len() / 2]).unwrap();
    refuses(&cut, "cannot read `");
    let mut none = tempfile::NamedTempFile::new().unwrap();
    none.write_all(b"package a").unwrap();
    refuses(&none, "cannot read `");
}

/// The checksum and the length stand in the last eight bytes, after all that tar reads.
#[test]
fn an_archive_whose_checksum_does_not_fit_is_refused() {
    let whole = fs::read(files(&[("a.rego", MODULE)]).path()).unwrap();
    for at in 1..=8 {
        let mut bytes = whole.clone();
        let last = bytes.len() - at;
        bytes[last] ^= 1;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        refuses(&file, "cannot read `");
        file.as_file().set_len(last as u64).unwrap();
        refuses(&file, "cannot read `");
    }
    // A second member that is filled up with zeros is none; one with an archive in it is.
    for (more, refused) in [(vec![0; 1_024], false), (gunzipped(&whole), true)] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        member.write_all(&more).unwrap();
        file.write_all(&whole).unwrap();
        file.write_all(&member.finish().unwrap()).unwrap();
        if refused {
            refuses(&file, "something stands after the end of the archive");
        } else {
            read(file.path()).unwrap();
        }
    }
}

fn gunzipped(bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes), &mut all).unwrap();
    all
}

#[test]
fn what_is_no_bundle_of_text_is_refused() {
    for (path, text, problem) in [
        ("policy.wasm", "", "`policy.wasm`: it is compiled"),
        ("data.yaml", "a: 1", "`data.yaml`: data is taken from `data.json` alone"),
        ("data.json", "[1]", "`data.json`: invalid type"),
        ("data.json", "{\"a\":{\"b\":1,\"b\":2}}", "`data.json`: the key \"b\" stands twice"),
        (".manifest", "{\"roots\":[],\"roots\":[\"\"]}", "`.manifest`: the key \"roots\" stands twice"),
        ("data.json", "{\"a\":1e400}", "`data.json`: "),
        ("x/data.json", "{\"a\":1}", "`x/data.json`: `data.x.a` is in another file, too"),
        (".manifest", "{\"roots\":[\"other\"]}", "its package `app.authz` is outside of the roots"),
        (".manifest", "{\"roots\":[\"app\"]}", "`data.x` is outside of the roots"),
        (".manifest", "{\"wasm\":[{}]}", "`.manifest`: it has `wasm`"),
        (".manifest", "{\"rego_version\":2}", "`rego_version` is 2"),
    ] {
        let file =
            files(&[("z.rego", MODULE), ("b.rego", MODULE), (path, text), ("x.json", "{}"), ("a/data.json", "{}")]);
        let with_data = files(&[("z.rego", MODULE), ("x/a/data.json", "{\"b\":1}"), (path, text)]);
        refuses(if problem.contains("data.x") { &with_data } else { &file }, problem);
    }
    refuses(&files(&[("data.json", "{}"), ("a_test.rego", MODULE)]), "there is no `*.rego` in");
}

#[test]
fn a_bundle_of_opa_comes_to_settings() {
    let manifest = r#"{"revision":"7","roots":["app","roles/users"],"rego_version":0,"metadata":{}}"#;
    let file = files(&[
        ("/.manifest", manifest),
        ("/.signatures.json", "{}"),
        ("/data.json", r#"{"app":{"limit":3}}"#),
        ("/roles/users/data.json", r#"{"alice":["reader"]}"#),
        ("/app/authz.rego", MODULE),
        ("/app/authz_test.rego", "package app.authz_test"),
        ("/README.md", "x"),
    ]);
    let bundle = read(file.path()).unwrap();
    let settings = json!({
        "modules": { "app/authz.rego": MODULE },
        "data": { "app": { "limit": 3 }, "roles": { "users": { "alice": ["reader"] } } },
        "rego_version": 0,
    });
    assert_eq!(serde_json::Value::from(bundle.settings), settings);
    assert_eq!(bundle.left_out.len(), 3, "{:?}", bundle.left_out);
}

#[test]
fn a_directory_comes_to_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| directory.path().join(path);
    fs::create_dir_all(at("app/.git")).unwrap();
    fs::write(at("app/authz.rego"), MODULE).unwrap();
    fs::write(at("app/.git/x.rego"), "nothing").unwrap();
    fs::write(at("app/data.json"), r#"{"limit":3}"#).unwrap();
    let bundle = read(directory.path()).unwrap();
    let settings = json!({ "modules": { "app/authz.rego": MODULE }, "data": { "app": { "limit": 3 } } });
    assert_eq!(serde_json::Value::from(bundle.settings), settings);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/passwd", at("app/link.rego")).unwrap();
        let error = read(directory.path()).unwrap_err().to_string();
        assert_eq!(error, "`app/link.rego`: it is a link, and only files and directories are taken");
    }
    let error = read(&at("nowhere")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read `"), "{error}");
}
