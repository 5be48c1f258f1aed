//! One table of everything that is measured inside one process, in less than three minutes: who does what, how fast,
//! and how fast securechat is against it.
//!
//! Everybody takes a turn in each of the rounds, so that what else the machine does meets all of them alike, and
//! the fastest round counts.
#![allow(missing_docs, clippy::indexing_slicing)] // a program

use securechat_benches::BACKEND;
use securechat_benches::works::{Contender, GROUPS, Work};
use std::time::Duration;

/// Each contender's turn in a round takes about so long.
const TURN: Duration = Duration::from_millis(12);
const ROUNDS: usize = 15;

fn main() {
    // `cargo bench` hands over `--bench`; any other word picks the groups and works that have it in their name.
    let picked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    println!("securechat with {BACKEND}; a ratio above 1 means that securechat is faster\n");
    println!("{:<42} {:<26} {:>13} {:>10} {:>8}  target", "work", "who", "time", "rate", "ratio");
    let wanted = |name: &str| picked.is_empty() || picked.iter().any(|word| name.contains(word.as_str()));
    for (group, works) in GROUPS {
        for work in works().into_iter().filter(|work| wanted(group) || wanted(&work.name)) {
            measure(work);
        }
    }
}

fn measure(mut work: Work) {
    let runs: Vec<u64> = work.contenders.iter_mut().map(calibrated).collect();
    let mut best = vec![f64::MAX; runs.len()];
    for _ in 0..ROUNDS {
        for ((contender, runs), best) in work.contenders.iter_mut().zip(&runs).zip(&mut best) {
            *best = best.min((contender.run)(*runs).as_secs_f64() / *runs as f64);
        }
    }
    let ours = best[0];
    for (contender, seconds) in work.contenders.iter().zip(best) {
        let name = if contender.name == "securechat" { work.name.as_str() } else { "" };
        let rate =
            if work.bytes > 0 { format!("{:.2} GB/s", work.bytes as f64 / seconds / 1e9) } else { String::new() };
        let ratio = seconds / ours;
        let target = match contender.target {
            None => String::new(),
            Some(target) if ratio >= target => format!("{target:.2}, reached"),
            Some(target) => format!("{target:.2}, MISSED"),
        };
        let (time, ratio) =
            (spoken(seconds), if contender.name == "securechat" { String::new() } else { format!("{ratio:.2}") });
        println!("{name:<42} {:<26} {time:>13} {rate:>10} {ratio:>8}  {target}", contender.name);
    }
}

/// How many runs make a turn.
fn calibrated(contender: &mut Contender) -> u64 {
    let mut runs = 1;
    loop {
        let time = (contender.run)(runs);
        if time * 2 >= TURN {
            return ((runs as f64) * TURN.as_secs_f64() / time.as_secs_f64()).ceil().max(1.0) as u64;
        }
        runs *= 2;
    }
}

fn spoken(seconds: f64) -> String {
    match seconds {
        1e-3.. => format!("{:.2} ms", seconds * 1e3),
        1e-6.. => format!("{:.2} µs", seconds * 1e6),
        _ => format!("{:.1} ns", seconds * 1e9),
    }
}
