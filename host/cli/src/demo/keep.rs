//! The server is left running, with commands to try by hand.

use super::operators::{log_key_path, token_path};
use super::registry::ANSWER_QUESTIONS;
use super::{Stage, bot_key_path};
use crate::failure::Failure;

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let executable = std::env::current_exe().map_err(|error| Failure::of(&error))?;
    let directory = &stage.directory;
    let attorn = executable.display();
    let token = |operator: &str| format!("{attorn} --token-file {}", token_path(directory, operator).display());
    let (key, log_key) = (bot_key_path(directory), log_key_path(directory));
    let decide =
        format!("{attorn} decide --key {} --resource article/42 --purpose {ANSWER_QUESTIONS} --action", key.display());
    let narrator = &mut stage.narrator;
    narrator.part("Try it by hand");
    narrator.say("   The server is still running. In another terminal:");
    narrator.say("");
    for line in [
        format!("export ATTORN_URL={}", stage.host.url()),
        format!("{decide} faq.read"),
        format!("{decide} faq.write; echo $?"),
        format!("{} agent show support-bot", token("registrar")),
        format!("{} agent suspend support-bot --reason 'trying it out'", token("registrar")),
        format!("{} grant list --limit 5", token("registrar")),
        format!("{} policy list", token("policy-admin")),
        format!("{} audit list --limit 20", token("auditor")),
        format!("{} audit verify --key {}", token("auditor"), log_key.display()),
        format!("{} operator list", token("alice")),
    ] {
        narrator.say(format!("   {line}"));
    }
    narrator.say("");
    narrator.say("   Ctrl-C ends it.");
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.map_err(|error| Failure::of(&error)),
        ended = stage.host.ended() => Err(Failure::new(format!("the server ended by itself: {}", ended?))),
    }
}
