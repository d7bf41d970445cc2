//! What `publish` refuses, and what a registry may do to it.

use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;

use super::stub::{MANIFEST, Registry, digest, says};
use super::{Desk, Ended};

/// Which requests are answered otherwise.
type Which = Box<dyn Fn(&Parts) -> bool + Send + Sync>;
/// And what with.
type Answer = Box<dyn Fn() -> Response + Send + Sync>;

/// Publish, and see that it is refused and nothing is tagged.
#[track_caller]
fn refused(desk: &Desk, registry: &Registry, more: &[&str], (code, error, help): (i32, &str, &str)) {
    desk.publish(&registry.at(":1"), more).refused(code, error, help);
    assert!(registry.manifest("1").is_none(), "{error}");
}

#[test]
fn what_no_policy_can_be_goes_nowhere() {
    let (desk, registry) = (Desk::new(), Registry::start());
    let whole = desk.read("policy.wasm");
    desk.write("cut.wasm", &whole[..whole.len() / 2]);
    desk.write("core.wasm", b"\0asm\x01\0\0\0");
    desk.write("script.wasm", b"#!/bin/sh\n");
    let wasi = wat::parse_str(r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#).unwrap();
    desk.write("wasi.wasm", wasi);
    let large = std::fs::File::create(desk.path().join("large.wasm")).unwrap();
    large.set_len((32 << 20) + 1).unwrap();
    for (file, error, help) in [
        ("none.wasm", "cannot read `none.wasm`", ""),
        ("cut.wasm", "failed the step `parse`", "attorn policy build"),
        ("core.wasm", "a core WebAssembly module, not a component", "component"),
        ("script.wasm", "it does not begin as WebAssembly does", "component"),
        ("wasi.wasm", "it imports `wasi:cli/environment@0.2.0`", ""),
        ("large.wasm", "has more than 33554432 bytes", ""),
    ] {
        let Ended { code, out, said } = desk.attorn(&["publish", file, &registry.at(":1"), "--plain-http"]);
        assert_eq!((code, out.as_str()), (1, ""), "{file}: {said}");
        assert!(said.contains(error) && said.contains(help), "{file}: {said}");
    }
    registry.kept(|kept| assert!(kept.asked.is_empty(), "{:?}", kept.asked));
}

#[test]
fn a_place_that_is_none_is_refused() {
    let (desk, registry) = (Desk::new(), Registry::start());
    let usage = |reference: &str, more: &[&str], error: &str, help: &str| {
        desk.attorn(&[&["publish", "policy.wasm", reference], more].concat()).refused(2, error, help);
    };
    let at = |rest: &str| registry.at(rest);
    let pinned = format!("@{}", digest(b"x"));
    usage(&at(&pinned), &["--plain-http"], "and not where something goes", "a tag and no digest");
    usage(&at(&format!(":1{pinned}")), &["--plain-http"], "and not where something goes", "a tag and no digest");
    usage(
        "registry.example/a:1",
        &["--plain-http"],
        "a registry on this machine, and `registry.example` is none",
        "SSL_CERT_FILE",
    );
    for reference in ["read-only:1", "localhost/../a:1", "localhost/a", "http://localhost/a:1", "localhost/a:1 b"] {
        let Ended { code, said, .. } = desk.attorn(&["publish", "policy.wasm", reference]);
        assert!(code == 2 && said.contains("it is no reference: "), "{reference}: {said}");
    }
    // It speaks TLS unless it is told otherwise.
    let at = at(":1");
    let spoken = desk.attorn(&["publish", "policy.wasm", &at]);
    spoken.refused(1, "could not be reached, or the connection broke", "takes `--plain-http`");
    desk.attorn(&["publish", "policy.wasm", "169.254.169.254/a:1"]).refused(1, "which is link-local", "");
    registry.kept(|kept| assert!(kept.asked.is_empty(), "{:?}", kept.asked));
}

#[test]
fn a_signature_of_something_else_goes_nowhere() {
    let (desk, registry) = (Desk::new(), Registry::start());
    let (signature, policy) = (desk.read("policy.wasm.minisig"), desk.read("policy.wasm"));
    desk.write("policy.wasm", attorn_tests::components::bytes("own-data"));
    refused(&desk, &registry, &[], (5, "the signature says that it is of the component", "attorn policy sign"));
    desk.write("policy.wasm", &policy);
    desk.write("policy.wasm.minisig", &signature[..signature.len() - 10]);
    refused(&desk, &registry, &[], (5, "or is cut off", ""));
    refused(&desk, &registry, &["--signature", "none.minisig"], (1, "cannot read `none.minisig`", ""));
    registry.kept(|kept| assert!(kept.asked.is_empty(), "{:?}", kept.asked));

    // One that says nothing of what it is of is compared with a key alone.
    desk.attorn(&["new-key", "other.key"]).good();
    desk.attorn(&["sign", "policy.wasm", "--key", "other.key"]).good();
    let key = ["--public-key", "release.key.pub"];
    refused(&desk, &registry, &key, (5, "its signature is refused: it is of the key `", "nothing was sent"));
    let text = String::from_utf8(signature.clone()).unwrap();
    let silent: String = text.split('\t').filter(|part| !part.starts_with("blake3:")).collect::<Vec<_>>().join("\t");
    let last = text.lines().next_back().unwrap();
    desk.write("policy.wasm.minisig", if silent.ends_with('\n') { silent } else { format!("{silent}\n{last}\n") });
    refused(&desk, &registry, &key, (5, "its signature is refused: ", "nothing was sent"));
    std::fs::remove_file(desk.path().join("policy.wasm.minisig")).unwrap();
    refused(&desk, &registry, &key, (5, "there is no signature", "--signature FILE"));
    registry.kept(|kept| assert!(kept.asked.is_empty(), "{:?}", kept.asked));
    desk.write("policy.wasm.minisig", &signature);
    let ended = desk.publish(&registry.at(":2"), &[]);
    assert!(ended.code == 0 && ended.said.contains("nobody compared it with the component"), "{}", ended.said);
    let ended = desk.publish(&registry.at(":2"), &key);
    assert!(ended.code == 0 && ended.said.is_empty(), "{}", ended.said);
    assert!(ended.out.contains("\nverified: signed with the key "), "{}", ended.out);
    registry.kept(|kept| kept.manifests.clear());

    let out = desk.publish(&registry.at(":1"), &["--unsigned"]).good();
    assert!(!out.contains("signature"), "{out}");
    assert_eq!(registry.kept(|kept| kept.manifests.len()), 2);
}

#[test]
fn a_registry_that_takes_it_by_halves_has_nothing_tagged() {
    let desk = Desk::new();
    let other = digest(b"other");
    let is = |method: &'static Method, part: &'static str| {
        move |parts: &Parts| parts.method == method && parts.uri.to_string().contains(part)
    };
    let cases: Vec<(Which, Answer, (i32, &str, &str))> = vec![
        (
            Box::new(is(&Method::POST, "uploads")),
            Box::new(|| says(403, &[], "{\"errors\":[{\"code\":\"DENIED\"}]}")),
            (1, "refuses an upload: 403 Forbidden, DENIED", "docker login"),
        ),
        (
            Box::new(is(&Method::POST, "uploads")),
            Box::new(|| says(202, &[], "")),
            (1, "does not say where to go on", ""),
        ),
        (
            Box::new(is(&Method::POST, "uploads")),
            Box::new(|| says(202, &[("location", "http://169.254.169.254/")], "")),
            (1, "which is link-local", "whoever runs it"),
        ),
        (
            Box::new(is(&Method::POST, "uploads")),
            Box::new(|| says(307, &[("location", "/elsewhere")], "")),
            (1, "the registry redirects an upload", ""),
        ),
        (
            Box::new(is(&Method::PUT, "uploads")),
            Box::new(|| says(413, &[], "too large")),
            (1, "refuses what was uploaded: 413", ""),
        ),
        (
            Box::new(is(&Method::PUT, "manifests")),
            Box::new(|| says(400, &[], "{\"errors\":[{\"code\":\"MANIFEST_INVALID\"}]}")),
            (1, "refuses the manifest: 400 Bad Request, MANIFEST_INVALID", ""),
        ),
        (
            Box::new(is(&Method::PUT, "manifests")),
            Box::new(move || says(201, &[("docker-content-digest", &other)], "")),
            (5, "and calls it `", "nothing was kept"),
        ),
        (
            Box::new(is(&Method::PUT, "manifests/sha256-")),
            Box::new(|| says(500, &[], "")),
            (1, "refuses the manifest: 500", ""),
        ),
        (
            Box::new(is(&Method::PUT, "manifests/sha256-")),
            Box::new(|| says(201, &[], "")),
            (1, "the signature does not stay in the list", "try again"),
        ),
        (
            Box::new(is(&Method::GET, "manifests/sha256-")),
            Box::new(|| says(200, &[("content-type", MANIFEST)], "{}")),
            (1, "answers with", "is this a registry"),
        ),
    ];
    for (which, answer, expect) in cases {
        let registry = Registry::start();
        registry.twist(move |parts| which(parts).then(&answer));
        refused(&desk, &registry, &[], expect);
        registry.honest();
        desk.publish(&registry.at(":1"), &[]).good();
    }
}

#[test]
fn what_others_put_beside_a_component_stays() {
    let (desk, registry) = (Desk::new(), Registry::start());
    desk.publish(&registry.at(":1"), &[]).good();
    desk.attorn(&["new-key", "second.key"]).good();
    desk.attorn(&["sign", "policy.wasm", "--key", "second.key"]).good();
    desk.publish(&registry.at(":1"), &[]).good();
    for key in ["release.key.pub", "second.key.pub"] {
        desk.pull(&registry.at(":1"), &["-o", "p.wasm", "--public-key", key]).good();
    }
    desk.pull_refused(&registry.at(":1"), &[], (1, "it has 2 signatures", "--public-key"));
}

#[test]
fn a_tag_that_leads_to_another_component_stays_there_unless_it_is_to_be_moved() {
    let (desk, registry) = (Desk::new(), Registry::start());
    desk.publish(&registry.at(":1"), &[]).good();
    let before = registry.manifest("1").unwrap();
    desk.write("policy.wasm", attorn_tests::components::bytes("own-data"));
    registry.kept(|kept| kept.asked.clear());
    desk.publish(&registry.at(":1"), &["--unsigned"]).refused(
        1,
        "the tag `1` leads to another one, sha256:",
        "--move-tag",
    );
    registry.kept(|kept| assert!(kept.asked.iter().all(|(asked, _)| asked.starts_with("GET ")), "{:?}", kept.asked));
    assert_eq!(registry.manifest("1").unwrap(), before);
    let out = desk.publish(&registry.at(":1"), &["--unsigned", "--move-tag"]).good();
    assert!(out.contains("\nmoved the tag `1`, which led to sha256:"), "{out}");
    assert_ne!(registry.manifest("1").unwrap(), before);
    // It leads there now, and moves nowhere.
    let out = desk.publish(&registry.at(":1"), &["--unsigned", "--move-tag", "--json"]).good();
    assert!(out.contains("\"moved_from\": null") || out.contains("\"moved_from\":null"), "{out}");

    // Whatever stands there is moved if that is wanted.
    registry.put("1", super::stub::INDEX, &serde_json::json!({ "schemaVersion": 2, "manifests": [] }));
    assert_ne!(desk.publish(&registry.at(":1"), &["--unsigned"]).code, 0);
    desk.publish(&registry.at(":1"), &["--unsigned", "--move-tag"]).good();
}

#[test]
fn a_tag_that_names_another_version_is_said() {
    let (desk, registry) = (Desk::new(), Registry::start());
    let ended = desk.publish(&registry.at(":7.7.7"), &["--public-key", "release.key.pub"]);
    assert_eq!(ended.code, 0, "{}", ended.said);
    assert!(
        ended.said.starts_with("warning: the tag says `7.7.7`, and the component says that it is of the version `"),
        "{}",
        ended.said
    );
}
