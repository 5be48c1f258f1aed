//! How far a transfer has come, how fast it goes and how long it will take.

use crate::screen::Screen;
use crate::sentence;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::time::{Duration, Instant};

/// How often a line that takes the place of the last one is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
/// Files below this are there before a line about them is read.
const WORTH_A_LINE: u64 = 1_000_000;
/// How wide the bar is.
const WIDTH: usize = 24;
/// The longest name in a line.
const NAME_SHOWN: usize = 24;

/// A transfer on its way.
pub(crate) struct Transfer {
    pub(crate) name: String,
    /// With whom, as it is shown.
    pub(crate) with: String,
    /// Counts; it draws nothing itself, since a line that is being typed stands below.
    bar: ProgressBar,
    /// Quarters of it that were reported.
    quarters: u64,
    drawn: Instant,
}

impl Transfer {
    /// Begins to count at `done` bytes.
    pub(crate) fn new(name: String, with: impl Into<String>, done: u64) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_position(done);
        bar.reset_eta();
        Self { name, with: with.into(), bar, quarters: 0, drawn: Instant::now() }
    }

    /// Shows that `done` of `total` bytes are there: as a bar that moves, or where there is none, at every quarter.
    pub(crate) fn show(&mut self, done: u64, total: u64, screen: &Screen) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if total <= WORTH_A_LINE || done >= total {
            return;
        }
        let quarters = done.saturating_mul(4).checked_div(total).unwrap_or(4);
        if screen.can_move() {
            if self.drawn.elapsed() >= DRAWN_EVERY {
                self.drawn = Instant::now();
                let name: String = self.name.chars().take(NAME_SHOWN).collect();
                screen.progress(&format!("{name} {} {}", bar(done, total), self.pace(done, total)));
            }
        } else if quarters > self.quarters {
            self.quarters = quarters;
            screen.progress(&format!("{}: {}", self.name, self.pace(done, total)));
        }
    }

    fn pace(&self, done: u64, total: u64) -> String {
        let percent = u128::from(done).saturating_mul(100).checked_div(total.into()).unwrap_or(100);
        // A rate is a number of bytes, or there is none yet.
        let rate = sentence::size(self.bar.per_sec() as u64);
        let left = self.bar.eta().as_secs();
        format!("{percent} % of {}, {rate}/s, {} left", sentence::size(total), time(left))
    }
}

/// `[########----------------]`
fn bar(done: u64, total: u64) -> String {
    let full = u128::from(done).saturating_mul(WIDTH as u128).checked_div(total.into());
    let full = full.and_then(|full| usize::try_from(full).ok()).unwrap_or(WIDTH).min(WIDTH);
    format!("[{}{}]", "#".repeat(full), "-".repeat(WIDTH.saturating_sub(full)))
}

fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_and_time_reads_well() {
        assert_eq!(bar(0, 100), format!("[{}]", "-".repeat(24)));
        assert_eq!(bar(50, 100), format!("[{}{}]", "#".repeat(12), "-".repeat(12)));
        assert_eq!(bar(u64::MAX, u64::MAX), format!("[{}]", "#".repeat(24)));
        assert_eq!([0, 119, 120, 7_200].map(time), ["0 s", "119 s", "2 min", "2 h"]);
        let transfer = Transfer::new("a".into(), "bob", 0);
        assert!(transfer.pace(5_000_000, 10_000_000).starts_with("50 % of 10.0 MB, "));
    }
}
