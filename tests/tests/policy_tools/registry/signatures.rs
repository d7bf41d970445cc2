//! What stands beside a component as its signatures, and what of it is taken.

use attorn_tests::components;
use axum::body::Bytes;
use serde_json::{Value, json};

use super::pull::{Answer, endless, filled};
use super::stub::{INDEX, MANIFEST, Registry, digest, says};
use super::{CONFIG, Desk};

const SIGNATURE: &str = "application/vnd.attorn.policy.minisign.v1";

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
    desk.pull_refused(&at, &key, (5, "there is no signature beside it", "publish --public-key"));
    desk.pull_refused(&at, &["--public-key", "release.key"], (2, "it is a secret key", ".pub"));

    let text = String::from_utf8(desk.read("policy.wasm.minisig")).unwrap();
    sign(&registry, &subject, "application/vnd.dev.cosign.artifact.sig.v1+json", &text);
    sign(&registry, &digest(b"another"), SIGNATURE, &text);
    sign(&registry, &subject, SIGNATURE, "untrusted comment: nothing\n");
    desk.pull_refused(&at, &key, (5, "there is no signature beside it", "publish --public-key"));

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
    for n in 0..64 {
        sign(&registry, &subject, SIGNATURE, &text.replace("signature of", &format!("{n} of")));
    }
    desk.pull_refused(&at, &["-o", "q.wasm"], (1, "it has more than 64 signatures", "--public-key"));
    desk.attorn(&["new-key", "third.key"]).good();
    let third = ["-o", "p.wasm", "--public-key", "third.key.pub"];
    desk.pull_refused(&at, &third, (5, "; there are more than the 64 that were looked at", "is it the key"));
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

/// Put a list of referrers there as whoever pushes keeps it.
fn list(registry: &Registry, subject: &str, entries: &[Value]) {
    let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    registry.put(&subject.replace(':', "-"), INDEX, &list);
}

#[test]
fn what_is_odd_beside_a_component_keeps_nobody_from_its_signature() {
    let desk = Desk::new();
    let (registry, subject) = filled();
    let at = registry.at(":1");
    let entry = |digest: &str, size: usize| json!({ "mediaType": MANIFEST, "artifactType": SIGNATURE, "digest": digest, "size": size });
    let odd = |change: &dyn Fn(&mut Value)| {
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SIGNATURE,
            "config": registry.put_blob(CONFIG, b"{}"), "layers": [registry.put_blob(SIGNATURE, b"x")],
            "subject": { "mediaType": MANIFEST, "digest": subject, "size": 1 },
        });
        change(&mut manifest);
        entry(&registry.put(&digest(manifest.to_string().as_bytes()), MANIFEST, &manifest), 1)
    };
    let lies = digest(b"lies");
    registry.kept(|kept| kept.manifests.insert(lies.clone(), (MANIFEST.into(), Bytes::from_static(b"{}"))));
    let page = digest(b"<html>");
    registry.kept(|kept| kept.manifests.insert(page.clone(), ("text/html".into(), Bytes::from_static(b"<html>"))));
    let nobody = digest(b"nobody has it");
    let mut entries = vec![
        json!({ "mediaType": MANIFEST, "artifactType": SIGNATURE }),
        entry("sha512:00", 1),
        entry(&lies, 2),
        entry(&page, 2),
        odd(&|it| it["schemaVersion"] = 1.into()),
        odd(&|it| it["layers"][0]["digest"] = "sha256:00".into()),
        odd(&|it| it["layers"][0]["digest"] = nobody.clone().into()),
        odd(&|it| it["layers"][0]["size"] = (1_u64 << 40).into()),
        odd(&|it| it["layers"][0]["size"] = 7.into()),
        // These are not ours, or none any more, and nobody asks for them.
        entry(&nobody, 1),
        entry(&subject, 1),
        entry(&digest(b"large"), 1 << 30),
        json!({ "mediaType": MANIFEST, "artifactType": "x/y", "digest": 7 }),
        Value::Null,
    ];
    list(&registry, &subject, &entries);
    let key = ["-o", "p.wasm", "--public-key", "release.key.pub"];
    let (said, help) = ("9 of what stands beside it as signatures could not be read: ", "publish --public-key");
    let before = desk.files();
    let ended = desk.pull(&at, &key);
    assert!(!ended.said.contains("--unsigned"), "{}", ended.said);
    ended.refused(5, said, help);
    assert_eq!(desk.files(), before);

    let text = desk.read("policy.wasm.minisig");
    entries.push(odd(&|it| it["layers"] = json!([registry.put_blob(SIGNATURE, &text)])));
    list(&registry, &subject, &entries);
    desk.pull(&at, &key).good();
    assert_eq!(desk.read("p.wasm.minisig"), text);
    // Without a key it is brought, and what was passed over is said.
    let ended = desk.pull(&at, &["-o", "q.wasm"]);
    assert!(ended.code == 0 && ended.said.contains(said), "{}{}", ended.out, ended.said);
    assert_eq!(desk.read("q.wasm.minisig"), text);
}

