//! A relay that means ill, and what its users see: every attack runs over real sockets, against the clients as they are.
//!
//! `cargo run --release --bin evil-relay`, with `-- NAME …` for some of the attacks. It prints a table, and fails when a user
//! did not see what they should, or when the relay saw a word of what they wrote.
#![forbid(unsafe_code)]

mod attacks;
mod fault;
mod person;
mod relay;
mod stage;

use attacks::Attack;
use fault::{Fault, claim};
use stage::{PASSWORD, Stage};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Attacks that run at the same time: most of each is waiting.
const AT_ONCE: usize = 6;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known = |name: &String| attacks::all().any(|attack| attack.name == name);
    if let Some(unknown) = wanted.iter().find(|name| !known(name)) {
        let names: Vec<&str> = attacks::all().map(|attack| attack.name).collect();
        _ = writeln!(io::stderr(), "There is no attack '{unknown}'. There are: {}.", names.join(", "));
        return ExitCode::FAILURE;
    }
    let chosen = |attack: &&Attack| wanted.is_empty() || wanted.iter().any(|name| attack.name == name);
    let attacks: Vec<&Attack> = attacks::all().filter(chosen).collect();
    if run(&attacks) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs attacks, several at once, and prints their rows in order as they come; false when one of them did not hold.
fn run(attacks: &[&'static Attack]) -> bool {
    line("| attack | what the relay does | what the user sees | rule |");
    line("|---|---|---|---|");
    let next = AtomicUsize::new(0);
    let (done, outcomes) = mpsc::channel();
    let mut faults = 0;
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(attacks.len()) {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                while let Some((index, attack)) = attacks.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed)) {
                    // Whoever counts the outcomes takes all of them.
                    _ = done.send((index, attack, carry_out(attack)));
                }
            });
        }
        drop(done);
        let (mut early, mut shown) = (BTreeMap::new(), 0);
        for (index, attack, outcome) in outcomes {
            early.insert(index, (attack, outcome));
            while let Some((attack, outcome)) = early.remove(&shown) {
                faults += usize::from(outcome.is_err());
                show(attack, &outcome);
                shown += 1;
            }
        }
    });
    let all = attacks.len();
    let sum = match faults {
        0 => format!(
            "{all} attacks: each user saw what stands there, and no relay saw a word in what it carried and kept."
        ),
        faults => format!("{faults} of {all} attacks went otherwise than they should."),
    };
    line(&format!("\n{sum}"));
    faults == 0
}

/// One attack from beginning to end, and then the search in everything that the relay saw.
fn carry_out(attack: &Attack) -> Result<(), Fault> {
    let stage = Stage::new()?;
    (attack.run)(&stage)?;
    stage.kept_secret()?;
    if attack.logs_in {
        claim(stage.relay.saw(PASSWORD.as_bytes()), "the search finds what the relay was told")?;
        claim(stage.relay.lied(), "the relay lied")?;
    }
    Ok(())
}

fn show(attack: &Attack, outcome: &Result<(), Fault>) {
    let sees = if outcome.is_ok() { attack.sees } else { "**NOT WHAT THEY SHOULD**" };
    line(&format!("| {} | {} | {sees} | {} |", attack.name, attack.does, attack.rule));
    if let Err(fault) = outcome {
        _ = writeln!(io::stderr().lock(), "{}: {fault}", attack.name);
    }
}

fn line(text: &str) {
    // Whoever closed the output wants no more of it; the exit status still says how it went.
    _ = writeln!(io::stdout().lock(), "{text}");
}
