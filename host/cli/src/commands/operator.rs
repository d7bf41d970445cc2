//! `attorn operator`.

use attorn_api::delegations::Revoke;
use attorn_api::operators::{self, OperatorList, RegisterOperator, RegisteredOperator};
use attorn_core::TimeMs;
use attorn_core::{Duty, OperatorId};
use clap::{Args, Subcommand};

use super::{Nothing, Why};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::time_or_dash;
use crate::page::{Page, note_next};
use crate::parse::{self, OneOf};

/// Who administers.
#[derive(Debug, Subcommand)]
pub(crate) enum Operator {
    /// Register an operator, and print its token, this once (duty: admin, or the bootstrap token)
    Register(Register),
    /// List operators (duty: admin, or the bootstrap token)
    List(Page),
    /// Give an operator a new token, and print it: one that they had ends at once (duty: admin; or, for an admin whose
    /// token a restore has ended, the bootstrap token)
    Renew(Renewed),
    /// Revoke an operator's token, for ever (duty: admin)
    Revoke(Revoked),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  attorn operator register alice --duty admin\n  attorn operator register carol --duty policy_admin,policy_weakener"
)]
pub(crate) struct Register {
    /// Its id, never used again for another
    #[arg(value_parser = parse::id::<OperatorId>)]
    id: OperatorId,
    /// What it may do; repeat it, or join with commas. No duty implies another
    #[arg(long, required = true, value_delimiter = ',', value_parser = DUTY)]
    duty: Vec<Duty>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn operator renew carol                          her token leaked, or a restore has ended it

Her duties stay, and so does her name in the log, which says who gave her the token.")]
pub(crate) struct Renewed {
    /// Its id
    #[arg(value_parser = parse::id::<OperatorId>)]
    id: OperatorId,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn operator revoke carol --reason 'left the company'

It is for ever, and nobody gets her id again. A new token for her, in the place of one that leaked: `attorn operator renew`.")]
pub(crate) struct Revoked {
    /// Its id
    #[arg(value_parser = parse::id::<OperatorId>)]
    id: OperatorId,
    #[command(flatten)]
    why: Why,
}

const DUTY: OneOf<Duty> =
    OneOf { parse: parse::id::<Duty>, names: || Duty::ALL.iter().map(|duty| duty.as_str()).collect() };

impl Operator {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.operator()?, &context.output);
        match self {
            Self::Register(Register { id, duty }) => {
                let duties = duty.iter().map(ToString::to_string).collect();
                let body = RegisterOperator { id: id.to_string(), duties };
                let registered: RegisteredOperator = client.post("/v1/operators", &body).await?;
                if output.json {
                    output.json(&registered)?;
                } else {
                    output.line(&registered.token);
                    output.note(format!("operator `{id}` is registered; above is its token, shown this once"));
                }
            }
            Self::Renew(Renewed { id }) => {
                let renewed: RegisteredOperator =
                    client.post(&format!("/v1/operators/{id}/renew"), &Nothing {}).await?;
                if output.json {
                    return output.json(&renewed).map(|()| Exit::Done);
                }
                output.line(&renewed.token);
                output.note(format!(
                    "above is the new token of operator `{id}`, shown this once; one of before has ended"
                ));
            }
            Self::List(page) => {
                let list: OperatorList = client.get(&page.of("/v1/operators")).await?;
                if output.json {
                    return output.json(&list).map(|()| Exit::Done);
                }
                let rows: Vec<_> = list.operators.iter().map(row).collect();
                output.table(&["OPERATOR", "DUTIES", "REGISTERED", "REVOKED", "TOKEN"], &rows);
                note_next(output, list.next.as_ref());
            }
            Self::Revoke(Revoked { id, why }) => {
                let body = Revoke { reason: why.reason };
                let revoked: operators::Operator = client.post(&format!("/v1/operators/{id}/revoke"), &body).await?;
                if output.json {
                    return output.json(&revoked).map(|()| Exit::Done);
                }
                output.line(format!("operator `{id}` is revoked"));
            }
        }
        Ok(Exit::Done)
    }
}

fn row(operator: &operators::Operator) -> Vec<String> {
    vec![
        operator.id.clone(),
        operator.duties.join(","),
        TimeMs(operator.created_at_ms).to_string(),
        time_or_dash(operator.revoked_at_ms),
        if operator.has_token { "yes" } else { "no" }.into(),
    ]
}
