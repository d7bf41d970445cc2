//! `attorn policy change`.

use std::collections::BTreeMap;

use attorn_api::policies::ChangeSet;
use attorn_core::PolicyId;
use clap::Args;

use crate::commands::load;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  attorn policy change --activate payments=4 --activate limits=2 --deactivate old-payments")]
pub(crate) struct Change {
    /// Put this version in force. Repeat it for more
    #[arg(long, value_name = "ID=VERSION", value_parser = parse::policy_version, required_unless_present = "deactivate")]
    activate: Vec<(PolicyId, u32)>,
    /// Put this policy out of force. Repeat it for more
    #[arg(long, value_name = "ID", value_parser = parse::id::<PolicyId>)]
    deactivate: Vec<PolicyId>,
}

impl Change {
    pub(super) async fn run(self, client: &OperatorClient, output: &Output) -> Result<Exit, Failure> {
        let mut policies = BTreeMap::new();
        let activated = self.activate.iter().map(|(id, version)| (id, Some(*version)));
        for (id, version) in activated.chain(self.deactivate.iter().map(|id| (id, None))) {
            if policies.insert(id.to_string(), version).is_some() {
                return Err(Failure::usage(format!("the policy `{id}` is named twice")));
            }
        }
        super::print_changed(
            output,
            &load::post(client, output, "/v1/active-set/changes", &ChangeSet { policies }).await?,
        )
    }
}
