//! A bare server: it reads a body and answers with one of a given size, and does nothing else.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::post;
use tokio::net::TcpListener;

/// Serve until killed. The size of the answers stands in the arguments; the address is printed.
pub(crate) async fn run() {
    let bytes: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let answer = Bytes::from(vec![b'x'; bytes]);
    let route = post(move |body: Bytes| async move {
        std::hint::black_box(body);
        ([(header::CONTENT_TYPE, "application/json")], answer)
    });
    let router = Router::new().route("/v1/decisions", route);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}
