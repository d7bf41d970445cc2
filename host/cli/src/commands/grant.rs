//! `attorn grant`.

use attorn_api::delegations::Revoke;
use attorn_api::grants::{GrantDetails, GrantList};
use attorn_core::GrantId;
use attorn_core::TimeMs;
use clap::{Args, Subcommand};

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::page::{Page, note_next};
use crate::parse;

/// The rights that allows yielded.
#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// List grants (duty: registrar, as for all of these)
    List(Page),
    /// Show a grant
    Show(Which),
    /// Revoke a grant: no use of it counts any more
    Revoke(Revoked),
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Its id: `grt_…`
    #[arg(value_parser = parse::id::<GrantId>)]
    id: GrantId,
}

#[derive(Debug, Args)]
pub(crate) struct Revoked {
    /// Its id: `grt_…`
    #[arg(value_parser = parse::id::<GrantId>)]
    id: GrantId,
    #[command(flatten)]
    why: Why,
}

impl Grant {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (client, output) = (context.operator()?, &context.output);
        let grant: GrantDetails = match self {
            Self::List(page) => return list(output, &client.get(&page.of("/v1/grants")).await?),
            Self::Show(Which { id }) => client.get(&format!("/v1/grants/{id}")).await?,
            Self::Revoke(Revoked { id, why }) => {
                client.post(&format!("/v1/grants/{id}/revoke"), &Revoke { reason: why.reason }).await?
            }
        };
        print(output, &grant)
    }
}

fn list(output: &Output, list: &GrantList) -> Result<Exit, Failure> {
    if output.json {
        return output.json(list).map(|()| Exit::Done);
    }
    let row = |grant: &GrantDetails| {
        vec![
            grant.id.clone(),
            standing(grant).into(),
            grant.agent.clone(),
            grant.action.clone(),
            grant.resource.clone(),
            format!("{}/{}", grant.uses, grant.uses_max),
            TimeMs(grant.expires_at_ms).to_string(),
        ]
    };
    let rows: Vec<_> = list.grants.iter().map(row).collect();
    output.table(&["GRANT", "STATE", "AGENT", "ACTION", "RESOURCE", "USES", "EXPIRES"], &rows);
    note_next(output, list.next.as_ref());
    Ok(Exit::Done)
}

fn print(output: &Output, grant: &GrantDetails) -> Result<Exit, Failure> {
    if output.json {
        return output.json(grant).map(|()| Exit::Done);
    }
    output.line(format!("grant            {}  {}", grant.id, standing(grant)));
    output.line(format!("decision         {}", grant.decision_id));
    output.line(format!("agent            {} ({})", grant.agent, grant.instance));
    output.line(format!("may              {} {}", grant.action, grant.resource));
    output.line(format!("purpose          {}", grant.purpose));
    output.line(format!("accepted by      {}", grant.resource_server));
    output.line(format!("issued           {}", TimeMs(grant.issued_at_ms)));
    output.line(format!("expires          {}", TimeMs(grant.expires_at_ms)));
    if let Some(at) = grant.revoked_at_ms {
        output.line(format!("revoked          {}", TimeMs(at)));
    }
    output.line(format!("uses             {} of {}", grant.uses, grant.uses_max));
    Ok(Exit::Done)
}

const fn standing(grant: &GrantDetails) -> &'static str {
    match (grant.active, grant.revoked_at_ms) {
        (true, _) => "active",
        (false, Some(_)) => "revoked",
        // Of one whose login was made, too: that takes all uses, and lives until the grant expires or is revoked.
        (false, None) if grant.uses >= grant.uses_max => "spent",
        (false, None) => "ended",
    }
}
