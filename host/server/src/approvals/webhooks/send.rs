//! One message to one webhook, signed as Standard Webhooks has it, and tried again until it is taken or its approval waits
//! no more.
//!
//! Where a webhook is, is looked at each time: its name is resolved here, and the connection goes to the very addresses
//! that were found to be good.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use attorn_api::approvals::WebhookMessage;
use attorn_broker::address;
use attorn_broker::backoff::Backoff;
use attorn_core::{ApprovalId, ApprovalState, HostName, TimeMs};
use attorn_identity::{KeyLabel, RootKey, WebhookSecret};
use attorn_store::Key;
use attorn_store::records::{ApprovalRecord, WebhookRecord};
use reqwest::Url;
use tokio::sync::Notify;

use crate::app::App;
use crate::approvals::state;
use crate::http::failure::Failure;
use crate::http::outbound;
use crate::metrics::WebhookEvent;
use crate::random;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(5);
const BACKOFF: Backoff = Backoff { first_ms: 500, most_ms: 60_000 };
/// What such a secret is for.
const KIND: &str = "webhook_secret";

/// Wrap a secret.
pub(super) fn wrap(root: &RootKey, id: &str, secret: &WebhookSecret) -> Result<Vec<u8>, Failure> {
    root.wrap(label(id), secret.bytes()).map_err(Failure::internal)
}

const fn label(id: &str) -> KeyLabel<'_> {
    KeyLabel { kind: KIND, id, version: 1 }
}

/// Send it, again and again, as long as the approval waits. Where the webhook takes another message meanwhile, this one is
/// tried at once.
pub(super) async fn until_taken(
    app: &App,
    (webhook, answers): (&WebhookRecord, &Notify),
    (approval, message): (ApprovalId, &WebhookMessage),
) {
    for attempt in 1.. {
        match is_wanted(app, webhook, approval).await {
            Ok(Ok(())) => {}
            Ok(Err(event)) => return app.metrics.webhook(event),
            Err(failure) => tracing::warn!(why = failure.internal, "cannot see whether a message is wanted"),
        }
        let why = match send(app, webhook, message).await {
            Ok(()) => {
                answers.notify_waiters();
                return app.metrics.webhook(WebhookEvent::Delivered);
            }
            Err(why) => why,
        };
        app.metrics.webhook(WebhookEvent::AttemptFailed);
        let id = webhook.id.as_str();
        tracing::debug!(webhook = id, attempt, why, "a webhook did not take a message");
        let wait = BACKOFF.wait_ms(attempt, random::number());
        if app.clock.now().plus_ms(wait) >= TimeMs(message.expires_at_ms) {
            tracing::warn!(webhook = id, why, "a webhook was not told of an approval; it waits all the same");
            return app.metrics.webhook(WebhookEvent::GivenUp);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            () = answers.notified() => {}
        }
    }
}

/// Whether to send it, or what became of it: the webhook was revoked, or nobody has to vote any more.
async fn is_wanted(
    app: &App,
    webhook: &WebhookRecord,
    approval: ApprovalId,
) -> Result<Result<(), WebhookEvent>, Failure> {
    let found = app.store.record::<WebhookRecord>(&Key::webhook(&webhook.id)).await?;
    if found.is_none_or(|found| found.value.revoked_at.is_some()) {
        return Ok(Err(WebhookEvent::GivenUp));
    }
    let Some(found) = app.store.record::<ApprovalRecord>(&Key::approval(&approval)).await? else {
        return Ok(Err(WebhookEvent::Settled));
    };
    let pending = state(app, &found, app.clock.now()).await? == ApprovalState::Pending;
    Ok(if pending { Ok(()) } else { Err(WebhookEvent::Settled) })
}

