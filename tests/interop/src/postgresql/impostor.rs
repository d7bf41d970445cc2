//! Targets where somebody answers who is no good database: who wants to be told the password, and who never stops
//! talking.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use attorn_api::targets::TargetCheck;
use attorn_tests::Behalf;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::database::Database;
use super::shop;

/// The password that nobody may hear.
const PASSWORD: &str = "told to nobody at all";

/// What is done with whoever connects.
#[derive(Clone, Copy)]
enum Does {
    /// `AuthenticationCleartextPassword`, and then it listens.
    AsksForThePassword,
    /// `AuthenticationOk` at once.
    LetsEverybodyIn,
    /// A notice of a gigabyte.
    Talks,
}

/// What was heard, and how many bytes were said.
#[derive(Default)]
struct Heard(Mutex<(Vec<u8>, usize)>);

async fn answer(mut stream: TcpStream, does: Does, heard: &Heard) -> std::io::Result<()> {
    let mut start = [0; 1_024];
    if stream.read(&mut start).await? == 0 {
        return Ok(());
    }
    match does {
        Does::AsksForThePassword => stream.write_all(b"R\0\0\0\x08\0\0\0\x03").await?,
        Does::LetsEverybodyIn => stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await?,
        Does::Talks => {
            stream.write_all(b"N\x40\0\0\0").await?;
            let piece = vec![b'x'; 65_536];
            while stream.write_all(&piece).await.is_ok() {
                heard.0.lock().unwrap().1 += piece.len();
            }
        }
    }
    let mut more = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut more)).await;
    heard.0.lock().unwrap().0.extend(more);
    Ok(())
}

async fn listen(does: Does) -> (u16, Arc<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Heard::default());
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(answer(stream, does, &told).await);
        }
    });
    (port, heard)
}

/// Neither hears the password, and neither fills the server's memory.
pub(crate) async fn hear_nothing(world: &Behalf, database: &Database) {
    let registrar = &world.staff.registrar;
    for (id, does, problem) in [
        ("asks", Does::AsksForThePassword, "SCRAM-SHA-256"),
        ("lets-in", Does::LetsEverybodyIn, "SCRAM-SHA-256"),
        ("talks", Does::Talks, "more than was asked for"),
    ] {
        let (port, heard) = listen(does).await;
        let mut settings = shop::settings(database);
        settings["port"] = port.into();
        let settings = shop::about(&[id], settings);
        let body = json!({ "id": id, "resource_types": [id], "postgresql": settings, "password": PASSWORD });
        registrar.post("/v1/targets", &body).await.expect(201);
        let found = registrar.post(format!("/v1/targets/{id}/check"), &json!({})).await.expect(200);
        let found: TargetCheck = found.json();
        assert!(!found.reachable && found.problems[0].contains(problem), "{id}: {found:?}");
        let reason = json!({ "reason": "a test" });
        registrar.post(format!("/v1/targets/{id}/retire"), &reason).await.expect(200);
        let (said, bytes) = &*heard.0.lock().unwrap();
        assert!(!said.windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes()), "{id} heard the password");
        // What the system keeps between the two comes to it.
        assert!(*bytes < 16 << 20, "{id} said {bytes} bytes");
    }
}
