//! What `pull` refuses.

use std::process::Stdio;
use std::time::{Duration, Instant};

use attorn_tests::components;
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use serde_json::{Value, json};

use super::stub::{INDEX, MANIFEST, Registry, digest, says};
use super::{CONFIG, Desk, Ended, manifest};

const SIGNATURE: &str = "application/vnd.attorn.policy.minisign.v1";

/// What is answered in place of what should be.
type Answer = fn() -> Response;

/// A body that never ends.
fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4096]))))
}

/// A body that breaks off.
fn broken() -> Body {
    let parts = [Ok(Bytes::from_static(b"\0asm")), Err(std::io::Error::other("gone"))];
    Body::from_stream(stream::iter(parts))
}

/// A registry with the component `read-only`, tagged `1`, and the manifest's digest.
fn filled() -> (Registry, String) {
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

/// Put a signature beside a component, as a registry lists it.
fn sign(registry: &Registry, subject: &str, kind: &str, text: &str) {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": registry.put_blob(CONFIG, b"{}"),
        "layers": [registry.put_blob(kind, text.as_bytes())],
        "subject": { "mediaType": MANIFEST, "digest": subject, "size": 1 },
    });
    let bytes = serde_json::to_vec(&manifest).unwrap();
    registry.put(&digest(&bytes), MANIFEST, &manifest);
}

#[test]
fn a_signature_that_is_not_of_the_key_is_refused() {
    let desk = Desk::new();
    let (registry, subject) = filled();
    registry.kept(|kept| kept.lists_referrers = true);
    let at = registry.at(":1");
    let key = ["-o", "p.wasm", "--public-key", "release.key.pub"];
    desk.pull_refused(&at, &key, (5, "there is no signature beside it", "without `--public-key`"));
    desk.pull_refused(&at, &["--public-key", "release.key"], (2, "it is a secret key", ".pub"));

    let text = String::from_utf8(desk.read("policy.wasm.minisig")).unwrap();
    sign(&registry, &subject, "application/vnd.dev.cosign.artifact.sig.v1+json", &text);
    sign(&registry, &digest(b"another"), SIGNATURE, &text);
    sign(&registry, &subject, SIGNATURE, "untrusted comment: nothing\n");
    desk.pull_refused(&at, &key, (5, "there is no signature beside it", "without `--public-key`"));

    desk.attorn(&["new-key", "other.key"]).good();
    desk.attorn(&["sign", "policy.wasm", "--key", "other.key", "--out", "other.minisig"]).good();
    let other = String::from_utf8(desk.read("other.minisig")).unwrap();
    sign(&registry, &subject, SIGNATURE, &other);
    desk.pull_refused(&at, &key, (5, "its signature is refused: it is of the key `", "is it the key"));
    sign(&registry, &subject, SIGNATURE, &text.replace("file:policy.wasm", "file:another.wasm"));
    desk.pull_refused(&at, &key, (5, "or its trusted comment was changed", "is it the key"));
    desk.pull_refused(&at, &["-o", "p.wasm"], (1, "it has 2 signatures, of the keys `", "--unsigned"));

    // Among all of those the good one is found.
    sign(&registry, &subject, SIGNATURE, &text);
    desk.pull(&at, &key).good();
    assert_eq!(desk.read("p.wasm.minisig"), text.as_bytes());
    // A stranger's signature is not taken for that of what has none.
    desk.pull_refused(&at, &["-o", "p.wasm", "--unsigned"], (1, "`p.wasm.minisig` is there", "move it away"));
    for n in 0..16 {
        sign(&registry, &subject, SIGNATURE, &text.replace("signature of", &format!("{n} of")));
    }
    desk.pull_refused(&at, &key, (1, "signatures, more than 16", "--unsigned"));
}

#[test]
fn a_list_of_signatures_that_is_none_is_refused() {
    let desk = Desk::empty();
    let (registry, _) = filled();
    let cases: &[(Answer, &str, &str)] = &[
        (|| says(200, &[("content-type", INDEX)], "nonsense"), "the list of signatures cannot be understood", ""),
        (|| says(200, &[("content-type", INDEX)], "{\"schemaVersion\":2}"), "it has no `manifests`", ""),
        (
            || says(200, &[("content-type", INDEX)], endless()),
            "the list of signatures that the registry sends has more",
            "",
        ),
        (|| says(500, &[], ""), "refuses to list signatures: 500", ""),
    ];
    for (answer, error, help) in cases {
        let answer = *answer;
        registry.twist(move |parts| parts.uri.path().contains("/referrers/").then(answer));
        desk.pull_refused(&registry.at(":1"), &[], (1, error, help));
    }
    // A page for people is no list, and then there may be one under a tag.
    registry.twist(|parts| {
        parts.uri.path().contains("/referrers/").then(|| says(200, &[("content-type", "text/html")], "<html>"))
    });
    assert!(desk.pull(&registry.at(":1"), &[]).good().ends_with("no signature\n"));
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
    let desk = Desk::empty();
    let (registry, _) = filled();
    desk.pull_refused(&registry.at(":1"), &["-o", "none/p.wasm"], (1, "cannot write `none/p.wasm`", ""));
    desk.write("taken/x", "");
    desk.pull_refused(&registry.at(":1"), &["-o", "taken"], (1, "cannot write `taken`", ""));
    assert_eq!(desk.files(), ["taken"]);
}
