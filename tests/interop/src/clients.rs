//! OAuth clients that others wrote, at our token service, from its metadata to introspection: with DPoP and
//! `private_key_jwt`, and one that knows no DPoP and gets an error for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use attorn_api::delegations::Delegation;
use attorn_tests::server::Fresh;
use serde_json::Value;
use tokio::process::Command;

use crate::approvals;
use crate::attorn::{ALICES, AUDIENCE, Attorn, PURPOSE, PURPOSE_WITH_USER, token};
use crate::provider::{OIDC_PROVIDER, Provider};
use crate::steps::Steps;
use crate::tools::{self, Tools, write_private};

const CLIENT: Duration = Duration::from_mins(2);
/// Another invoice of hers.
const ALICES_OTHER: &str = "invoice/18";

/// All of them, one after the other, at one server.
pub(crate) async fn play(tools: &Tools, steps: &mut Steps) {
    let fresh = Fresh::make().await;
    let server = fresh.reach.url.clone();
    let starting = Provider::start(tools, &OIDC_PROVIDER, &server);
    let mut provider = steps.take("oidc-provider starts", starting).await;
    let attorn = steps.take("attorn starts and trusts it", Attorn::start(fresh)).await;
    attorn.trust(&OIDC_PROVIDER, &provider.issuer).await;
    let files = steps.take("alice signs in and consents", Files::write(tools, &attorn, &provider)).await;

    let (node, python) = (|script| tools.node(script), |script| tools.python(script));
    for (name, command, steps_expected) in [
        ("openid-client", node("client_openid.mjs"), 18),
        ("oauth4webapi", node("client_oauth4webapi.mjs"), 15),
        ("requests-oauth2client", python("python/client_requests_oauth2client.py"), 15),
        ("authlib", python("python/client_authlib.py"), 6),
    ] {
        steps.take(name, talk(command, &attorn, &files, steps_expected)).await;
    }
    approvals::begin(&attorn, &OIDC_PROVIDER).await;
    let login = provider.sign_in(tools, "alice", &[]).await;
    let delegation = attorn.delegated(token(&login, "access_token")).await;
    // Each about an invoice of its own: alice's no holds for whatever else is asked about the same.
    attorn.owns(&delegation.user, ALICES_OTHER).await;
    for (name, command, (resource, amounts), steps_expected) in [
        ("openid-client has alice asked", node("client_ciba.mjs"), (ALICES, "4100,4101"), 7),
        ("requests-oauth2client has alice asked", python("python/client_ciba.py"), (ALICES_OTHER, "4200,4201"), 6),
    ] {
        let talking = ask_user(command, (&attorn, &files), (&delegation, resource, amounts), steps_expected);
        let answering = async {
            approvals::answer_next(&mut provider, "alice", "yes").await;
            approvals::answer_next(&mut provider, "alice", "no").await;
        };
        steps.take(name, async { tokio::join!(talking, answering) }).await;
    }
    steps.take("oidc-provider ends", provider.end()).await;
}

/// What clients are given as files.
struct Files {
    agent_key: PathBuf,
    billing_key: PathBuf,
    login: PathBuf,
}

impl Files {
    async fn write(tools: &Tools, attorn: &Attorn, provider: &Provider) -> Self {
        let login = provider.sign_in(tools, "alice", &[]).await;
        attorn.own(token(&login, "access_token"), ALICES).await;
        let file = |name: &str, value: &Value| {
            let path = attorn.directory().join(name);
            write_private(&path, &value.to_string());
            path
        };
        Self {
            agent_key: file("agent.key", &attorn.agent.key.private_jwk()),
            billing_key: file("billing.key", &attorn.billing.key.private_jwk()),
            login: file("alice.json", &login),
        }
    }
}

/// A client does all that it does, in so many steps.
async fn talk(mut command: Command, attorn: &Attorn, files: &Files, steps_expected: usize) {
    for (name, value) in [
        ("issuer", attorn.cast.reach.url.as_str()),
        ("client-id", &attorn.agent.id),
        ("action", "invoice.read"),
        ("resource", ALICES),
        ("purpose", PURPOSE),
        ("login-purpose", PURPOSE_WITH_USER),
        ("audience", AUDIENCE),
        ("denied-action", "invoice.delete"),
        ("resource-server", &attorn.billing.id),
    ] {
        command.args([&format!("--{name}"), value]);
    }
    for (name, path) in
        [("key", files.agent_key.as_path()), ("resource-server-key", &files.billing_key), ("login", &files.login)]
    {
        argument(&mut command, name, path);
    }
    said_ok(&tools::run(command, "", CLIENT).await.good(), steps_expected);
}

/// Whether each line is of a step that went well.
fn said_ok(said: &str, steps_expected: usize) {
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["ok"] == true), "{said}");
    assert_eq!(lines.len(), steps_expected, "{said}");
}

/// A client has a user asked, who says yes to the first amount and no to the other.
async fn ask_user(
    mut command: Command,
    (attorn, files): (&Attorn, &Files),
    (delegation, resource, amounts): (&Delegation, &str, &str),
    steps_expected: usize,
) {
    for (name, value) in [
        ("issuer", attorn.cast.reach.url.as_str()),
        ("client-id", &attorn.agent.id),
        ("action", "invoice.pay"),
        ("resource", resource),
        ("purpose", PURPOSE_WITH_USER),
        ("audience", AUDIENCE),
        ("user", &delegation.user),
        ("delegation", &delegation.id),
        ("amounts", amounts),
    ] {
        command.args([&format!("--{name}"), value]);
    }
    argument(&mut command, "key", &files.agent_key);
    said_ok(&tools::run(command, "", CLIENT).await.good(), steps_expected);
}

fn argument(command: &mut Command, name: &str, path: &Path) {
    command.arg(format!("--{name}")).arg(path);
}