#[test]
fn signatures_are_found_on_later_pages_of_the_registry() {
    let desk = Desk::new();
    let (registry, subject) = filled();
    desk.publish(&registry.at(":1"), &["--move-tag"]).good();
    let published = registry.manifest("1").unwrap();
    assert_eq!(published["layers"][0]["digest"], digest(&components::bytes("read-only")));
    let signed = registry.kept(|kept| kept.manifests["1"].1.clone());
    let all = registry.manifest(&digest(&signed).replace(':', "-")).unwrap().to_string();
    let empty = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }).to_string();
    let pages = move |registry: &Registry, last: usize, to: &'static str| {
        let (all, empty) = (all.clone(), empty.clone());
        registry.twist(move |parts| {
            parts.uri.path().contains("/referrers/").then(|| {
                let page =
                    parts.uri.query().and_then(|query| query.strip_prefix("page=")).map_or(0, |n| n.parse().unwrap());
                if page == last {
                    return says(200, &[("content-type", INDEX)], all.clone());
                }
                let link = format!("<{to}?page={}>; rel=\"next\"", page + 1);
                says(200, &[("content-type", INDEX), ("link", &link)], empty.clone())
            })
        });
    };
    let at = registry.at(":1");
    let key = ["-o", "p.wasm", "--public-key", "release.key.pub"];
    let list = Box::leak(format!("/v2/acme/read-only/referrers/{subject}").into_boxed_str());
    pages(&registry, 1_000, list);
    let (more, none) = ("there are more than the 0 that were looked at", "publish --public-key");
    desk.pull_refused(&at, &key, (5, more, none));
    desk.pull_refused(&at, &["-o", "p.wasm"], (1, "it has more than 0 signatures", "--unsigned"));
    // Each of these asked eight times.
    let asked = registry.kept(|kept| kept.asked.iter().filter(|(asked, _)| asked.contains("/referrers/")).count());
    assert_eq!(asked, 16);
    for to in ["http://169.254.169.254/", "http://127.0.0.1:1/", "https://registry.example/", "http://["] {
        pages(&registry, 1, to);
        desk.pull_refused(&at, &key, (1, "goes on where the registry is not", "whoever runs it"));
    }
    for last in [0, 1, 7] {
        pages(&registry, last, list);
        desk.pull(&at, &key).good();
    }
}

#[test]
fn what_is_verified_and_not_what_was_meant_is_said() {
    let desk = Desk::new();
    let registry = Registry::start();
    let version = {
        let out = desk.attorn(&["inspect", "policy.wasm", "--json"]).good();
        serde_json::from_str::<Value>(&out).unwrap()["version"].as_str().unwrap().to_owned()
    };
    let key = ["-o", "p.wasm", "--public-key", "release.key.pub"];
    for (tag, warns) in [(version.as_str(), false), (&format!("v{version}"), false), ("latest", false), ("9.9.9", true)]
    {
        let at = registry.at(&format!(":{tag}"));
        desk.publish(&at, &[]).good();
        let ended = desk.pull(&at, &key);
        let expect = format!("warning: it says that it is of the version `{version}`, and `9.9.9` was asked for\n");
        assert_eq!((ended.code, ended.said.as_str()), (0, if warns { expect.as_str() } else { "" }), "{tag}");
        assert!(ended.out.contains(&format!("\npolicy read-only {version}, as it says itself\n")), "{}", ended.out);
        assert!(ended.out.contains("\ncomment timestamp:"), "{}", ended.out);
    }
    // Another policy of the same signer.
    desk.write("policy.wasm", components::bytes("own-data"));
    desk.attorn(&["sign", "policy.wasm", "--key", "release.key", "--out", "own.minisig"]).good();
    desk.publish(&registry.at(":latest"), &["--signature", "own.minisig", "--move-tag"]).good();
    let ended = desk.pull(&registry.at(":latest"), &key);
    assert_eq!(ended.said, "warning: it calls itself `own-data`, and `read-only` was asked for\n");
    let out = desk.pull(&registry.at(":latest"), &[&key[..], &["--json"]].concat()).good();
    let wire: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(wire["warnings"], json!(["it calls itself `own-data`, and `read-only` was asked for"]));
    assert!(wire["signature"]["trusted_comment"].as_str().unwrap().contains("blake3:"), "{out}");
}
