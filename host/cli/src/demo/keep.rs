//! The server is left running, with commands to try by hand.

use std::path::Path;

use super::operators::{log_key_path, token_path};
use super::registry::ANSWER_QUESTIONS;
use super::{Stage, bot_key_path};
use crate::failure::Failure;
use crate::interrupt::interrupted;

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let executable = std::env::current_exe().map_err(|error| Failure::of(&error))?;
    let directory = &stage.directory;
    let attorn = quoted(&executable);
    let token = |operator: &str| format!("{attorn} --token-file {}", quoted(&token_path(directory, operator)));
    let (key, log_key) = (quoted(&bot_key_path(directory)), quoted(&log_key_path(directory)));
    let reader = quoted(&directory.join("keys").join("reader.key"));
    let mut more = Vec::new();
    if let Some(act) = &stage.act {
        let registrar = token("registrar");
        more.push(format!("{registrar} user find --provider sign-in --subject {}", act.subject()?));
        more.push(format!("{registrar} delegation list"));
        more.push(format!("{attorn} delegation own --key {reader}"));
    }
    let decide = format!("{attorn} decide --key {key} --resource article/42 --purpose {ANSWER_QUESTIONS} --action");
    let narrator = &mut stage.narrator;
    narrator.part("Try it by hand");
    narrator.say("   The server is still running. In another terminal:");
    narrator.say("");
    let lines = [
        format!("export ATTORN_URL={}", stage.host.url()),
        format!("{decide} faq.read"),
        format!("{decide} faq.write; echo $?"),
        format!("{} agent show support-bot", token("registrar")),
        format!("{} agent suspend support-bot --reason 'trying it out'", token("registrar")),
        format!("{decide} faq.read; echo $?"),
        format!("{} agent resume support-bot", token("registrar")),
        format!("{} grant list --limit 5", token("registrar")),
        format!("{} policy list", token("policy-admin")),
        format!("{} audit list --limit 20", token("auditor")),
        format!("{} audit verify --key {}", token("auditor"), log_key),
        format!("{} operator list", token("carol")),
    ];
    for line in lines.into_iter().chain(more) {
        narrator.say(format!("   {line}"));
    }
    narrator.say("");
    narrator.say("   Ctrl-C ends it.");
    tokio::select! {
        signal = interrupted() => signal.map(drop),
        ended = stage.host.ended() => Err(Failure::new(format!("the server ended by itself: {}", ended?))),
    }
}

/// A path as a shell reads it back.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_split_them() {
        for (path, expect) in
            [("/tmp/a-b_1.key", "/tmp/a-b_1.key"), ("/tmp/a b", "'/tmp/a b'"), ("/tmp/it's $x", r"'/tmp/it'\''s $x'")]
        {
            assert_eq!(quoted(Path::new(path)), expect);
        }
    }
}
