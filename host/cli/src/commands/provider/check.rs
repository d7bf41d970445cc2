//! `attorn provider check`.

use attorn_api::providers::{
    CheckResult, CheckToken, Confirmation, Provider, ProviderList, TOKEN_BYTES_MAX, TokenCheck, TokenGives, TokenUse,
};
use attorn_core::{ProviderId, TimeMs};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{PATH, comes_to};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_source::stdin_text;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;

const NO_SESSION: &str = "-  (the token has no `sid`: a logout cannot end one session)";
const NO_AUTH_TIME: &str = "-  (the token has no `auth_time`: once the user revoked all or logged out, they can never \
                            delegate again)";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn provider check - < token.txt

Ends with exit code 5 if the token would be refused, or nothing would be delegated by it. The server neither keeps nor
logs it.")]
pub(crate) struct Check {
    /// The token, or `-` to read it from standard input, where no other process of this machine sees it
    token: String,
    /// Whose token it is to be; without it, the provider that has the token's issuer
    #[arg(long, value_name = "ID", value_parser = parse::id::<ProviderId>)]
    provider: Option<ProviderId>,
    /// What it is to be used for
    #[arg(long = "use", value_enum, default_value_t = Use::Delegation)]
    token_use: Use,
}

/// What a token is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Use {
    /// To delegate something to an agent
    Delegation,
    /// By users, to see and revoke what they delegated
    User,
    /// By the provider, to say that somebody logged out
    Logout,
}

impl Check {
    pub(super) async fn run(self, client: &OperatorClient, output: &Output) -> Result<Exit, Failure> {
        // More than the server reads, so that it is the server that says so.
        let token =
            if self.token == "-" { stdin_text(2 * TOKEN_BYTES_MAX as u64)?.trim().to_owned() } else { self.token };
        let id = match self.provider {
            Some(id) => id.to_string(),
            None => provider_of(client, &token).await?,
        };
        let token_use = match self.token_use {
            Use::Delegation => TokenUse::Delegation,
            Use::User => TokenUse::User,
            Use::Logout => TokenUse::Logout,
        };
        let checked: TokenCheck = client.post(&format!("{PATH}/{id}/check"), &CheckToken { token, token_use }).await?;
        let comes_to = match &checked.gives {
            Some(gives) if self.token_use == Use::Delegation => Some(comes_to::of(client, &id, gives).await?),
            _ => None,
        };
        let good = checked.accepted && comes_to.as_ref().is_none_or(|comes_to| comes_to.something);
        let exit = if good { Exit::Done } else { Exit::VerificationFailed };
        if output.json {
            return output.json(&checked).map(|()| exit);
        }
        print(output, &checked, self.token_use);
        for line in comes_to.iter().flat_map(|comes_to| &comes_to.lines) {
            output.line(format!("{:12}  {line}", "comes to"));
        }
        Ok(exit)
    }
}

/// The provider with the issuer that the token claims.
async fn provider_of(client: &OperatorClient, token: &str) -> Result<String, Failure> {
    let issuer = issuer(token).ok_or_else(|| {
        Failure::usage("this is no token that names an issuer").with_help(
            "access tokens have to be JWTs, and an opaque one cannot be read; give it without `Bearer `, or say whose \
             it is to be: `--provider ID`",
        )
    })?;
    let mut path = format!("{PATH}?limit=200");
    loop {
        let list: ProviderList = client.get(&path).await?;
        let same = |provider: &&Provider| provider.configuration.issuer == issuer;
        if let Some(provider) = list.providers.iter().find(same) {
            return Ok(provider.configuration.id.clone());
        }
        let Some(next) = list.next else {
            return Err(Failure::new(format!("no provider is registered with the token's issuer `{issuer}`"))
                .with_help("issuers are compared byte by byte, a final `/` included: `attorn provider list`"));
        };
        path = format!("{PATH}?limit=200&after={next}");
    }
}

fn issuer(token: &str) -> Option<String> {
    let claims = data_encoding::BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

fn print(output: &Output, checked: &TokenCheck, token_use: Use) {
    for step in &checked.checks {
        let result = match step.result {
            CheckResult::Passed => "passed",
            CheckResult::Failed => "FAILED",
            CheckResult::NotReached => "-",
        };
        output
            .line(format!("{:12}  {result:6}  {}", step.check, step.detail.as_deref().unwrap_or_default()).trim_end());
    }
    match (&checked.code, &checked.gives) {
        (Some(code), _) => {
            output.line(format!("refused       {code}"));
            if let Some(help) = &checked.help {
                output.line(format!("help          {help}"));
            }
        }
        (None, Some(gives)) => print_gives(output, gives, token_use),
        (None, None) => {}
    }
}

fn print_gives(output: &Output, gives: &TokenGives, token_use: Use) {
    let line = |name: &str, value: &str| output.line(format!("{name:12}  {value}"));
    let confirmation = gives.confirmation.as_ref().map(|confirmation| match confirmation {
        Confirmation::Key(thumbprint) => format!("only with the key {thumbprint}"),
        Confirmation::Certificate(digest) => format!("only with the certificate {digest}"),
    });
    let signed_in = gives.authenticated_at_ms.map(|at| TimeMs(at).to_string());
    // A logout token says neither, and needs neither.
    let of_login = token_use != Use::Logout;
    let no_session = of_login.then_some(NO_SESSION);
    let no_auth_time = (token_use == Use::Delegation).then_some(NO_AUTH_TIME);
    for (name, value) in [
        ("subject", gives.subject.as_deref()),
        ("agent", gives.agent.as_deref()),
        ("client", gives.client.as_deref()),
        ("session", gives.session.as_deref().or(no_session)),
        ("signed in", signed_in.as_deref().or(no_auth_time)),
        ("bound", confirmation.as_deref()),
        ("acr", gives.acr.as_deref()),
    ] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    line("expires", &TimeMs(gives.expires_at_ms).to_string());
    // Only a token that is to delegate something says who the user is to us.
    if token_use == Use::Delegation {
        for group in &groups(gives.groups.as_deref()) {
            line("group", group);
        }
    }
    for consented in &gives.consented {
        for permission in &consented.permissions {
            let text = format!("{} on {} for {}", permission.action, permission.resource, consented.purpose);
            line("consented", &text);
        }
    }
    gives.unmapped.iter().for_each(|why| line("nothing for", why));
}

/// Each group; or that there are none, which is not the same as that nothing is said of them.
fn groups(said: Option<&[String]>) -> Vec<&str> {
    match said {
        None => vec!["(the token says nothing of groups: they stay as they were asserted last)"],
        Some([]) => vec!["(none: the token says so)"],
        Some(groups) => groups.iter().map(String::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_groups_and_no_word_of_groups_are_told_apart() {
        assert_eq!(groups(Some(&["staff".to_owned()])), ["staff"]);
        assert!(groups(None)[0].contains("says nothing") && groups(Some(&[]))[0].contains("none"));
    }

    #[test]
    fn the_issuer_is_read_from_the_claims() {
        let token = |claims: &str| format!("e30.{}.e30", data_encoding::BASE64URL_NOPAD.encode(claims.as_bytes()));
        assert_eq!(issuer(&token(r#"{"iss":"https://a.example"}"#)).as_deref(), Some("https://a.example"));
        for bad in [token("{}"), token(r#"{"iss":1}"#), token("x"), "a.b".into(), String::new()] {
            assert_eq!(issuer(&bad), None, "{bad}");
        }
    }
}
