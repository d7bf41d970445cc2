//! `attorn key`: the keys that sign tokens, the one with which this server is a client of providers, and the one that
//! signs the audit log.

use std::path::PathBuf;

use attorn_api::provider_client_keys::{OVERLAP_MS, ProviderClientKeys, RotateProviderClientKey};
use attorn_api::token_keys::{RetireTokenKey, RotateTokenKey, TokenKey, TokenKeyChanged, TokenKeyList, TokenKeyState};
use attorn_core::{KeyThumbprint, TimeMs};
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse::{self, Span};

/// What signs tokens, and what signs the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List keys that sign tokens (duty: admin, as for all of these that ask the server)
    List(Page),
    /// Have a new key sign; what the one before it signed lives on until it expires
    Rotate(Rotate),
    /// Have a key sign no more; if it is the one that signs, a new one does
    #[command(after_help = "Examples:
  attorn key retire kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k --compromised --reason 'a backup was stolen'")]
    Retire(Retire),
    /// List the keys with which this server is a client of providers (`private_key_jwt`)
    ListProviderClient,
    /// Have a new key take the place of that. Both are published for a while, and the old one signs in the first half of
    /// it, so that every provider has seen the new one before it does
    #[command(after_help = "Examples:
  attorn key rotate-provider-client --reason 'each year'
  attorn key rotate-provider-client --overlap 24h
  attorn key rotate-provider-client --compromised --reason 'a backup was stolen'

Providers read the keys at /.well-known/client-jwks.json of the server. Let the overlap be twice as long as the longest
that any of them keeps what it has read. After `--compromised` the old key is published no more, and the new one signs at
once; providers that keep the old one for a while ask nobody and let nobody sign in until they read the new one.")]
    RotateProviderClient(RotateProviderClient),
    /// Have a new key sign the audit log, which goes on in a new epoch. It asks no server, and none may run on the data
    /// directory meanwhile. Nothing that was granted ends
    #[command(after_help = "Examples:
  attorn key rotate-log --reason 'each year'
  attorn key rotate-log --config ./attorn/attorn.toml --compromised

Whoever has the old key goes on with the new one, because the old one names it: `attorn audit verify` does. After
`--compromised` nothing by the old key counts beyond the end of its epoch, so it names none: give the new key to
whoever verifies. Witnesses have to be told of the new key in both cases. Where files with entries or with records of
decisions are damaged or missing it refuses, and names them, unless `--with-bad-entries` is given; then it ends with 5.
What else is in the data directory goes over under its name.")]
    RotateLog(RotateLog),
}

#[derive(Debug, Args)]
pub(crate) struct RotateLog {
    /// The server's configuration; `attorn.toml`, else `attorn/attorn.toml`, if it is not said
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Somebody else may have the key: it does not vouch for the new one
    #[arg(long)]
    compromised: bool,
    /// Why; the audit log keeps it
    #[arg(long)]
    reason: Option<String>,
    /// Rotate also where files with entries or records of decisions are damaged or missing: these are lost for good, and
    /// the log says which entries they are (try `attorn repair` first, which may bring all of them back)
    #[arg(long)]
    with_bad_entries: bool,
}

#[cfg(not(target_os = "linux"))]
impl RotateLog {
    async fn run(self, _: &Context) -> Result<Exit, Failure> {
        let Self { config: _, compromised: _, reason: _, with_bad_entries: _ } = self;
        Err(super::only_on_linux("key rotate-log"))
    }
}

/// What does not happen by itself.
#[cfg(target_os = "linux")]
const NEXT_STEPS: [&str; 4] = [
    "next: start the server (`attorn serve`), and",
    "- keep the new key instead of the old one: `attorn audit key > log.key`, the same as above",
    "- tell your witnesses, if you have any, of it and of the new origin, `ORIGIN`: nothing of it is witnessed before",
    "- make a backup (`attorn backup`): one from before goes on from the old epoch, with another key than this",
];

#[cfg(target_os = "linux")]
impl RotateLog {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        use attorn_server::epochs::BadEntries;
        use attorn_server::rotate::{Because, rotate_log_key};

