use axum::body::Body;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::*;

/// All that a reader reads until the end.
async fn read(body: Body) -> String {
    let mut text = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(piece) = stream.next().await {
        text.extend_from_slice(&piece.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_reader_who_does_not_read_is_dropped_and_told_where_to_go_on() {
    let (queue, body) = queue(3, Duration::ZERO);
    let mut sent = 0;
    let end = loop {
        assert!(sent <= 3, "the queue has no end");
        match queue.send(format!("id: {sent}\n\n").into()).await {
            Ok(()) => sent += 1,
            Err(end) => break end,
        }
    };
    assert_eq!((sent, end), (3, End::Slow));
    queue.end(end, 3);
    let expect = "id: 0\n\nid: 1\n\nid: 2\n\nevent: ended\ndata: {\"reason\":\"slow\",\"resume_after\":2}\n\n";
    assert_eq!(read(body).await, expect);
}

#[tokio::test]
async fn a_reader_who_hung_up_is_noticed_and_is_not_slow() {
    let (queue, body) = queue(1, Duration::ZERO);
    assert!(!queue.is_closed());
    drop(body);
    queue.closed().await;
    assert!(queue.is_closed());
    assert_eq!(queue.send("x".into()).await, Ok(()));
    queue.end(End::Stopped, 0);
}

#[tokio::test]
async fn a_stream_whose_server_is_gone_just_ends() {
    let (queue, body) = queue(1, Duration::ZERO);
    queue.send("a".into()).await.unwrap();
    drop(queue);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "a");
}

#[test]
fn a_sign_of_life_says_how_far_it_is() {
    assert_eq!(heartbeat(0), ":\n\n");
    assert_eq!(heartbeat(8), ":\nid: 7\n\n");
}

#[test]
fn every_end_is_one_that_clients_know() {
    use attorn_api::audit::{StreamEnd, StreamEnded};
    for (end, known) in [
        (End::Slow, StreamEnd::Slow),
        (End::Stopped, StreamEnd::Stopped),
        (End::Revoked, StreamEnd::Revoked),
        (End::UserGone, StreamEnd::UserGone),
        (End::Failed, StreamEnd::Failed),
    ] {
        let text = json!({ "reason": end.reason(), "resume_after": null }).to_string();
        assert_eq!(serde_json::from_str::<StreamEnded>(&text).unwrap().reason, known);
    }
}