async fn send(app: &App, webhook: &WebhookRecord, message: &WebhookMessage) -> Result<(), String> {
    let url = parse(&webhook.url, webhook.loopback)?;
    let addresses = addresses(&url, webhook.loopback, app.config.listen).await?;
    let body = serde_json::to_vec(message).map_err(|error| error.to_string())?;
    let bytes = app.root.unwrap(label(webhook.id.as_str()), &webhook.wrapped).map_err(|error| error.to_string())?;
    let secret = WebhookSecret::of_bytes(&bytes).ok_or("its secret has another length")?;
    // Receivers compare this with their own clocks, so it is the wall clock's.
    let timestamp = crate::keys::wall_now().0 / 1_000;
    let host = url.host_str().unwrap_or_default().to_owned();
    let client = outbound::client_to(TIMEOUT, &host, &addresses).await.map_err(|_| "there is no client for it")?;
    let request = client
        .post(url)
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .header("webhook-id", &message.approval)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", secret.sign(&message.approval, timestamp, &body))
        .body(body);
    // The answer's body is nobody's business.
    let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status().as_u16())) }
}

/// A URL to which messages may go, as far as its text says.
pub(super) fn parse(text: &str, loopback: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let scheme_is_good = url.scheme() == "https" || (loopback && url.scheme() == "http");
    if !scheme_is_good {
        return Err("it has to begin with `https://`".into());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("it has a user, a password or a fragment".into());
    }
    if url.scheme() == "http" && !is_loopback_name(url.host_str().unwrap_or_default()) {
        return Err("plain `http` goes to a loopback address only".into());
    }
    Ok(url)
}

fn is_loopback_name(host: &str) -> bool {
    host == "localhost" || bare(host).parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Where it is. Refused are this server itself, metadata services and what is near them; and this machine, unless that
/// was allowed.
pub(super) async fn addresses(url: &Url, loopback: bool, own: SocketAddr) -> Result<Vec<SocketAddr>, String> {
    let host: HostName = bare(url.host_str().unwrap_or_default()).parse().map_err(|error| format!("{error}"))?;
    let port = url.port_or_known_default().ok_or("it has no port")?;
    let found = address::resolve(&host, port, own).await.map_err(|error| error.to_string())?;
    match found.iter().find(|address| !loopback && address.ip().to_canonical().is_loopback()) {
        Some(address) => Err(format!("`{}` is this machine", address.ip())),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "127.0.0.1:7700";

    #[test]
    fn urls_that_are_none_or_say_too_much_are_refused() {
        for (text, loopback) in [
            ("", false),
            ("chat.example/hook", false),
            ("http://chat.example/hook", false),
            ("http://chat.example/hook", true),
            ("ftp://chat.example/hook", true),
            ("file:///etc/passwd", true),
            ("https://user:secret@chat.example/hook", false),
            ("https://user@chat.example/hook", false),
            ("https://chat.example/hook#part", false),
            ("http://127.0.0.1:9/hook", false),
        ] {
            assert!(parse(text, loopback).is_err(), "{text} {loopback}");
        }
        for (text, loopback) in [
            ("https://chat.example/hook?room=1", false),
            ("http://127.0.0.1:9/hook", true),
            ("http://[::1]:9/hook", true),
            ("http://localhost:9/hook", true),
        ] {
            assert!(parse(text, loopback).is_ok(), "{text} {loopback}");
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_to_ourselves_to_this_machine_or_to_metadata() {
        for (text, loopback, refused) in [
            ("https://127.0.0.1:9/hook", false, true),
            ("https://[::1]:9/hook", false, true),
            ("https://[::ffff:127.0.0.1]:9/hook", false, true),
            ("https://localhost:9/hook", false, true),
            ("https://2130706433:9/hook", false, true),
            ("https://127.0.0.1:7700/hook", true, true),
            ("https://169.254.169.254/latest", true, true),
            ("https://[fd00:ec2::254]/latest", true, true),
            ("https://0.0.0.0:9/hook", true, true),
            ("https://127.0.0.1:9/hook", true, false),
            ("https://192.0.2.1/hook", false, false),
        ] {
            let url = parse(text, loopback).unwrap();
            let found = addresses(&url, loopback, OWN.parse().unwrap()).await;
            assert_eq!(found.is_err(), refused, "{text}: {found:?}");
        }
    }
}
