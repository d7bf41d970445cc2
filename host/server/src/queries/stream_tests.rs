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

const NO_TIME: Limits = Limits { events: 3, bytes: 1_000, slow: Duration::ZERO };

fn next(index: u64) -> Next {
    Next { epoch: Epoch(3), index }
}

fn numbered(n: u64, text: &str) -> Event {
    Event { text: format!("id: {n}\n{text}\n").into(), next: next(n + 1) }
}

/// Send until the queue takes no more: how many it took, and why it did not take the next.
async fn fill(queue: &Queue, text: &str) -> (u64, End) {
    for n in 0..1_000 {
        if let Err(end) = queue.send(numbered(n, text)).await {
            return (n, end);
        }
    }
    panic!("the queue has no end");
}

#[tokio::test]
async fn a_reader_who_does_not_read_is_dropped_and_told_where_to_go_on() {
    let (queue, body) = queue(NO_TIME, next(7));
    assert_eq!(fill(&queue, "").await, (3, End::Slow));
    queue.end(End::Slow, next(3));
    // Nothing was read, so it goes on where it began; what waited takes no room.
    assert_eq!(read(body).await, "event: ended\ndata: {\"reason\":\"slow\",\"resume_after\":\"3/6\"}\n\n");
}

#[tokio::test]
async fn a_reader_who_read_some_goes_on_after_that() {
    let (queue, body) = queue(NO_TIME, next(0));
    queue.send(numbered(0, "")).await.unwrap();
    queue.send(numbered(1, "")).await.unwrap();
    let mut stream = body.into_data_stream();
    assert_eq!(stream.next().await.unwrap().unwrap(), "id: 0\n\n");
    queue.end(End::Slow, next(2));
    let ended = stream.next().await.unwrap().unwrap();
    assert_eq!(ended, "event: ended\ndata: {\"reason\":\"slow\",\"resume_after\":\"3/0\"}\n\n");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn bytes_are_bounded_as_well_as_events_and_one_that_is_too_large_waits_alone() {
    let (small, _body) = queue(NO_TIME, next(0));
    let half = "x".repeat(600);
    assert_eq!(fill(&small, &half).await, (1, End::Slow));
    let (large, body) = queue(NO_TIME, next(0));
    let huge = "x".repeat(5_000);
    assert_eq!(fill(&large, &huge).await, (1, End::Slow));
    let mut stream = body.into_data_stream();
    assert_eq!(stream.next().await.unwrap().unwrap().len(), huge.len() + 7);
    // What was taken has given its room back.
    large.send(numbered(1, &half)).await.unwrap();
    assert_eq!(large.send(numbered(2, &half)).await, Err(End::Slow));
}

#[tokio::test]
async fn who_may_not_read_any_more_does_not_read_what_waited() {
    for (end, reads) in
        [(End::Revoked, false), (End::UserGone, false), (End::Slow, false), (End::Stopped, true), (End::Failed, true)]
    {
        let (queue, body) = queue(NO_TIME, next(0));
        queue.send(numbered(0, "secret")).await.unwrap();
        queue.end(end, next(1));
        let text = read(body).await;
        assert_eq!(text.contains("secret"), reads, "{end:?}");
        let resume = if reads { "\"3/0\"" } else { "null" };
        assert!(text.ends_with(&format!("\"{}\",\"resume_after\":{resume}}}\n\n", end.reason())), "{text}");
    }
}

#[tokio::test]
async fn whoever_reads_makes_room_for_more() {
    let (queue, body) = queue(Limits { slow: Duration::from_mins(1), ..NO_TIME }, next(0));
    let reading = tokio::spawn(read(body));
    for n in 0..100 {
        queue.send(numbered(n, &"x".repeat(300))).await.unwrap();
    }
    queue.end(End::Stopped, next(100));
    let text = reading.await.unwrap();
    assert_eq!(text.matches("id: ").count(), 100);
    assert!(text.ends_with("\"resume_after\":\"3/99\"}\n\n"));
}

#[tokio::test]
async fn a_reader_who_hung_up_is_noticed_and_is_not_slow() {
    let (queue, body) = queue(NO_TIME, next(0));
    assert!(!queue.is_closed());
    drop(body);
    queue.closed().await;
    assert!(queue.is_closed());
    for n in 0..9 {
        assert_eq!(queue.send(numbered(n, "")).await, Ok(()));
    }
    queue.end(End::Stopped, next(0));
}

#[tokio::test]
async fn a_stream_whose_server_is_gone_just_ends() {
    let (queue, body) = queue(NO_TIME, next(0));
    queue.send(numbered(0, "")).await.unwrap();
    drop(queue);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "id: 0\n\n");
}

#[test]
fn a_sign_of_life_says_how_far_it_is() {
    assert_eq!(heartbeat(next(0)), ":\n\n");
    assert_eq!(heartbeat(next(8)), ":\nid: 3/7\n\n");
}

#[test]
fn that_the_log_is_damaged_is_no_failure_that_passes() {
    let damaged = Failure::of(attorn_api::ProblemCode::LogDamaged, "`log/1/tile/entries/000` is missing");
    assert_eq!((failed(&damaged), failed(&Failure::internal("full"))), (End::LogDamaged, End::Failed));
}

#[test]
fn every_end_is_one_that_clients_know() {
    use attorn_api::audit::{StreamEnd, StreamEnded};
    for (end, known) in [
        (End::Slow, StreamEnd::Slow),
        (End::Stopped, StreamEnd::Stopped),
        (End::Revoked, StreamEnd::Revoked),
        (End::UserGone, StreamEnd::UserGone),
        (End::LogDamaged, StreamEnd::LogDamaged),
        (End::Failed, StreamEnd::Failed),
    ] {
        let text = json!({ "reason": end.reason(), "resume_after": null }).to_string();
        assert_eq!(serde_json::from_str::<StreamEnded>(&text).unwrap().reason, known);
    }
}
