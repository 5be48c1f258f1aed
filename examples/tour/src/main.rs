//! A tour of securechat: a relay, people who talk through it, and then what the relay saw.
//!
//! Everything is real: sockets, databases, files, and the same code that the programs run.
//! `cargo run --release --bin tour`, with `-- --all-suites` for each way of agreeing keys, or `-- FILE` for a file of yours.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod evidence;
mod fault;
mod group;
mod person;
mod relay;
mod stage;
mod story;
mod suites;

use clap::Parser;
use fault::Fault;
use securechat_core::suite::Suite;
use stage::Stage;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// People talk through a relay, two and in a group, and then you see what the relay saw.
#[derive(Debug, Parser)]
#[command(name = "tour", version, after_help = suites::HELP)]
struct Args {
    /// The suite to use, by name or number
    #[arg(long, value_name = "NAME", default_value = "x25519-mlkem768-aes-gcm", value_parser = suites::parse)]
    suite: Suite,

    /// Run with each suite, one line for each
    #[arg(long, conflicts_with = "suite")]
    all_suites: bool,

    /// The file that Alice sends
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let file = args.file.unwrap_or_else(readme);
    let stage = Stage::new();
    let held = match args.all_suites {
        true => all_suites(&stage, &file),
        false => story::tell(&stage, args.suite, &file),
    };
    match held {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            stage.fault(&fault);
            ExitCode::FAILURE
        }
    }
}

/// The story once for each suite, with one line about each.
fn all_suites(stage: &Stage, file: &Path) -> Result<(), Fault> {
    stage.title("securechat, a tour of all suites");
    let mut first_fault = Ok(());
    for suite in Suite::ALL {
        let begun = Instant::now();
        let told = story::tell(&Stage::silent(), suite, file);
        let outcome = match &told {
            Ok(()) => stage.good("all of it held"),
            Err(fault) => stage.bad(&fault.to_string()),
        };
        let seconds = begun.elapsed().as_secs_f64();
        stage.line(&format!(
            "  {suite}  {:<26} {:<46} {outcome}  {seconds:.1} s",
            suites::name(suite),
            suites::words(suite)
        ));
        first_fault = first_fault.and(told);
    }
    stage.line(
        "  Each time: found, compared, talked, away and back, a file, a group, and nothing for the relay to read.",
    );
    first_fault
}

/// The project's README, wherever this is started from.
fn readme() -> PathBuf {
    let here = PathBuf::from("README.md");
    if here.is_file() { here } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md") }
}
