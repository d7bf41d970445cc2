//! `attorn serve`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::exit::Exit;
use crate::failure::Failure;

/// Where a configuration is looked for when none is named: in the directory that `attorn init` made, or where
/// that one is.
#[cfg(any(target_os = "linux", test))]
const CONFIGURATIONS: [&str; 2] = ["attorn.toml", "attorn/attorn.toml"];
#[cfg(any(target_os = "linux", test))]
const CONFIGURATION_HELP: &str = "`attorn init` makes a configuration; `--config` names it";

/// How long a server may take to end after its store has failed; requests that are in flight get 10 s of it.
#[cfg(target_os = "linux")]
const HANGS_AFTER: std::time::Duration = std::time::Duration::from_secs(30);

/// Run the server until SIGINT, SIGTERM or SIGHUP; what is in flight is finished first. Logs go to standard
/// error.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  attorn serve\n  attorn serve --config ./attorn/attorn.toml\n  attorn serve --log-level debug --log-format json"
)]
pub(crate) struct Serve {
    /// The configuration that `attorn init` made; `attorn.toml`, else `attorn/attorn.toml`, if it is not said
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// How much to log
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    log_level: LogLevel,
    /// How to log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Accept that the clock stands before the last record, which else keeps the server from being ready; all grants
    /// and delegations that there are end with that, as with `attorn clock accept behind`
    #[arg(long)]
    accept_clock: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Serve {
    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let Self { config: _, log_level: _, log_format: _, accept_clock: _ } = self;
        Err(super::only_on_linux("serve"))
    }

    #[cfg(target_os = "linux")]
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        use attorn_server::run::{Server, Start};

        start_logging(self.log_level, self.log_format);
        let config = configuration(self.config)?;
        let (public_url, data) = (config.public_url.clone(), config.data_dir.display().to_string());
        // Who stops us before we listen finds nothing half done.
        let stop = stop_signal()?;
        let compile_worker = Some(super::compile_worker::of_this_program()?);
        let start = Start { accept_clock: self.accept_clock, compile_worker, ..Start::default() };
        let server = Server::bind(config, start).await.map_err(|error| {
            let failure = Failure::of(&error);
            let message = format!("cannot start: {}", failure.message);
            Failure { message, help: error.help().map(str::to_owned), ..failure }
        })?;
        tracing::info!(listen = %server.local_addr(), public_url, data, "ready to serve");
        end_if_it_hangs(server.store_failed())?;
        server.run(stop).await.map_err(|error| {
            let failure = Failure::of(&error);
            Failure { help: error.help().map(str::to_owned), ..failure }
        })?;
        tracing::info!("stopped");
        Ok(Exit::Done)
    }
}

/// End the process some time after its store has failed, if it has not ended by itself. Where the store hangs,
/// every thread may hang with it that has asked it for something.
#[cfg(target_os = "linux")]
fn end_if_it_hangs(store_failed: impl Future<Output = ()> + Send + 'static) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| Failure::of(&error))?;
    let end = move || {
        runtime.block_on(store_failed);
        std::thread::sleep(HANGS_AFTER);
        tracing::error!("the server does not end after its store has failed: ending the process");
        std::process::exit(1);
    };
    let thread = std::thread::Builder::new().name("last-resort".to_owned()).spawn(end);
    thread.map(drop).map_err(|error| Failure::of(&error))
}

/// The configuration at this path, or where it usually is.
#[cfg(target_os = "linux")]
pub(super) fn configuration(path: Option<PathBuf>) -> Result<attorn_server::Config, Failure> {
    use attorn_server::{Config, ConfigError};

    let path = match path {
        Some(path) => path,
        None => found_in(Path::new(""))?,
    };
    tracing::info!(path = %path.display(), "the configuration");
    Config::load(&path).map_err(|error| match error {
        ConfigError::Read { .. } => Failure::of(&error).with_help(unreadable_help(&path)),
        _ => Failure { help: error.help().map(str::to_owned), ..Failure::of(&error) },
    })
}

/// What to do about a configuration that cannot be read. Whoever names a directory means the file in it.
#[cfg(any(target_os = "linux", test))]
fn unreadable_help(path: &Path) -> String {
    if !path.is_dir() {
        return CONFIGURATION_HELP.to_owned();
    }
    match found_in(path) {
        Ok(found) => format!("it is a directory, and `--config` names the file: `--config {}`", found.display()),
        Err(_) => format!("it is a directory, and `--config` names the file in it; {CONFIGURATION_HELP}"),
    }
}

/// The configuration in or below this directory.
#[cfg(any(target_os = "linux", test))]
fn found_in(directory: &Path) -> Result<PathBuf, Failure> {
    let there = CONFIGURATIONS.iter().map(|name| directory.join(name)).find(|path| path.exists());
    there.ok_or_else(|| {
        let [here, below] = CONFIGURATIONS;
        Failure::new(format!("there is no configuration: neither `{here}` nor `{below}`")).with_help(CONFIGURATION_HELP)
    })
}

#[cfg(target_os = "linux")]
fn start_logging(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
    };
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(colours);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

#[cfg(target_os = "linux")]
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};

    let listen = |kind| signal(kind).map_err(|error| Failure::of(&error));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    // Whoever closes the terminal stops the server; it says so, and leaves nothing half done.
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
            _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
            _ = hangup.recv() => tracing::info!("stopping: SIGHUP"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_looked_for_here_and_in_the_directory_that_init_makes() {
        let directory = tempfile::tempdir().unwrap();
        let failure = found_in(directory.path()).unwrap_err();
        assert_eq!(failure.message, "there is no configuration: neither `attorn.toml` nor `attorn/attorn.toml`");
        assert_eq!(failure.help.as_deref(), Some(CONFIGURATION_HELP));
        for name in ["attorn/attorn.toml", "attorn.toml"] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            assert_eq!(found_in(directory.path()).unwrap(), path);
            let named = format!("it is a directory, and `--config` names the file: `--config {}`", path.display());
            assert_eq!(unreadable_help(directory.path()), named);
        }
        assert_eq!(unreadable_help(&directory.path().join("none")), CONFIGURATION_HELP);
        let empty = tempfile::tempdir().unwrap();
        assert!(unreadable_help(empty.path()).starts_with("it is a directory, "));
    }
}
