use super::super::route::ProxyRoute;
use super::*;

fn route(method: ProxyMethod, path: &str, resource: &str) -> ProxyRoute {
    ProxyRoute {
        method,
        path: path.parse().unwrap(),
        action: "invoice.read".parse().unwrap(),
        resource: resource.parse().unwrap(),
        query: BTreeSet::new(),
        body: ProxyBody::None,
    }
}

fn settings() -> ProxySettings {
    ProxySettings {
        origin: "https://api.example".parse().unwrap(),
        tls_roots_pem: None,
        secret_header: "authorization".parse().unwrap(),
        secret_prefix: "Bearer ".into(),
        routes: vec![
            route(ProxyMethod::Get, "/v2/invoices/search", "invoice/all"),
            route(ProxyMethod::Get, "/v2/invoices/{id}", "invoice/{id}"),
        ],
        request_headers: ["accept".parse().unwrap()].into(),
        response_headers: BTreeSet::new(),
        request_bytes_max: 1_024,
        response_bytes_max: 1_024,
        head_ms_max: 1_000,
        idle_ms_max: 1_000,
        total_ms_max: 1_000,
        requests_max: 1,
    }
}

#[test]
fn the_row_that_says_more_counts_whatever_the_order_and_nothing_else_is_called() {
    let settings = settings();
    let resource = |method, path: &str| {
        let matched = settings.matched(method, &path.parse().unwrap()).unwrap();
        matched.map(|matched| matched.resource.to_string())
    };
    assert_eq!(resource(ProxyMethod::Get, "/v2/invoices/search").as_deref(), Some("invoice/all"));
    assert_eq!(resource(ProxyMethod::Get, "/v2/invoices/42").as_deref(), Some("invoice/42"));
    assert_eq!(resource(ProxyMethod::Post, "/v2/invoices/42"), None);
    assert_eq!(resource(ProxyMethod::Get, "/v2/invoices"), None);
    assert_eq!(resource(ProxyMethod::Get, "/V2/invoices/42"), None);
    assert!(settings.matched(ProxyMethod::Get, &"/v2/invoices/a$b".parse().unwrap()).is_err());
    let rows = [
        ("/v2/invoices/{id}", "invoice/any/{id}"),
        ("/v2/invoices/{id:slug}", "invoice/slug/{id}"),
        ("/v2/invoices/{id:digits}", "invoice/digits/{id}"),
        ("/v2/invoices/export", "invoice/all"),
        ("/v2/{kind}/export", "invoice/kind/{kind}"),
    ];
    for turned in [false, true] {
        let mut settings = self::settings();
        settings.routes = rows.map(|(path, resource)| route(ProxyMethod::Get, path, resource)).to_vec();
        if turned {
            settings.routes.reverse();
        }
        assert_eq!(settings.check(), Ok(()));
        for (path, resource) in [
            ("/v2/invoices/export", "invoice/all"),
            ("/v2/invoices/42", "invoice/digits/42"),
            ("/v2/invoices/042", "invoice/slug/042"),
            ("/v2/invoices/A", "invoice/any/A"),
            ("/v2/contacts/export", "invoice/kind/contacts"),
        ] {
            let matched = settings.matched(ProxyMethod::Get, &path.parse().unwrap()).unwrap().unwrap();
            assert_eq!(matched.resource.to_string(), resource, "{path}");
        }
    }
}

#[test]
fn a_row_that_no_path_would_ever_come_to_is_refused() {
    for (other, refused) in [("/v2/invoices/{number}", true), ("/v2/invoices/{number:digits}", false)] {
        let mut settings = settings();
        settings.routes.push(route(ProxyMethod::Get, other, "invoice/all"));
        let problem = format!("`GET {other}` is for the same as `GET /v2/invoices/{{id}}`");
        assert_eq!(settings.check(), if refused { Err(problem) } else { Ok(()) });
        settings.routes.last_mut().unwrap().method = ProxyMethod::Delete;
        assert_eq!(settings.check(), Ok(()));
    }
}

