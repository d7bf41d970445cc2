//! `attorn init`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Make a directory with configuration, root key and an empty store, and print the token that makes
/// the first admin. The token is shown this once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  attorn init --dir ./attorn\n  attorn init --dir ./attorn --listen 127.0.0.1:7500")]
pub(crate) struct Init {
    /// The directory; it is made, and has to be empty if it is there
    #[arg(long, default_value = "attorn")]
    dir: PathBuf,
    /// Where the server will listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7400")]
    listen: SocketAddr,
    /// The URL under which agents will reach it; `http://` and the address if it is not said
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

impl Init {
    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn run(self, _: &Context) -> Result<Exit, Failure> {
        let Self { dir: _, listen: _, public_url: _ } = self;
        Err(super::only_on_linux("init"))
    }

    #[cfg(target_os = "linux")]
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        use attorn_server::init::{InitError, InitOptions, init};

        let options = InitOptions { dir: self.dir, listen: self.listen, public_url: self.public_url };
        let made = init(&options).await.map_err(|error| match &error {
            InitError::NotEmpty(dir) => {
                let config = dir.join("attorn.toml");
                let serve = format!("`attorn serve --config {}` runs what is there; ", config.display());
                let serve = if config.exists() { serve } else { String::new() };
                Failure::of(&error).with_help(format!("{serve}`--dir` names another directory"))
            }
            _ => Failure::of(&error),
        })?;
        let (config, token) = (made.config_path.display(), made.bootstrap_token.expose());
        let output = &context.output;
        if output.json {
            output.json(&serde_json::json!({
                "config": config.to_string(),
                "root_key": made.root_key_path.display().to_string(),
                "log_id": made.log_id,
                "bootstrap_token": token,
            }))?;
            return Ok(Exit::Done);
        }
        output.line(format!("configuration    {config}"));
        output.line(format!("root key         {}", made.root_key_path.display()));
        output.line(format!("audit log        {}", made.log_id));
        output.line(format!("bootstrap token  {token}"));
        output.note("");
        output.note("The token makes the first admin, and then it is dead. It is shown this once:");
        output.note(format!("  attorn serve --config {config}"));
        output.note("  ATTORN_TOKEN=<bootstrap token> attorn operator register NAME --duty admin");
        Ok(Exit::Done)
    }
}
