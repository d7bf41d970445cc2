//! What `pull` refuses.

use std::process::Stdio;
use std::time::{Duration, Instant};

use attorn_tests::components;
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use serde_json::{Value, json};

use super::stub::{INDEX, MANIFEST, Registry, digest, says};
use super::{Desk, Ended, manifest};

/// What is answered in place of what should be.
pub(super) type Answer = fn() -> Response;

/// A body that never ends.
pub(super) fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4096]))))
}

/// A body that breaks off.
fn broken() -> Body {
    let parts = [Ok(Bytes::from_static(b"\0asm")), Err(std::io::Error::other("gone"))];
    Body::from_stream(stream::iter(parts))
}

/// A registry with the component `read-only`, tagged `1`, and the manifest's digest.
pub(super) fn filled() -> (Registry, String) {
    let registry = Registry::start();
    let manifest = manifest(&registry, &components::bytes("read-only"));
    let digest = registry.put("1", MANIFEST, &manifest);
    (registry, digest)
}

#[test]
fn nonsense_in_place_of_a_manifest_is_refused() {
    let desk = Desk::empty();
    let (registry, _) = filled();
    let cases: &[(Answer, (i32, &str, &str))] = &[
        (
            || says(200, &[("content-type", "text/html")], "<!doctype html>"),
            (1, "answers with `text/html`", "is this a registry"),
        ),
        (|| says(200, &[("content-type", MANIFEST)], "<!doctype html>"), (1, "the manifest cannot be understood", "")),
        (|| says(200, &[("content-type", MANIFEST)], "{}"), (1, "missing field `schemaVersion`", "")),
        (|| says(200, &[("content-type", INDEX)], "{}"), (1, "a list of artifacts", "by its digest")),
        (
            || says(200, &[("content-type", MANIFEST)], endless()),
            (1, "the manifest that the registry sends has more than", ""),
        ),
        (
            || says(200, &[], "x".repeat(300 << 10)),
            (1, "the manifest that the registry sends has more than 262144", ""),
        ),
        (|| says(200, &[("content-type", MANIFEST)], broken()), (1, "the connection broke", "")),
        (|| says(204, &[], ""), (1, "refuses to give a manifest: 204", "")),
        (
            || says(500, &[], "{\"errors\":[{\"code\":\"\\u001b[2J\"}]}"),
            (1, "refuses to give a manifest: 500 Internal Server Error\n", ""),
        ),
        (|| says(403, &[], "{\"errors\":[{\"code\":\"DENIED\"}]}"), (1, ": 403 Forbidden, DENIED", "docker login")),
        (|| says(429, &[], endless()), (1, ": 429 Too Many Requests", "later")),
        (|| says(404, &[], ""), (1, "there is nothing of that name", "is the repository right")),
        (|| says(401, &[], ""), (1, "not in a way that is known here", "")),
        (|| says(401, &[("www-authenticate", "Negotiate")], ""), (1, "not in a way that is known here", "")),
        (|| says(302, &[], ""), (1, "does not say where to go on", "")),
        (|| says(304, &[], ""), (1, "does not say where to go on", "")),
    ];
    for (answer, expect) in cases {
        let answer = *answer;
        registry.twist(move |_| Some(answer()));
        desk.pull_refused(&registry.at(":1"), &[], *expect);
    }
}

#[test]
fn what_is_not_what_its_digest_says_is_refused() {
    let desk = Desk::empty();
    let (registry, named) = filled();
    let other = manifest(&registry, &components::bytes("own-data"));
    let other = registry.put("2", MANIFEST, &other);
    let kept = "nothing was kept";
    // Another manifest under the digest, and under another's name in the header.
    registry.kept(|kept| {
        let manifest = kept.manifests[&other].clone();
        kept.manifests.insert(named.clone(), manifest);
    });
    let expect = format!("the manifest that came is `{other}`, and not `{named}`");
    desk.pull_refused(&registry.at(&format!("@{named}")), &[], (5, &expect, kept));
    // A tag beside the digest counts nothing.
    desk.pull_refused(&registry.at(&format!(":2@{named}")), &[], (5, &expect, kept));
    let text = registry.kept(|kept| kept.manifests[&other].1.clone());
    let lies = named.clone();
    registry
        .twist(move |_| Some(says(200, &[("content-type", MANIFEST), ("docker-content-digest", &lies)], text.clone())));
    desk.pull_refused(&registry.at(":1"), &[], (5, "as the registry says", kept));

    let (registry, _) = filled();
    let whole = components::bytes("read-only");
    let name = digest(&whole);
    for (bytes, error) in [
        ([&whole[..whole.len() - 1], b"\x01"].concat(), format!("and not `{name}`")),
        (whole[1..].to_vec(), format!("has {} bytes, and not {}", whole.len() - 1, whole.len())),
        (Vec::new(), format!("has 0 bytes, and not {}", whole.len())),
    ] {
        registry.kept(|kept| kept.blobs.insert(name.clone(), bytes.into()));
        desk.pull_refused(&registry.at(":1"), &[], (5, &error, kept));
    }
    registry.kept(|kept| kept.blobs.insert(name.clone(), [&whole[..], b"x"].concat().into()));
    desk.pull_refused(&registry.at(":1"), &[], (1, "the component that the registry sends has more than", ""));
}