#[test]
fn settings_have_bounds() {
    type Spoil = fn(&mut ProxySettings);
    assert_eq!(settings().check(), Ok(()));
    let cases: [(Spoil, &str); 19] = [
        (|s| s.request_bytes_max = 0, "`request_bytes_max` is at least 1"),
        (|s| s.request_bytes_max = 32_769, "`request_bytes_max` is 32769, and 32768 is the most"),
        (|s| s.response_bytes_max = 0, "`response_bytes_max` is at least 1"),
        (|s| s.head_ms_max = 20_001, "`head_ms_max` is 20001, and 20000 is the most"),
        (|s| s.idle_ms_max = 0, "`idle_ms_max` is at least 1"),
        (|s| s.total_ms_max = 0, "`total_ms_max` is at least 1"),
        (|s| s.requests_max = 257, "`requests_max` is 257, and 256 is the most"),
        (|s| s.routes.clear(), "`routes` is at least 1"),
        (|s| s.routes = vec![s.routes[0].clone(); 65], "`routes` is 65, and 64 is the most"),
        (
            |s| s.routes = vec![route(ProxyMethod::Get, &format!("/{}", "x".repeat(800)), "a/b"); 32],
            "`routes` is 28160, and 12288 is the most bytes",
        ),
        (|s| s.tls_roots_pem = Some(String::new()), "`tls_roots_pem` is at least 1"),
        (
            |s| {
                s.origin.is_https = false;
                s.tls_roots_pem = Some("pem".into());
            },
            "`tls_roots_pem` is for an origin that speaks TLS",
        ),
        (|s| s.secret_header = "host".parse().unwrap(), "`secret_header` may not be `host`"),
        (|s| s.secret_prefix = "a\r\nb".into(), "`secret_prefix` has visible ASCII characters, 64 at most"),
        (
            |s| s.routes[1].resource = "invoice/{other}".parse().unwrap(),
            "the resource of `GET /v2/invoices/{id}` has `{other}`, and its path has not",
        ),
        (
            |s| s.routes[0].query = ["a b".to_owned()].into(),
            "the query of `GET /v2/invoices/search` has 32 names at most, of letters, digits and `-_.[]`",
        ),
        (|s| s.routes[0].body = ProxyBody::Json, "`GET /v2/invoices/search` can have no body"),
        (
            |s| {
                s.routes[0].method = ProxyMethod::Post;
                s.routes[0].body = ProxyBody::Bytes("application/json".into());
            },
            "`application/json` of `POST /v2/invoices/search` is no media type, or that of JSON",
        ),
        (
            |s| {
                s.routes[0].method = ProxyMethod::Post;
                s.routes[0].body = ProxyBody::Bytes("text/plain; charset=utf-8".into());
            },
            "`text/plain; charset=utf-8` of `POST /v2/invoices/search` is no media type, or that of JSON",
        ),
    ];
    for (spoil, problem) in cases {
        let mut settings = settings();
        spoil(&mut settings);
        assert_eq!(settings.check(), Err(problem.into()));
    }
}

#[test]
fn what_frames_a_message_or_says_who_sends_it_is_never_passed_on() {
    for name in OURS.into_iter().chain(OURS_UNDER).chain(["authorization", "x-api-key"]) {
        let name = format!("{name}{}", if name.ends_with('-') { "x" } else { "" });
        let mut settings = settings();
        settings.secret_header = "x-api-key".parse().unwrap();
        settings.request_headers = [name.parse().unwrap()].into();
        assert_eq!(settings.check(), Err(format!("`request_headers` may not have `{name}`")));
        (settings.response_headers, settings.request_headers) = (settings.request_headers, BTreeSet::new());
        assert_eq!(settings.check(), Err(format!("`response_headers` may not have `{name}`")));
    }
    for name in ["accept", "accept-language", "if-match", "x-version", "idempotency-key"] {
        assert!(may_pass(name), "{name}");
    }
}
