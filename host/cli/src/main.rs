//! The `attorn` command: it runs the server, and administers one through its API.
//!
//! Every verb but `init`, `serve`, `demo`, `backup`, `restore`, `repair` and `key rotate-log`, which use the data
//! directory, and `audit verify` of something that is a file, is a client of the HTTP API and knows nothing that any
//! other client could not know.

mod agent_source;
mod approvers;
mod args;
mod bar;
mod ceiling;
mod commands;
mod confirm;
mod context;
#[cfg(target_os = "linux")]
mod demo;
mod exit;
mod failure;
mod interrupt;
mod key_source;
mod operator_client;
mod output;
mod page;
mod parse;
mod private;
mod registry;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::args::Cli;
use crate::commands::Command;
use crate::exit::Exit;
use crate::failure::Failure;

/// A decision is many small allocations, and the C library's allocator took a fifth of its time.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long what a command has begun may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// What the store catches is an error like others, and said as one: with what is damaged, and what to do.
#[cfg(target_os = "linux")]
fn print_no_panic_that_is_caught() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if attorn_server::is_caught() {
            // It may be a fault of ours all the same: a server's log says what and where.
            tracing::warn!(%panic, "a panic was caught, and is told as an error");
        } else {
            usual(panic);
        }
    }));
}

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    print_no_panic_that_is_caught();
    let cli = Cli::parse();
    let context = cli.global.into_context();
    let done = match cli.command {
        // It has little memory, and a runtime's threads would take of it.
        Command::CompileWorker(worker) => worker.run(),
        command => tokio::runtime::Runtime::new().map_err(|error| Failure::of(&error)).and_then(|runtime| {
            let done = runtime.block_on(commands::run(command, &context));
            // A server whose store hangs has threads that never end.
            runtime.shutdown_timeout(END_TIMEOUT);
            done
        }),
    };
    let exit = match done {
        Ok(exit) => exit,
        Err(failure) => {
            failure.print();
            failure.exit
        }
    };
    match context.output.finish() {
        Ok(()) => exit.into(),
        Err(error) => {
            Failure::new(format!("what came of it could not be written: {error}")).print();
            Exit::Error.into()
        }
    }
}
