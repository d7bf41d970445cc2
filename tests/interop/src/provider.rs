//! A provider that is not ours, run by its script: started, spoken to on its input, and ended with it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::tools::{self, Tools};

/// What tokens say in `aud` that are exchanged.
pub(crate) const AUDIENCE: &str = "https://attorn.example";
/// What they say with which users see and revoke.
pub(crate) const USERS_AUDIENCE: &str = "https://attorn.example/users";

const LOGIN: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_mins(1);
const END: Duration = Duration::from_secs(40);

/// A kind of provider, and in what it differs.
pub(crate) struct Kind {
    /// What it is called.
    pub(crate) name: &'static str,
    /// How long it may take to start. Keycloak may have to be fetched.
    start: Duration,
    /// How it signs.
    algorithm: &'static str,
    /// What its tokens say in `typ`.
    token_type: &'static str,
    /// Which claim names the client.
    pub(crate) client_claim: &'static str,
    /// Whether users can consent to less than is asked, and to single things (RFC 9396).
    pub(crate) fine_consent: bool,
    /// Why its ID tokens are no subject tokens.
    pub(crate) id_token_refused: &'static str,
    /// By which claim it knows a user who is to be asked.
    pub(crate) login_hint_claim: &'static str,
    /// Why the tokens of a client are refused that may ask for every audience and is nobody's.
    pub(crate) stranger_refused: &'static str,
}

/// npm `oidc-provider`.
pub(crate) const OIDC_PROVIDER: Kind = Kind {
    name: "oidc-provider",
    start: Duration::from_secs(30),
    algorithm: "ES256",
    token_type: "at+jwt",
    client_claim: "client_id",
    fine_consent: true,
    id_token_refused: "wrong_type",
    login_hint_claim: "sub",
    stranger_refused: "no_registered_agent",
};

/// Keycloak.
pub(crate) const KEYCLOAK: Kind = Kind {
    name: "keycloak",
    start: Duration::from_mins(20),
    algorithm: "RS256",
    token_type: "jwt",
    client_claim: "azp",
    fine_consent: false,
    id_token_refused: "not_an_access_token",
    login_hint_claim: "preferred_username",
    // Keycloak puts both audiences into each of them.
    stranger_refused: "audience_mixed",
};

impl Kind {
    /// What a registrar records about it, as `README.md` of the scripts and the pages for operators say.
    pub(crate) fn configuration(&self, issuer: &str) -> Value {
        let purposes = json!([crate::attorn::PURPOSE_WITH_USER]);
        let scope = |action: &str| json!({ "purposes": purposes, "permissions": [{ "action": action, "resource": "invoice/*" }] });
        let mut configuration = json!({
            "id": "main",
            "issuer": issuer,
            "audience": AUDIENCE,
            "algorithms": [self.algorithm],
            "token_type": self.token_type,
            "names_agent_by": self.client_claim,
            "clients": { "assistant": "assistant-bot", "courier": "courier-bot" },
            "scopes": { "invoices": scope("invoice.read"), "payments": scope("invoice.pay") },
            "groups_claim": "groups",
            "claims": if self.login_hint_claim == "sub" { json!([]) } else { json!([self.login_hint_claim]) },
            "user_audience": USERS_AUDIENCE,
            "user_clients": ["portal"],
        });
        if self.fine_consent {
            configuration["authorization_details"] = json!({ "invoice_access": {
                "purposes": purposes, "actions": { "invoices.read": "invoice.read" }, "resource_prefix": "invoice/",
            } });
        }
        configuration
    }
}

/// A provider that runs until it is dropped.
pub(crate) struct Provider {
    /// Its issuer.
    pub(crate) issuer: String,
    running: Running,
    // Its input: the script ends with it.
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Provider {
    /// Start one that tells of logouts to this server, and asks users for it.
    pub(crate) async fn start(tools: &Tools, kind: &Kind, server: &str) -> Self {
        let mut command = if kind.fine_consent {
            tools.node("provider.mjs")
        } else {
            let mut command = tools.python("keycloak/keycloak.py");
            command.arg("--cache").arg(&tools.keycloak_cache);
            command
        };
        command.args(["--audience", AUDIENCE, "--users-audience", USERS_AUDIENCE]);
        command.args(["--logout-url", &format!("{server}/v1/backchannel-logout")]);
        command.args(["--approvals-jwks", &format!("{server}/.well-known/client-jwks.json")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", kind.name));
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let running = Running(child);
        let mut provider = Self { issuer: String::new(), running, stdin, lines: BufReader::new(stdout).lines() };
        let ready = provider.line(kind.start).await;
        ready["issuer"].as_str().unwrap().clone_into(&mut provider.issuer);
        provider
    }

    /// Tell it to do something.
    pub(crate) async fn ask(&mut self, command: &Value) {
        self.told(command).await;
    }

    /// Tell it to do something, and what it says to that.
    pub(crate) async fn told(&mut self, command: &Value) -> Value {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        let answer = self.line(ANSWER).await;
        assert_eq!(answer["done"], command["do"], "{answer}");
        answer
    }

    /// A user signs in with its client `assistant` and consents; with these arguments changed or added.
    pub(crate) async fn sign_in(&self, tools: &Tools, user: &str, changes: &[(&str, &str)]) -> Value {
        let usual = [
            ("client", "assistant"),
            ("user", user),
            ("audience", AUDIENCE),
            ("scope", "invoices payments"),
            ("issuer", &self.issuer),
        ];
        let replaced = |name: &str| changes.iter().any(|(other, _)| *other == name);
        let kept = usual.iter().filter(|(name, _)| !replaced(name));
        let mut command = tools.node("login.mjs");
        for (name, value) in kept.chain(changes) {
            command.args([&format!("--{name}"), *value]);
        }
        serde_json::from_str(&tools::run(command, "", LOGIN).await.good()).unwrap()
    }

    /// The user of this browser signs out on the provider's page.
    pub(crate) async fn sign_out(&self, tools: &Tools, cookies: &Path, login: &Value) {
        let mut command = tools.node("login.mjs");
        command.args(["--log-out", "--issuer", &self.issuer, "--client", "assistant", "--cookies"]).arg(cookies);
        command.args(["--id-token", login["id_token"].as_str().unwrap()]);
        let said = tools::run(command, "", LOGIN).await.good();
        assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), json!({ "logged_out": true }));
    }

    /// End it, and see that it ends well.
    pub(crate) async fn end(self) {
        let Self { mut running, stdin, .. } = self;
        drop(stdin);
        let ended = tokio::time::timeout(END, running.0.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("the provider did not end within {END:?}")).unwrap();
        assert!(status.success(), "the provider ended with {status}");
    }

    async fn line(&mut self, within: Duration) -> Value {
        let line = tokio::time::timeout(within, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("the provider said nothing within {within:?}")).unwrap();
        let line = line.unwrap_or_else(|| panic!("the provider ended; what it said stands above"));
        serde_json::from_str(&line).unwrap()
    }
}

/// A script, asked to end when this is dropped. It is not killed: it has to end what it started itself.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // None if it has ended.
        if let Some(id) = self.0.id() {
            let _ = std::process::Command::new("kill").arg(id.to_string()).status();
        }
    }
}