        let config = super::serve::configuration(self.config)?;
        let because = if self.compromised { Because::Compromised } else { Because::Routine };
        let bad_entries = if self.with_bad_entries { BadEntries::Accepted } else { BadEntries::Refused };
        let watched = crate::bar::Bar::watch(&context.output);
        let rotated = rotate_log_key(&config, because, self.reason.as_deref(), bad_entries).await;
        drop(watched);
        let rotated = rotated.map_err(|error| {
            let failure = Failure::of(&error);
            let exit = if error.is_altered() { Exit::VerificationFailed } else { failure.exit };
            Failure { exit, help: error.help().map(str::to_owned), ..failure }
        })?;
        let (output, bad_named) = (&context.output, attorn_server::data::BadNamed::default());
        let exit = super::damage::exit(&[&rotated.bad_files], &bad_named);
        if output.json {
            output.json(&serde_json::json!({
                "origin": rotated.origin.to_string(),
                "key": rotated.key.to_string(),
                "earlier_origin": rotated.earlier.to_string(),
                "earlier_entries": rotated.entries,
                "earlier_export": rotated.export.display().to_string(),
                "high_water_problem": rotated.high_water_problem,
                "old_directory_problem": rotated.old_dir_problem,
                "bad_files": rotated.bad_files,
                "bad_entries": super::damage::entries(&rotated.bad_entries),
            }))?;
            return Ok(exit);
        }
        output.line(format!(
            "audit log    {}, after {} with {} entries",
            rotated.origin, rotated.earlier, rotated.entries
        ));
        output.line(format!("earlier log  {}", rotated.export.display()));
        output.line(format!("key          {}", rotated.key));
        if let Some(problem) = rotated.high_water_problem {
            output.note(format!("the high-water file cannot be written, so start the server now: {problem}"));
        }
        if let Some(problem) = rotated.old_dir_problem {
            output.note(format!(
                "something of the directory of before stays: move out of it what you need, and remove it: {problem}"
            ));
        }
        if self.compromised {
            output.note("the old key does not vouch for this one: give it to everybody who verifies the log");
        }
        for step in NEXT_STEPS {
            output.note(step.replace("ORIGIN", &rotated.origin.to_string()));
        }
        super::damage::say_lost(output, &rotated.bad_files, &rotated.bad_entries);
        Ok(exit)
    }
}

#[derive(Debug, Args)]
pub(crate) struct RotateProviderClient {
    /// For how long both are published, at most 7d; an hour if it is not said
    #[arg(long, value_name = "SPAN", conflicts_with = "compromised")]
    overlap: Option<Span>,
    /// Somebody else may have the old key: it is published no more
    #[arg(long)]
    compromised: bool,
    /// Why; the audit log keeps it
    #[arg(long)]
    reason: Option<String>,
}

impl RotateProviderClient {
    fn body(self) -> RotateProviderClientKey {
        let overlap_ms = self.overlap.map_or(OVERLAP_MS, |overlap| overlap.ms);
        RotateProviderClientKey { overlap_ms, compromised: self.compromised, reason: self.reason }
    }
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
        const OWN: &str = "/v1/provider-client-keys";
        let output = &context.output;
        let changed: TokenKeyChanged = match self {
            Self::List(page) => return list(output, &context.operator()?.get(&page.of(PATH)).await?),
            Self::Rotate(Rotate { reason }) => {
                context.operator()?.post(&format!("{PATH}/rotate"), &RotateTokenKey { reason }).await?
            }
            Self::Retire(Retire { thumbprint, compromised, reason }) => {
                let body = RetireTokenKey { compromised, reason };
                context.operator()?.post(&format!("{PATH}/{thumbprint}/retire"), &body).await?
            }
            Self::ListProviderClient => return own(output, &context.operator()?.get(OWN).await?),
            Self::RotateProviderClient(rotate) => {
                let path = format!("{OWN}/rotate");
                return own(output, &context.operator()?.post(&path, &rotate.body()).await?);
            }
            Self::RotateLog(rotate) => return rotate.run(context).await,
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

/// The keys with which this server is a client.
fn own(output: &Output, keys: &ProviderClientKeys) -> Result<Exit, Failure> {
    if output.json {
        return output.json(keys).map(|()| Exit::Done);
    }
    let row = |key: &attorn_api::provider_client_keys::ProviderClientKey| {
        let signs = if key.signs { "yes" } else { "no" };
        let from = TimeMs(key.signs_from_ms).to_string();
        vec![key.thumbprint.clone(), key.version.to_string(), signs.into(), from, time_or_dash(key.published_until_ms)]
    };
    let rows: Vec<_> = keys.keys.iter().map(row).collect();
    output.table(&["KEY", "VERSION", "SIGNS", "SIGNS FROM", "PUBLISHED UNTIL"], &rows);
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
