//! Hostile agents: what could be read in two ways, or is not what the proof is of, is refused before anything is decided,
//! and nothing of it reaches the service.

use attorn_api::FOR_HEADER;
use attorn_tests::world::PURPOSE;
use attorn_tests::{Call, Machine};

use super::scene::{Scene, end, get, through, with_proof};

fn code(answer: &str) -> &str {
    answer.split(r#""code":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_could_be_read_in_two_ways_are_refused() {
    let scene = Scene::new().await;
    let size = scene.world.log_size().await;
    for path in [
        "/proxy/crm/v2/articles/../payments/42",
        "/proxy/crm/v2/articles/%2e%2e/payments",
        "/proxy/crm/v2/articles/.%2E/payments",
        "/proxy/crm/v2/./articles/42",
        "/proxy/crm/v2//articles/42",
        "/proxy/crm//v2/articles/42",
        "/proxy/crm/v2/articles/42/",
        "/proxy/crm/v2/articles%2f42",
        "/proxy/crm/v2/articles/4%2F2",
        "/proxy/crm/v2/articles%5c42",
        "/proxy/crm/v2/articles/42%00",
        "/proxy/crm/v2/articles/42%0d%0ax:y",
        "/proxy/crm/v2/articles/42;v=1",
        "/proxy/crm/v2/articles/42%3bv=1",
        "/proxy/crm/v2/articles/%2542",
        "/proxy/crm/v2/articles/%c0%ae%c0%ae",
        "/proxy/crm/v2/articles/%ff",
        "/proxy/crm/v2/articles/a%20b",
        "/proxy/crm/v2/articles/a$b",
        "/proxy/%63rm/v2/articles/42",
    ] {
        let call = Call::new("GET", path).header(FOR_HEADER, PURPOSE);
        let answer = scene.raw(call, end).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert_eq!(code(&answer), "invalid_path", "{path}");
    }
    // What leads out of it is no route of ours either.
    for path in ["/proxy/crm/", "/proxy/crm", "/proxy/"] {
        let answer = scene.raw(Call::new("GET", path), end).await;
        assert_eq!(code(&answer), "no_such_route", "{path}: {answer}");
    }
    let answer = scene.raw(get("42"), |head| end(head.replacen(" /proxy", " http://evil.example/proxy", 1))).await;
    assert_eq!(code(&answer), "invalid_path", "{answer}");
    assert_eq!((scene.world.log_size().await, scene.upstream.seen().len()), (size, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_and_headers_that_could_be_read_in_two_ways_are_refused() {
    let scene = Scene::new().await;
    let size = scene.world.log_size().await;
    for query in ["q=1&q=2", "q=1&%71=2", "other=1", "q", "q=a+b", "q=1;page=2", "q=%00", "q=%ff", "=1"] {
        let call = through("GET", &format!("/v2/articles/42?{query}"));
        scene.send(call).await.refused(400, "invalid_query");
    }
    for (name, value) in [("accept-language", "de\u{e9}"), ("if-match", &"x".repeat(1_025))] {
        scene.send(get("42").header(name, value)).await.refused(422, "invalid_field");
    }
    let twice = get("42").header("if-match", "\"1\"").header("if-match", "\"2\"");
    scene.send(twice).await.refused(422, "invalid_field");
    for asked_for in ["support; user=usr_1", "support; delegation=x; delegation=y", "*", "a b"] {
        let call = Call::new("GET", "/proxy/crm/v2/articles/42").header(FOR_HEADER, asked_for);
        scene.send(call).await.refused(422, "invalid_field");
    }
    assert_eq!((scene.world.log_size().await, scene.upstream.seen().len()), (size, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_of_all_that_goes_on() {
    let scene = Scene::new().await;
    let bot = &scene.world.bot;
    let post = |body: &str| through("POST", "/v2/articles/42").json(body.to_owned());
    let size = scene.world.log_size().await;
    for (signed, sent) in [
        (get("42"), get("43")),
        (get("42"), through("PUT", "/v2/articles/42")),
        (get("42?q=1"), get("42?q=2")),
        (get("42"), get("42?q=1")),
        (get("42?q=1"), get("42")),
        (post(r#"{"amount":1}"#), post(r#"{"amount":1000}"#)),
        (get("%342"), get("42")),
        (get("42"), Call::new("GET", "/proxy/crm/v2/articles/42").header(FOR_HEADER, "sales")),
        (get("42"), get("42").header(FOR_HEADER, "sales")),
        (get("42"), Call::new("GET", "/proxy/crm/v2/articles/42")),
    ] {
        let proof = bot.prove(&signed, Some(&bot.fresh_nonce().await), bot.now());
        let answer = scene.world.reach.send(with_proof(sent, &proof)).await;
        answer.refused(401, "proof_invalid");
    }
    // A proof as other routes have it says nothing of the query, nor of what it is for.
    let url = format!("{}/proxy/crm/v2/articles/42", scene.world.reach.url);
    let plain = bot.key.prove("GET", &url, b"", Some(&bot.fresh_nonce().await), bot.now()).unwrap();
    scene.world.reach.send(with_proof(get("42"), &plain)).await.refused(401, "proof_invalid");
    let stranger = Machine::new(&scene.world.reach, "stranger");
    stranger.send(get("42")).await.refused(401, "unknown_key");
    scene.world.reach.send(get("42")).await.refused(401, "proof_missing");
    assert_eq!((scene.world.log_size().await, scene.upstream.seen().len()), (size, 0));
    let once = bot.signed(get("42")).await;
    scene.world.reach.send(once.clone()).await.expect(200);
    scene.world.reach.send(once).await.refused(401, "proof_replayed");
    assert_eq!(scene.upstream.seen().len(), 1);
}

/// Two servers that disagree on where a request ends are how a second one is smuggled past the first.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled() {
    let scene = Scene::new().await;
    let smuggled = "GET /v2/payments/1 HTTP/1.1\r\nhost: x\r\n\r\n";
    let post = || through("POST", "/v2/articles/42").json("{}");
    let framings = [
        "content-length: 2\r\ncontent-length: 46\r\n",
        "content-length: 2, 46\r\n",
        "content-length: +2\r\n",
        "content-length: 0x2\r\n",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 2\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding:\u{b}chunked\r\n",
        "content-length: 2\r\n continued: x\r\n",
        "content-length : 2\r\n",
    ];
    for framing in framings {
        let answer = scene.raw(post(), |head| format!("{head}{framing}connection: close\r\n\r\n{{}}")).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{framing}: {answer}");
    }
    assert!(scene.upstream.seen().is_empty());
    // What follows a good request is another one, without proof.
    let answer = scene.raw(get("42"), |head| format!("{head}\r\n{smuggled}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("no_such_route"), "{answer}");
    // A body that holds a request is a body.
    let put = through("PUT", "/v2/articles/42").body("text/plain", smuggled);
    scene.send(put).await.expect(200);
    let seen = scene.upstream.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[1].body.as_str(), seen[1].headers.get("transfer-encoding")), (smuggled, None));
    // What is chunked comes as one body of a known length.
    let chunked = |head: String| {
        head + "transfer-encoding: chunked\r\ntrailer: x-late\r\nconnection: close\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\nx-late: 1\r\n\r\n"
    };
    let answer = scene.raw(post(), chunked).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let last = scene.upstream.seen().pop().unwrap();
    assert_eq!((last.body.as_str(), &*last.headers["content-length"]), ("{}", "2"));
    assert!(last.headers.keys().all(|name| !matches!(name.as_str(), "transfer-encoding" | "trailer" | "x-late")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_upgraded_and_no_hop_is_passed_on() {
    let scene = Scene::new().await;
    let upgrade = |head: String| {
        head + "connection: upgrade, if-match\r\nupgrade: websocket\r\nexpect: 100-continue\r\nif-match: \"1\"\r\n\
                connection: close\r\n\r\n"
    };
    let answer = scene.raw(get("42"), upgrade).await;
    assert!(answer.contains("HTTP/1.1 200 "), "{answer}");
    let seen = scene.upstream.seen();
    let names: Vec<&str> = seen[0].headers.keys().map(String::as_str).collect();
    // A header that the connection names is for this hop only (RFC 9110, section 7.6.1).
    assert_eq!(names, ["accept-encoding", "authorization", "host", "user-agent"]);
}
