//! `attorn clock`: how the wall clock stands to the server's time, and accepting it.

use attorn_api::clock::{AcceptClock, ClockShown, Stands};
use attorn_core::TimeMs;
use clap::{Args, Subcommand, ValueEnum};

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Clock {
    /// Show both clocks (duty: thawer)
    Show(Show),
    /// Go on with the wall clock's time (duty: thawer)
    Accept(Accept),
}

/// Show the server's time and the wall clock's, and whether they are so far apart that nothing is decided (duty:
/// thawer).
#[derive(Debug, Args)]
pub(crate) struct Show {}

/// Have the server go on with the wall clock's time (duty: thawer). Where that stands behind, all grants and
/// delegations that there are end: nobody could say any more for how long they live.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn clock show
  attorn clock accept ahead 5400000 --reason 'the machine was paused'
  attorn clock accept behind 7200123 --reason 'it had been set wrong'

A clock that is wrong is set right instead: then the server goes on by itself.")]
pub(crate) struct Accept {
    /// How the wall clock stands; refused if it stands otherwise
    #[arg(value_enum)]
    stands: Way,
    /// By how many milliseconds, as `attorn clock show` says; refused if it is another step by more than 5 seconds
    apart_ms: u64,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    Ahead,
    Behind,
}

impl Clock {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let operator = context.operator()?;
        let shown: ClockShown = match self {
            Self::Show(Show {}) => operator.get("/v1/clock").await?,
            Self::Accept(Accept { stands, apart_ms, why }) => {
                let stands = match stands {
                    Way::Ahead => Stands::Ahead,
                    Way::Behind => Stands::Behind,
                };
                operator.post("/v1/clock/accept", &AcceptClock { stands, apart_ms, reason: why.reason }).await?
            }
        };
        print(&context.output, &shown)
    }
}

fn print(output: &Output, clock: &ClockShown) -> Result<Exit, Failure> {
    if output.json {
        return output.json(clock).map(|()| Exit::Done);
    }
    let apart_ms = clock.apart_ms;
    output.line(match clock.stands {
        None => "the clocks agree".to_owned(),
        Some(Stands::Ahead) => format!("nothing is decided: the wall clock stands {apart_ms} ms ahead"),
        Some(Stands::Behind) => format!("nothing is decided: the wall clock stands {apart_ms} ms behind"),
    });
    for (name, ms) in [("server", clock.server_ms), ("wall", clock.wall_ms)] {
        output.line(format!("{name:6}  {}", TimeMs(ms)));
    }
    for span in &clock.assertions_refused {
        let (from, until) = (TimeMs(span.from_ms), TimeMs(span.until_ms));
        output.line(format!("clients' assertions are refused from {from} until {until}"));
    }
    Ok(Exit::Done)
}
