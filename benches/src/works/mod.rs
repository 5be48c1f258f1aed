//! What is measured: each work with everybody who does it, so that one run has them side by side.

mod boundary;
mod files;
mod frames;
mod groups;
mod handshakes;
mod records;
mod sessions;

use std::time::{Duration, Instant};

/// Runs so many times, and gives the time that counts.
pub type Run = Box<dyn FnMut(u64) -> Duration>;

/// One thing that several libraries do.
pub struct Work {
    /// What is done.
    pub name: String,
    /// The bytes that it handles, where that is what counts.
    pub bytes: u64,
    /// Who does it; securechat comes first.
    pub contenders: Vec<Contender>,
}

/// Somebody who does it.
pub struct Contender {
    /// Who.
    pub name: &'static str,
    /// How fast securechat has to be against it, as the quotient of speeds; none where nothing is asked.
    pub target: Option<f64>,
    /// Does it.
    pub run: Run,
}

impl Work {
    fn new(name: impl Into<String>, bytes: usize, securechat: Run) -> Self {
        let contender = Contender { name: "securechat", target: None, run: securechat };
        Self { name: name.into(), bytes: bytes as u64, contenders: vec![contender] }
    }

    fn beside(mut self, name: &'static str, target: impl Into<Option<f64>>, run: Run) -> Self {
        self.contenders.push(Contender { name, target: target.into(), run });
        self
    }
}

/// One of two targets, by the backend.
fn target(aws_lc: impl Into<Option<f64>>, rust_crypto: impl Into<Option<f64>>) -> Option<f64> {
    if cfg!(feature = "aws-lc") { aws_lc.into() } else { rust_crypto.into() }
}

/// Times all of `f`.
fn timed(mut f: impl FnMut() + 'static) -> Run {
    Box::new(move |runs| {
        let began = Instant::now();
        (0..runs).for_each(|_| f());
        began.elapsed()
    })
}

/// Times `f`, not what makes its input.
fn timed_on<S>(mut setup: impl FnMut() -> S + 'static, mut f: impl FnMut(S) + 'static) -> Run {
    Box::new(move |runs| {
        let mut spent = Duration::ZERO;
        for _ in 0..runs {
            let input = setup();
            let began = Instant::now();
            f(input);
            spent += began.elapsed();
        }
        spent
    })
}

/// A group of works, by its name.
pub type Group = (&'static str, fn() -> Vec<Work>);

/// All of them.
pub const GROUPS: &[Group] = &[
    ("records", records::works),
    ("handshakes", handshakes::works),
    ("sessions", sessions::works),
    ("groups", groups::works),
    ("files", files::works),
    ("frames", frames::works),
    ("boundary", boundary::works),
];
