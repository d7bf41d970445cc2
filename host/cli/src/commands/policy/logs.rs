//! `attorn policy logs`.

use std::time::Duration;

use attorn_api::policy_logs::{LogLevel, PolicyLogLine, PolicyLogList};
use attorn_core::{PolicyId, TimeMs};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;

/// How long is waited before it is asked for more.
const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(after_help = "The server keeps the newest lines in memory, and tells how many were lost.
With --json each line is one JSON object; one with the member `lost` says that lines are missing.

Examples:
  attorn policy logs
  attorn policy logs -f spend-limit --level warn")]
pub(crate) struct Logs {
    /// Only of this policy
    #[arg(value_parser = parse::id::<PolicyId>)]
    policy: Option<PolicyId>,
    /// Go on printing as policies write
    #[arg(short, long)]
    follow: bool,
    /// Only lines that matter at least this much
    #[arg(long, value_enum, default_value_t = Level::Debug)]
    level: Level,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Logs {
    pub(super) async fn run(self, client: &OperatorClient, output: &Output) -> Result<Exit, Failure> {
        let (mut after, mut printed, mut noted) = (None, 0, false);
        loop {
            let page: PolicyLogList = client.get(&self.path(after)).await?;
            printed += self.print(output, &page)?;
            after = Some(page.next);
            if !page.more {
                if printed == 0 && !noted {
                    output.note(self.nothing());
                    noted = true;
                }
                if !self.follow || output.is_broken() {
                    return Ok(Exit::Done);
                }
                tokio::time::sleep(INTERVAL).await;
            }
        }
    }

    fn path(&self, after: Option<u64>) -> String {
        let policy = self.policy.as_ref().map(|policy| format!("&policy={policy}")).unwrap_or_default();
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        format!("/v1/policy-logs?limit=200{policy}{after}")
    }

    /// What to say when there is nothing to print.
    fn nothing(&self) -> String {
        let who = match &self.policy {
            None => "no policy has written".into(),
            Some(policy) => format!("`{policy}` has not written"),
        };
        let level = if matches!(self.level, Level::Debug) { "" } else { " that matters so much" };
        let rest = if self.follow { "; waiting, Ctrl-C ends it" } else { "" };
        format!("{who} anything{level} lately{rest}")
    }

    /// Print the lines that matter, and say how many.
    fn print(&self, output: &Output, page: &PolicyLogList) -> Result<usize, Failure> {
        if page.restarted || page.lost > 0 {
            if output.json {
                output.json_line(&json!({ "lost": page.lost, "restarted": page.restarted }))?;
            }
            output.note(missing(page));
        }
        let mut printed = 0;
        for line in page.lines.iter().filter(|line| line.level >= self.level.into()) {
            if output.json {
                output.json_line(line)?;
            } else {
                output.line(text(line));
            }
            printed += 1;
        }
        Ok(printed)
    }
}

fn missing(page: &PolicyLogList) -> String {
    match (page.restarted, page.lost) {
        (false, lost) => format!("{lost} lines were lost before they could be read"),
        (true, 0) => "the server was started anew: what was written before is lost".into(),
        (true, lost) => format!("the server was started anew: what was written before is lost, and {lost} lines since"),
    }
}

fn text(line: &PolicyLogLine) -> String {
    let level = match line.level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let PolicyLogLine { policy, version, decision_id, message, .. } = line;
    format!("{}  {level:5}  {policy}/{version}  {decision_id}  {message}", TimeMs(line.time_ms))
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let page = |lost, restarted| PolicyLogList { lines: Vec::new(), lost, restarted, next: 0, more: false };
        for (lost, restarted, expect) in [
            (3, false, "3 lines were lost before they could be read"),
            (0, true, "the server was started anew: what was written before is lost"),
            (3, true, "the server was started anew: what was written before is lost, and 3 lines since"),
        ] {
            assert_eq!(missing(&page(lost, restarted)), expect);
        }
    }

    #[test]
    fn that_there_is_nothing_is_said() {
        let nothing = |policy: Option<&str>, level, follow| {
            Logs { policy: policy.map(|policy| policy.parse().unwrap()), follow, level }.nothing()
        };
        for (said, expect) in [
            (nothing(None, Level::Debug, false), "no policy has written anything lately"),
            (nothing(Some("p"), Level::Debug, false), "`p` has not written anything lately"),
            (nothing(Some("p"), Level::Warn, false), "`p` has not written anything that matters so much lately"),
            (nothing(None, Level::Debug, true), "no policy has written anything lately; waiting, Ctrl-C ends it"),
        ] {
            assert_eq!(said, expect);
        }
    }

    #[test]
    fn the_server_is_asked_for_what_comes_after() {
        let logs = |policy: Option<&str>| Logs {
            policy: policy.map(|policy| policy.parse().unwrap()),
            follow: false,
            level: Level::Debug,
        };
        assert_eq!(logs(None).path(None), "/v1/policy-logs?limit=200");
        assert_eq!(logs(Some("p")).path(Some(7)), "/v1/policy-logs?limit=200&policy=p&after=7");
    }
}
