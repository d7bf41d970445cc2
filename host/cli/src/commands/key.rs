//! `attorn key`: the keys that sign tokens.

use attorn_api::token_keys::{RetireTokenKey, RotateTokenKey, TokenKey, TokenKeyChanged, TokenKeyList, TokenKeyState};
use attorn_core::{KeyThumbprint, TimeMs};
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse;

/// What signs tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List keys (duty: admin, as for all of these)
    List(Page),
    /// Have a new key sign; what the one before it signed lives on until it expires
    Rotate(Rotate),
    /// Have a key sign no more; if it is the one that signs, a new one does
    #[command(after_help = "Examples:
  attorn key retire kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k --compromised --reason 'a backup was stolen'")]
    Retire(Retire),
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Why; the audit log keeps it
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Retire {
    /// The key's thumbprint: `kid` in tokens
    #[arg(value_parser = parse::id::<KeyThumbprint>)]
    thumbprint: KeyThumbprint,
    /// Somebody else may have it: end all that it signed, at once
    #[arg(long)]
    compromised: bool,
    /// Why; the audit log keeps it
    #[arg(long)]
    reason: Option<String>,
}

impl Key {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        const PATH: &str = "/v1/token-keys";
        let (client, output) = (context.operator()?, &context.output);
        let changed: TokenKeyChanged = match self {
            Self::List(page) => return list(output, &client.get(&page.of(PATH)).await?),
            Self::Rotate(Rotate { reason }) => {
                client.post(&format!("{PATH}/rotate"), &RotateTokenKey { reason }).await?
            }
            Self::Retire(Retire { thumbprint, compromised, reason }) => {
                let body = RetireTokenKey { compromised, reason };
                client.post(&format!("{PATH}/{thumbprint}/retire"), &body).await?
            }
        };
        print(output, &changed)
    }
}

fn list(output: &Output, list: &TokenKeyList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let rows: Vec<_> = list.keys.iter().map(row).collect();
    output.table(&["KEY", "VERSION", "STATE", "PUBLISHED", "MADE", "ENDED"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

fn row(key: &TokenKey) -> Vec<String> {
    vec![
        key.thumbprint.clone(),
        key.version.to_string(),
        state(key).into(),
        if key.published { "yes" } else { "no" }.into(),
        TimeMs(key.made_at_ms).to_string(),
        time_or_dash(key.ended_at_ms),
    ]
}

fn print(output: &Output, changed: &TokenKeyChanged) -> Result<Exit, Failure> {
    if output.json {
        return output.json(changed).map(|()| Exit::Done);
    }
    output.line(format!("{}  {}", state(&changed.key), changed.key.thumbprint));
    output.line(format!("signing  {}", changed.signing.thumbprint));
    Ok(Exit::Done)
}

const fn state(key: &TokenKey) -> &'static str {
    match key.state {
        TokenKeyState::Signing => "signing",
        TokenKeyState::Retired => "retired",
        TokenKeyState::Compromised => "compromised",
    }
}
