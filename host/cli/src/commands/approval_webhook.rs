//! `attorn approval-webhook`.

use attorn_api::approvals::{RegisterWebhook, RegisteredWebhook, Webhook, WebhookList};
use attorn_core::{TimeMs, WebhookId};
use clap::{Args, Subcommand};

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, time_or_dash};
use crate::page::{Page, note_next};
use crate::parse;

/// Who is told of what is to be approved.
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalWebhook {
    /// Post a signed message to a URL for each approval that is asked for (duty: registrar, as for all of these)
    Register(Register),
    /// List webhooks
    #[command(after_help = "Examples:\n  attorn approval-webhook list --json")]
    List(Page),
    /// Send to a webhook no more, for ever
    #[command(after_help = "Examples:\n  attorn approval-webhook revoke chat --reason 'nobody reads it'")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn approval-webhook register chat --url https://chat.example/hooks/attorn")]
pub(crate) struct Register {
    /// Its id, never used again for another
    #[arg(value_parser = parse::id::<WebhookId>)]
    id: WebhookId,
    /// Where messages are posted, over `https`
    #[arg(long)]
    url: String,
    /// It may be this machine, over `http`, too
    #[arg(long)]
    loopback: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// Its id
    #[arg(value_parser = parse::id::<WebhookId>)]
    id: WebhookId,
    #[command(flatten)]
    why: Why,
}

impl ApprovalWebhook {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        const PATH: &str = "/v1/approval-webhooks";
        let (client, output) = (context.operator()?, &context.output);
        match self {
            Self::Register(Register { id, url, loopback }) => {
                let body = RegisterWebhook { id: id.to_string(), url, loopback };
                registered(output, &client.post(PATH, &body).await?)
            }
            Self::List(page) => list(output, &client.get(&page.of(PATH)).await?),
            Self::Revoke(Revoke { id, why }) => {
                let body = attorn_api::delegations::Revoke { reason: why.reason };
                let webhook: Webhook = client.post(&format!("{PATH}/{id}/revoke"), &body).await?;
                if output.json {
                    return output.json(&webhook).map(|()| Exit::Done);
                }
                output.line(format!("webhook {} is told no more", webhook.id));
                Ok(Exit::Done)
            }
        }
    }
}

fn registered(output: &Output, registered: &RegisteredWebhook) -> Result<Exit, Failure> {
    if output.json {
        return output.json(registered).map(|()| Exit::Done);
    }
    output.line(format!("webhook  {} at {}", registered.webhook.id, registered.webhook.url));
    output.line(format!("secret   {}", registered.secret));
    output.note("the secret is shown once: messages are verified by it, as Standard Webhooks has it");
    Ok(Exit::Done)
}

fn list(output: &Output, list: &WebhookList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |webhook: &Webhook| {
        let since = TimeMs(webhook.created_at_ms).to_string();
        vec![webhook.id.clone(), since, time_or_dash(webhook.revoked_at_ms), webhook.url.clone()]
    };
    let rows: Vec<_> = list.webhooks.iter().map(row).collect();
    output.table(&["WEBHOOK", "SINCE", "REVOKED", "URL"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}
