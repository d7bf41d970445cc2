use super::*;

const GOOD: &str = r#"
    listen = "127.0.0.1:7400"
    public_url = "http://127.0.0.1:7400"
    data_dir = "data"
    root_key = "root.key"
    log_id = "log-1"
    tls = "none"
"#;

#[track_caller]
fn refused(from: &str, to: &str, message: &str) {
    let error = Config::parse(&GOOD.replace(from, to), Path::new("/etc/attorn.toml")).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn what_is_unsafe_or_unclear_is_refused() {
    refused("tls = \"none\"", "tls = \"none\"\nport = 1", "unknown field `port`");
    refused("tls = \"none\"", "", "missing field `tls`");
    refused("tls = \"none\"", "tls = \"off\"", "`off` is neither");
    refused("tls = \"none\"", "tls = \"server\"", "`tls_certificate` in `/etc/attorn.toml`: tls = \"server\" needs");
    refused("tls = \"none\"", "tls = \"server\"\ntls_certificate = \"c\"", "`tls_key` in");
    let files = "tls_certificate = \"c\"\ntls_key = \"k\"";
    refused("tls = \"none\"", &format!("tls = \"server\"\n{files}"), "is not https");
    refused("tls = \"none\"", &format!("tls = \"none\"\n{files}"), "means something only with tls = \"server\"");
    for rate in ["0", "-1", "1000001", "4294967297"] {
        let message = format!("`{rate}` is not between 1 and 1000000");
        refused("tls = \"none\"", &format!("tls = \"none\"\nagent_requests_per_s_max = {rate}"), &message);
    }
    for share in ["0", "-1", "4097"] {
        let message = format!("`{share}` is not between 1 and 4096");
        refused("tls = \"none\"", &format!("tls = \"none\"\nconnections_per_address_max = {share}"), &message);
    }
    refused("tls = \"none\"", "tls = \"proxy\"", "needs the proxies' addresses");
    refused("tls = \"none\"", "tls = \"none\"\ntrusted_proxies = [\"10.0.0.1\"]", "mean something only");
    refused("listen = \"127.0.0.1", "listen = \"0.0.0.0", "is beyond loopback");
    for length in ["0", "-1", "65537", "9223372036854775807"] {
        let message = format!("`evaluation_queue_max` in `/etc/attorn.toml`: `{length}` is not between 1 and 65536");
        refused("tls = \"none\"", &format!("tls = \"none\"\nevaluation_queue_max = {length}"), &message);
    }
    refused("tls = \"none\"", "tls = \"none\"\nevaluation_queue_max = \"8\"", "invalid type: string");
    for (field, range) in [
        ("compile_cpu_s_max = 0", "between 1 and 3600"),
        ("compile_memory_bytes_max = 268435455", "between 268435456 and 68719476736"),
    ] {
        refused("tls = \"none\"", &format!("tls = \"none\"\n{field}"), range);
    }
    refused("http://127.0.0.1:7400", "127.0.0.1:7400", "begins with neither");
    refused("http://127.0.0.1:7400", "http://127.0.0.1:7400/", "without path or slash");
    refused("http://127.0.0.1:7400", "http://Example.org", "a lower-case host");
    for url in ["http://attorn.example", "http://10.0.0.1:7400", "http://127.0.0.1.example", "http://[fe80::1]:80"] {
        let message = format!("`{url}` cannot be the server's URL: plain http is used only on loopback; use https");
        refused("http://127.0.0.1:7400", url, &message);
    }
}

const KEY: &str = "witness.example/w1+240e77bf+BFhmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZm";

#[test]
fn witnesses_are_named_with_how_many_are_enough() {
    let with = |text: &str| format!("tls = \"none\"\n{text}");
    let one = |url: &str| format!("[[witness]]\nkey = \"{KEY}\"\nurl = \"{url}\"\n");
    let config = Config::parse(&format!("{GOOD}\npublic_log = true"), Path::new("attorn.toml")).unwrap();
    assert!(config.public_log && config.witnesses.all.is_empty() && config.witnesses.policy().is_none());
    let text = format!("{GOOD}\nwitness_quorum = 1\n{}", one("https://witness.example/log"));
    let config = Config::parse(&text, Path::new("attorn.toml")).unwrap();
    assert!(!config.public_log);
    let witness = &config.witnesses.all[0];
    assert_eq!((witness.key.to_string().as_str(), witness.url.as_str()), (KEY, "https://witness.example/log/"));
    assert!(config.witnesses.policy().is_some());
    let refused = |text: &str, message: &str| refused("tls = \"none\"", &with(text), message);
    refused(
        "witness_quorum = 1",
        "`witness_quorum` in `/etc/attorn.toml`: it means something only with a `[[witness]]`",
    );
    let good = one("https://witness.example/");
    refused(&good, "`0` is not between 1 and 1");
    refused(&format!("witness_quorum = 2\n{good}"), "`2` is not between 1 and 1");
    refused(&format!("witness_quorum = -1\n{good}"), "`-1` is not between 1 and 1");
    refused(&format!("witness_quorum = 1\n{good}{good}"), "`witness.example/w1` stands there twice");
    refused(&format!("witness_quorum = 1\n{}", good.repeat(16)), "there are 16, and 15 is the most");
    refused(
        &format!("witness_quorum = 1\n{}", good.replace("240e", "240f")),
        "the verifier key's id is not `240e77bf`",
    );
    refused(&format!("witness_quorum = 1\n{good}quorum = 1"), "unknown field `quorum`");
    for url in ["http://witness.example/", "ftp://127.0.0.1/", "https://u@witness.example/", "https://w.example/?a", ""]
    {
        let message = format!("`{url}` is neither an https URL nor one of http on loopback");
        refused(&format!("witness_quorum = 1\n{}", one(url)), &message);
    }
    for url in ["http://127.0.0.1:7380/", "http://localhost:7380/", "http://[::1]:7380/"] {
        let text = format!("{GOOD}\nwitness_quorum = 1\n{}", one(url));
        assert_eq!(Config::parse(&text, Path::new("attorn.toml")).unwrap().witnesses.all[0].url.as_str(), url);
    }
}

#[test]
fn plain_http_is_taken_on_loopback_and_https_anywhere() {
    for url in [
        "http://localhost",
        "http://localhost:7400",
        "http://[::1]:7400",
        "http://[::1]",
        "http://127.0.0.2",
        "https://attorn.example",
    ] {
        let text = GOOD.replace("http://127.0.0.1:7400", url);
        assert_eq!(Config::parse(&text, Path::new("attorn.toml")).unwrap().public_url, url);
    }
}

#[test]
fn what_is_malformed_is_said_in_one_line_that_names_the_line() {
    for (from, to, expect) in [
        ("tls = \"none\"", "tls = \"none\"\nport = 1", "line 8: unknown field `port`, expected one of `listen`"),
        ("log_id = \"log-1\"", "log_id = 7", "line 6: invalid type: integer `7`, expected a string"),
        ("tls = \"none\"", "tls = none", "line 7: "),
        ("tls = \"none\"", "tls = \"none\"\ntls = \"none\"", "line 8: "),
        ("tls = \"none\"", "", "missing field `tls`"),
    ] {
        let error = Config::parse(&GOOD.replace(from, to), Path::new("attorn.toml")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`attorn.toml` is no configuration: {expect}")), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = Config::parse(GOOD, Path::new("/etc/attorn/attorn.toml")).unwrap();
    assert_eq!(config.data_dir, Path::new("/etc/attorn/data"));
    assert_eq!(config.tls, Tls::None);
}

#[test]
fn who_speaks_tls_itself_may_listen_anywhere() {
    let text = GOOD.replace("tls = \"none\"", "tls = \"server\"\ntls_certificate = \"c\"\ntls_key = \"/k\"");
    let text = text.replace("listen = \"127.0.0.1", "listen = \"0.0.0.0").replace("http://", "https://");
    let config = Config::parse(&text, Path::new("/etc/attorn/attorn.toml")).unwrap();
    assert_eq!(config.tls, Tls::Server { certificate: "/etc/attorn/c".into(), key: "/k".into() });
    assert_eq!(config.agent_requests_per_s_max.get(), 200);
}

#[test]
fn the_queue_is_as_long_as_the_file_says() {
    let length = |text: &str| Config::parse(text, Path::new("attorn.toml")).unwrap().evaluation_queue_max;
    assert_eq!(length(GOOD), 1_024);
    assert_eq!(length(&format!("{GOOD}\nevaluation_queue_max = 1")), 1);
    assert_eq!(length(&format!("{GOOD}\nevaluation_queue_max = 65536")), 65_536);
}

#[test]
fn an_address_has_a_share_of_the_connections_and_a_proxy_has_all() {
    let share = |text: &str| Config::parse(text, Path::new("attorn.toml")).unwrap().connections_per_address_max;
    assert_eq!(share(GOOD), 512);
    assert_eq!(share(&format!("{GOOD}\nconnections_per_address_max = 4096")), 4_096);
    let proxy = GOOD.replace("tls = \"none\"", "tls = \"proxy\"\ntrusted_proxies = [\"192.0.2.1\"]");
    assert_eq!(share(&proxy), 4_096);
    assert_eq!(share(&format!("{proxy}\nconnections_per_address_max = 7")), 7);
}
