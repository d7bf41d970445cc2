//! Who asks: names, passwords and tokens, and where they go.

use serde_json::json;

use super::Desk;
use super::stub::{Registry, says};

const PASSWORD: &str = "secret-one";
/// `alice:secret-one`.
const BASIC: &str = "Basic YWxpY2U6c2VjcmV0LW9uZQ==";
const TOKEN: &str = "Bearer secret-token";

const GIVEN: [&str; 4] = ["--username", "alice", "--password-file", "password"];

/// A desk whose `password` holds the password.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("password", format!("{PASSWORD}\n"));
    desk
}

/// That nothing secret was said.
#[track_caller]
fn secret(desk: &Desk, arguments: &[&str], code: i32, error: &str) {
    let ended = desk.attorn(arguments);
    assert_eq!(ended.code, code, "{}{}", ended.out, ended.said);
    assert!(ended.said.contains(error), "{}", ended.said);
    assert!(!format!("{}{}", ended.out, ended.said).contains("secret"), "{}", ended.said);
}

/// A registry that wants name and password, and says so with this challenge.
fn guarded(challenge: &'static str, authorization: &'static str) -> Registry {
    let registry = Registry::start();
    registry.twist(move |parts| {
        let good = parts.headers.get("authorization").is_some_and(|value| value == authorization);
        let message =
            json!({ "errors": [{ "code": "UNAUTHORIZED", "message": format!("not {authorization} {PASSWORD}") }] });
        (!good).then(|| says(401, &[("www-authenticate", challenge)], message.to_string()))
    });
    registry
}

#[test]
fn a_name_and_a_password_are_sent_when_they_are_asked_for() {
    let desk = desk();
    let registry = guarded("Basic realm=\"acme\"", BASIC);
    let at = registry.at(":1");
    let publish = ["publish", "policy.wasm", &at, "--plain-http"];
    secret(&desk, &publish, 1, "wants credentials, and there are none");
    desk.write("wrong", "secret-two");
    let wrong = ["--username", "alice", "--password-file", "wrong"];
    secret(&desk, &[&publish[..], &wrong].concat(), 1, "does not take the credentials");
    secret(&desk, &[&publish[..], &["--username", "a:b", "--password-file", "wrong"]].concat(), 2, "cannot be sent");
    let missing = ["--username", "alice", "--password-file", "none"];
    secret(&desk, &[&publish[..], &missing].concat(), 1, "cannot read `none`");
    desk.publish(&at, &GIVEN).good();
    // The first request of each command tells nobody anything.
    let first = registry.kept(|kept| kept.asked.first().cloned()).unwrap();
    assert_eq!(first.1, None);

    // As `docker login` leaves them, for this registry and for no other.
    let config = |registry: &str| json!({ "auths": { registry: { "auth": "YWxpY2U6c2VjcmV0LW9uZQ==" } } }).to_string();
    let pull = ["pull", &at, "--plain-http", "-o", "p.wasm"];
    desk.write("docker/config.json", config("127.0.0.1"));
    secret(&desk, &pull, 1, "wants credentials, and there are none");
    desk.write("docker/config.json", "secret");
    secret(&desk, &pull, 1, "config.json` is not as Docker writes it");
    desk.write("docker/config.json", config(&registry.address.to_string()));
    desk.attorn(&pull).good();
}