#[test]
fn bytes_that_never_end_or_lead_elsewhere_are_refused() {
    let desk = Desk::empty();
    let (registry, _) = filled();
    let cases: &[(Answer, &str, &str)] = &[
        (|| says(200, &[], endless()), "the component that the registry sends has more than", ""),
        (|| says(200, &[], broken()), "the connection broke", ""),
        (|| says(404, &[], ""), "refuses to give the component: 404", "is this a registry"),
        (
            || says(307, &[("location", "http://169.254.169.254/latest/meta-data/")], ""),
            "which is link-local",
            "whoever runs it",
        ),
        (|| says(307, &[("location", "http://[::ffff:a9fe:a9fe]/")], ""), "which is link-local", "whoever runs it"),
        (
            || says(302, &[("location", "https://[fd00:ec2::254]/")], ""),
            "which is a metadata service",
            "whoever runs it",
        ),
        (
            || says(302, &[("location", "http://10.0.0.1/x?token=secret")], ""),
            "leads to `http://10.0.0.1`, which is another",
            "whoever",
        ),
        (|| says(302, &[("location", "http://cdn.example/")], ""), "where there is no TLS", "whoever runs it"),
        (|| says(302, &[("location", "file:///etc/passwd")], ""), "which is neither https nor http", "whoever runs it"),
        (|| says(302, &[("location", "http://u:secret@127.0.0.1/")], ""), "a user or a password", "whoever runs it"),
        (|| says(307, &[("location", "again")], ""), "redirects more than 5 times", ""),
    ];
    for (answer, error, help) in cases {
        let answer = *answer;
        registry.twist(move |parts| parts.uri.path().contains("/blobs/").then(answer));
        desk.pull_refused(&registry.at(":1"), &[], (1, error, help));
    }
}

#[test]
fn what_is_no_policy_is_refused() {
    let desk = Desk::empty();
    let registry = Registry::start();
    let whole = components::bytes("read-only");
    let wasi = wat::parse_str(r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#).unwrap();
    for (bytes, error, help) in [
        (&b"#!/bin/sh"[..], "`parse`", "component"),
        (&whole[..whole.len() / 2], "failed the step `parse`", "attorn policy build"),
        (&wasi, "it imports `wasi:clocks/wall-clock@0.2.0`", "no clock"),
    ] {
        registry.put("1", MANIFEST, &manifest(&registry, bytes));
        desk.pull_refused(&registry.at(":1"), &[], (1, error, help));
    }
    let good = manifest(&registry, &whole);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        manifest
    };
    for (manifest, error) in [
        (with(&|it| it["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into()), "its config is"),
        (with(&|it| it["layers"][0]["mediaType"] = "application/x-tar".into()), "its layer is `application/x-tar`"),
        (with(&|it| it["layers"] = json!([])), "it has 0 layers"),
        (with(&|it| it["layers"][0]["size"] = (1_u64 << 40).into()), "1099511627776 bytes, more than"),
    ] {
        registry.put("1", MANIFEST, &manifest);
        desk.pull_refused(&registry.at(":1"), &[], (1, error, "attorn policy publish"));
    }
}

#[test]
fn what_nobody_vouched_for_is_compiled_by_a_process_of_its_own() {
    let desk = Desk::empty();
    let registry = Registry::start();
    registry.put("1", MANIFEST, &manifest(&registry, &components::slow_to_compile()));
    let mut command = desk.command(&["pull", &registry.at(":1"), "--plain-http"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (begun, id) = (Instant::now(), child.id());
    let children = || {
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
        threads
            .filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("children")).ok())
            .any(|children| !children.trim().is_empty())
    };
    while !children() {
        assert!(begun.elapsed() < Duration::from_mins(1), "no worker was started");
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupted = Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    Ended::of(child.wait_with_output().unwrap()).refused(1, "is not pulled: interrupted", "");
    assert!(interrupted.elapsed() < Duration::from_secs(10), "it waited for what nobody wants any more");
    assert!(desk.files().is_empty(), "{:?}", desk.files());
}

#[test]
fn an_interrupted_pull_leaves_nothing() {
    let desk = Desk::empty();
    let (registry, _) = filled();
    registry.twist(|parts| {
        let body = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        parts.uri.path().contains("/blobs/").then(|| says(200, &[], body()))
    });
    let mut command = desk.command(&["pull", &registry.at(":1"), "--plain-http"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while registry.kept(|kept| !kept.asked.iter().any(|(asked, _)| asked.contains("/blobs/"))) {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing was asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    Ended::of(child.wait_with_output().unwrap()).refused(1, "is not pulled: interrupted", "");
    assert!(desk.files().is_empty(), "{:?}", desk.files());
}

#[test]
fn where_it_cannot_be_written_nothing_is_left() {
    use std::os::unix::fs::symlink;

    let desk = Desk::empty();
    let (registry, _) = filled();
    desk.pull_refused(&registry.at(":1"), &["-o", "none/p.wasm"], (1, "cannot write `none/p.wasm`", ""));
    registry.kept(|kept| kept.asked.clear());
    desk.write("taken/x", "");
    symlink("/dev/null", desk.path().join("null")).unwrap();
    symlink("nowhere", desk.path().join("lost")).unwrap();
    symlink("taken", desk.path().join("p.wasm.minisig")).unwrap();
    for (out, named) in [
        ("taken", "taken"),
        ("null", "null"),
        ("lost", "lost"),
        ("p.wasm", "p.wasm.minisig"),
        ("/dev/null", "/dev/null"),
    ] {
        desk.pull_refused(&registry.at(":1"), &["-o", out], (1, &format!("cannot write `{named}`"), ""));
    }
    registry.kept(|kept| assert!(kept.asked.is_empty(), "{:?}", kept.asked));
    assert_eq!(desk.files(), ["lost", "null", "p.wasm.minisig", "taken"]);
    assert!(std::fs::read_link(desk.path().join("null")).is_ok());
    // A link to a file is replaced, and the file stays.
    desk.write("old", "old");
    symlink("old", desk.path().join("link")).unwrap();
    desk.pull(&registry.at(":1"), &["-o", "link"]).good();
    assert_eq!((desk.read("old"), desk.read("link")), (b"old".to_vec(), components::bytes("read-only")));
}
