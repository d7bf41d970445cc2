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
