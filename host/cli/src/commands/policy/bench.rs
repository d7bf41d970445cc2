//! `attorn policy bench`.

use std::path::PathBuf;

use attorn_toolchain::bench::{self, BenchError, CaseMeasured, Measured};
use attorn_toolchain::cases::Side;
use clap::Args;

use super::{local, test};
use crate::bar::Bar;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Say how long a policy takes on its cases: the middle and the 99th of 100 evaluations, beside a policy that does nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Each evaluation starts afresh in a sandbox of its own, as in a decision, and both policies are asked in turns. REFERENCE
is what every policy costs on this machine; OVER is the part that is this policy's own. Whether the cases hold does not
matter here. What else the machine does shows in the 99th first.

Examples:
  attorn policy bench
  attorn policy bench my-policy --rounds 10000 --json"
)]
pub(crate) struct Bench {
    /// The policy's directory
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The WebAssembly component; `policy.wasm` in the directory if it is not said
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// How often each case is asked
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(bench::ROUNDS_MAX)))]
    rounds: u32,
}

impl Bench {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let component = test::component(&self.dir, self.component.as_deref())?;
        let engine = local::engine_anew()?;
        let side = Side { component: &component, limits: local::limits(&component) };
        let bar = Bar::new(output);
        let watch = |done, of| bar.step(done, of, "evaluations");
        let measured = bench::measure(&engine, side, &self.dir.join("cases"), self.rounds, watch).await;
        bar.end();
        let measured = measured.map_err(|error| not_measured(&error))?;
        if output.json {
            return output.json(&measured).map(|()| Exit::Done);
        }
        print(output, &measured);
        Ok(Exit::Done)
    }
}

fn not_measured(error: &BenchError) -> Failure {
    match error {
        BenchError::Cases(error) => test::not_run(error),
        BenchError::NothingToAsk { .. } => {
            Failure::of(error).with_help("`sdk/policy/CASES.md` says what a case with a context is")
        }
        _ => Failure::of(error),
    }
}

fn print(output: &Output, measured: &Measured) {
    let us = |time: f64| format!("{time:.1}");
    let row = |case: &CaseMeasured| {
        let (policy, reference) = (case.policy, case.reference);
        vec![
            us(policy.p50_us),
            us(policy.p99_us),
            us(reference.p50_us),
            us(reference.p99_us),
            us(policy.p50_us - reference.p50_us),
            case.file.clone(),
            case.name.clone(),
        ]
    };
    let rows: Vec<_> = measured.cases.iter().map(row).collect();
    output.table(&["P50", "P99", "REFERENCE P50", "P99", "OVER P50", "FILE", "CASE"], &rows);
    let each_time = measured.cases.iter().filter(|case| !case.snapshot).count();
    if each_time > 0 {
        output.line(format!(
            "{each_time} of {} cases run `init` in each evaluation: no snapshot could be taken",
            rows.len()
        ));
    }
    output.line(format!("microseconds; {} rounds of each case, {} cases", measured.rounds, rows.len()));
}
