//! `securechat-server`: reads the command line, starts the relay, and stops it in order on Ctrl-C.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod cli;

use clap::Parser;
use cli::{Cli, Command};
use mimalloc::MiMalloc;
use securechat_server::{Config, Server, ServerError};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use tracing::Level;

/// Envelopes are allocated on one thread and freed on another, which costs the system's allocator a lock each time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.options.verbose);
    let done = cli.options.into_config().and_then(|config| match cli.command {
        Some(Command::Import { file }) => import(&config, &file),
        None => serve(config),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("securechat-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> Result<(), ServerError> {
    let open = config.registration_open;
    let server = Server::start(config)?;
    let stop = server.stop_handle();
    ctrlc::set_handler(move || stop.stop()).map_err(|error| ServerError::Signals(error.to_string()))?;
    tell(&format!(
        "The relay is running. Give this address to its users; the part after # is how they recognise it:\n\n    {}\n\n\
         Registration is {}. Ctrl-C stops the relay.\n",
        server.address(),
        if open { "open" } else { "closed" },
    ));
    server.wait()
}

fn import(config: &Config, file: &Path) -> Result<(), ServerError> {
    let imported = securechat_server::import(config, file)?;
    tell(&format!("{} imported; {} here already, who stay as they are.\n", users(imported.new), users(imported.known)));
    Ok(())
}

fn users(count: usize) -> String {
    if count == 1 { "1 user".into() } else { format!("{count} users") }
}

/// Prints for whoever looks; a relay goes on when nobody does.
fn tell(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_target(false);
    log.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).init();
}