#[test]
fn a_credential_helper_is_asked_for_this_registry() {
    let desk = desk();
    let registry = guarded("Basic realm=\"acme\"", BASIC);
    desk.publish(&registry.at(":1"), &GIVEN).good();
    let config = json!({ "credHelpers": { registry.address.to_string(): "of-test" } });
    desk.write("docker/config.json", config.to_string());
    let at = registry.at(":1");
    let pull = |script: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = desk.path().join("bin/docker-credential-of-test");
        desk.write("bin/docker-credential-of-test", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = desk.command(&["pull", &at, "--plain-http", "-o", "p.wasm"]);
        let search = format!("{}:/usr/bin:/bin", desk.path().join("bin").display());
        super::Ended::of(command.env("PATH", search).output().unwrap())
    };
    for (script, error) in [
        ("echo secret; exit 1", "`docker-credential-of-test` gives no credentials: it ended with"),
        ("echo secret", "it does not speak as one"),
        ("echo credentials not found in native keychain; exit 1", "wants credentials, and there are none"),
        (r#"echo '{"Username":"<token>","Secret":"secret"}'"#, "is an identity token"),
    ] {
        let ended = pull(script);
        assert_eq!(ended.code, 1, "{script}: {}", ended.said);
        assert!(ended.said.contains(error) && !ended.said.contains("secret"), "{script}: {}", ended.said);
    }
    let asked = format!(
        r#"read -r server; [ "$1 $server" = "get {}" ] && echo '{{"ServerURL":"x","Username":"alice","Secret":"{PASSWORD}"}}'"#,
        registry.address
    );
    pull(&asked).good();
}

#[test]
fn a_token_is_had_where_the_registry_says_and_shown_to_it_alone() {
    let desk = desk();
    let (tokens, registry) = (Registry::start(), Registry::start());
    tokens.twist(|parts| {
        let good = parts.headers.get("authorization").is_some_and(|value| value == BASIC);
        Some(if good { says(200, &[], r#"{"token":"secret-token"}"#) } else { says(401, &[], PASSWORD) })
    });
    let challenge =
        format!("Bearer realm=\"http://{}/token\",service=\"acme\",scope=\"repository:all:*\"", tokens.address);
    registry.twist(move |parts| {
        let good = parts.headers.get("authorization").is_some_and(|value| value == TOKEN);
        (!good).then(|| says(401, &[("www-authenticate", &challenge)], ""))
    });
    let at = registry.at(":1");
    secret(&desk, &["publish", "policy.wasm", &at, "--plain-http"], 1, "wants credentials, and there are none");
    desk.publish(&at, &GIVEN).good();
    let asked = tokens.kept(|kept| kept.asked.last().cloned()).unwrap();
    let scope = "scope=repository%3Aacme%2Fread-only%3Apull%2Cpush";
    assert_eq!(asked, (format!("GET /token?service=acme&{scope}"), Some(BASIC.to_owned())));
    // The registry itself sees the token and never the password.
    registry.kept(|kept| assert!(kept.asked.iter().all(|(_, sent)| sent.as_deref() != Some(BASIC))));

    for (answer, error) in [
        ("{}", "is no token"),
        ("secret", "is no token"),
        (r#"{"token":"secret\u0000"}"#, "is no token"),
        (r#"{"token":""}"#, "is no token"),
        (r#"{"access_token":"secret-other"}"#, "does not take the credentials"),
    ] {
        tokens.twist(move |_| Some(says(200, &[], answer)));
        secret(&desk, &[&["pull", &at, "--plain-http"], &GIVEN[..]].concat(), 1, error);
    }
    tokens.twist(|_| Some(says(200, &[], "x".repeat(70_000))));
    secret(
        &desk,
        &[&["pull", &at, "--plain-http"], &GIVEN[..]].concat(),
        1,
        "the token that the registry sends has more",
    );
    tokens.twist(|_| Some(says(302, &[("location", "http://127.0.0.1:1/")], "")));
    secret(&desk, &[&["pull", &at, "--plain-http"], &GIVEN[..]].concat(), 1, "refuses a token: 302");
    for realm in
        ["http://localhost:1/token", "http://169.254.169.254/token", "http://tokens.example/", "tokens", "file:///x"]
    {
        registry.twist(move |_| Some(says(401, &[("www-authenticate", &format!("Bearer realm=\"{realm}\""))], "")));
        secret(&desk, &[&["pull", &at, "--plain-http"], &GIVEN[..]].concat(), 1, "the registry ");
    }
}

#[test]
fn without_tls_no_proxy_sees_anything() {
    let desk = desk();
    let (registry, proxy, store) = (guarded("Basic realm=\"acme\"", BASIC), Registry::start(), Registry::start());
    let proxied = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env(name, format!("http://{}", proxy.address));
        }
        super::Ended::of(command.output().unwrap())
    };
    let at = registry.at(":1");
    proxied(&[&["publish", "policy.wasm", &at, "--plain-http"], &GIVEN[..]].concat()).good();
    registry.kept(|kept| store.kept(|stored| stored.blobs = kept.blobs.clone()));
    let away = store.address;
    registry.twist(move |parts| {
        let to = format!("http://{away}{}", parts.uri);
        parts.uri.path().contains("/blobs/").then(|| says(307, &[("location", &to)], ""))
    });
    proxied(&[&["pull", &at, "--plain-http", "-o", "p.wasm"], &GIVEN[..]].concat()).good();
    assert!(store.kept(|kept| !kept.asked.is_empty()));
    proxy.kept(|kept| assert!(kept.asked.is_empty(), "{:?}", kept.asked));
    // With TLS it is the proxy that connects, wherever it is itself.
    let mut command = desk.command(&["pull", "registry.example/acme/read-only:1"]);
    command.env("HTTPS_PROXY", format!("http://localhost:{}", proxy.address.port()));
    super::Ended::of(command.output().unwrap()).refused(1, "could not be reached", "");
    let asked = proxy.kept(|kept| kept.asked.clone());
    assert_eq!(asked, [("CONNECT registry.example:443".to_owned(), None)]);
}

#[test]
fn nothing_secret_goes_where_a_redirect_leads() {
    let desk = desk();
    let registry = guarded("Basic realm=\"acme\"", BASIC);
    desk.publish(&registry.at(":1"), &[&GIVEN[..], &["--unsigned"]].concat()).good();
    let store = Registry::start();
    registry.kept(|kept| store.kept(|stored| stored.blobs = kept.blobs.clone()));
    let away = store.address;
    registry.twist(move |parts| {
        if parts.headers.get("authorization").is_none() {
            return Some(says(401, &[("www-authenticate", "Basic realm=\"acme\"")], ""));
        }
        let to = format!("http://{away}{}", parts.uri);
        parts.uri.path().contains("/blobs/").then(|| says(307, &[("location", &to)], ""))
    });
    let pull = [&GIVEN[..], &["-o", "p.wasm", "--unsigned"]].concat();
    desk.pull(&registry.at(":1"), &pull).good();
    assert_eq!(desk.read("p.wasm"), desk.read("policy.wasm"));
    // Nor does it when whoever is there asks for it.
    store.twist(|_| Some(says(401, &[("www-authenticate", "Basic realm=\"acme\"")], "")));
    desk.pull(&registry.at(":1"), &pull).refused(1, "refuses to give the component: 401", "docker login");
    store.kept(|kept| {
        assert!(kept.asked.len() == 2 && kept.asked.iter().all(|(_, sent)| sent.is_none()), "{:?}", kept.asked);
    });
}
