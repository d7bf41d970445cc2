//! Requests that `schemathesis` makes from the document that the server gives of its API: none is answered with
//! a 5xx, and none otherwise than the document says.

use std::time::Duration;

use attorn_core::Duty;
use attorn_tests::server::Fresh;
use attorn_tests::{Process, Staff};

use crate::steps::Steps;
use crate::tools::{self, Tools};

/// How long the requests may take altogether.
const SECONDS_MAX: u64 = 600;

/// Start a server for this alone, because nothing is put back afterwards.
pub(crate) async fn play(tools: &Tools, steps: &mut Steps) {
    let fresh = Fresh::make().await;
    let starting = async {
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        (process, staff.admin.hire("everybody", Duty::ALL).await.token)
    };
    let (process, token) = steps.take("attorn starts", starting).await;
    let mut command = tools.python("python/fuzz_api.py");
    command.args(["--server", &fresh.reach.url, "--seconds-max", &SECONDS_MAX.to_string()]);
    command.env("ATTORN_TOKEN", token);
    let requests = async {
        let said = tools::run(command, "", Duration::from_secs(SECONDS_MAX + 60)).await.good();
        println!("           {}", said.lines().last().unwrap_or_default());
    };
    steps.take("requests from the API's description", requests).await;
    drop(process);
}
