//! How often the database is asked for one login, counted by a relay in between: each time costs a way there and back.

use std::sync::{Arc, Mutex};

use attorn_tests::world::ask as article;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};

use super::database::Database;
use super::kills;
use super::logins::{SETTLED, login, until_none};

/// The longest message that is relayed, in bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What was asked on each connection, in the order of their begin: `Query` with its text, `Sync` without.
type Asked = Arc<Mutex<Vec<Vec<String>>>>;

/// One question before, and one transaction: whatever else there is to know comes with the first, and all of the login
/// with the second.
pub(crate) async fn for_one_login(database: &Database) {
    let (port, asked) = relay(database.port).await;
    // The first login connects, and has the connections made that end logins.
    let (_fresh, process, cast) = kills::start(database, port).await;
    let before = counts(&asked);
    login(&cast.bot, &article()).await;
    let after = asked.lock().unwrap().clone();
    let new = after.iter().enumerate().flat_map(|(at, all)| &all[before.get(at).copied().unwrap_or_default()..]);
    // Those connections are looked after meanwhile.
    let new: Vec<&String> = new.filter(|text| *text != "ROLLBACK" && !text.starts_with("SAVEPOINT")).collect();
    let as_told = matches!(&*new, [first, second] if first.starts_with("SELECT ") && second.starts_with("BEGIN; "));
    assert!(as_told, "{new:#?}");
    println!("           a login asks the database {} times", new.len());
    let reason = json!({ "reason": "a test" });
    cast.staff.registrar.post("/v1/agents/support-bot/suspend", &reason).await.expect(200);
    until_none(database, &cast.staff.registrar, SETTLED).await;
    process.kill().await;
}

/// How much was asked on each connection.
fn counts(asked: &Asked) -> Vec<usize> {
    asked.lock().unwrap().iter().map(Vec::len).collect()
}

/// Passes on all that comes, and keeps what is asked. Its port.
async fn relay(to: u16) -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Asked::default();
    let told = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            let to = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            to.set_nodelay(true).unwrap();
            from.set_nodelay(true).unwrap();
            let ((from, mut back), (mut answers, to)) = (from.into_split(), to.into_split());
            let at = {
                let mut all = told.lock().unwrap();
                all.push(Vec::new());
                all.len() - 1
            };
            let told = Arc::clone(&told);
            // Both end with their connection.
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
            tokio::spawn(async move { pass(from, to, &told, at).await });
        }
    });
    (port, asked)
}

/// One connection: its first message has no kind.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: OwnedWriteHalf,
    asked: &Asked,
    at: usize,
) -> std::io::Result<()> {
    let mut first = true;
    loop {
        let kind = if first { None } else { Some(from.read_u8().await?) };
        first = false;
        let length = from.read_u32().await?;
        let rest = usize::try_from(length).unwrap().saturating_sub(4);
        assert!(rest <= MESSAGE_BYTES_MAX, "a message of {rest} bytes");
        let mut body = vec![0; rest];
        from.read_exact(&mut body).await?;
        match kind {
            Some(b'Q') => {
                let text = String::from_utf8_lossy(&body).trim_end_matches('\0').to_owned();
                asked.lock().unwrap()[at].push(text);
            }
            Some(b'S') => asked.lock().unwrap()[at].push("Sync".into()),
            _ => {}
        }
        let head = [kind.as_slice(), &length.to_be_bytes()].concat();
        to.write_all(&[head, body].concat()).await?;
    }
}
