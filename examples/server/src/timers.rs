//! Deadlines of many connections: the nearest one, and which have passed.

use std::collections::BTreeSet;

/// At most one deadline per key, in order of time (Unix milliseconds).
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(u64, usize)>);

impl Timers {
    /// Moves the deadline of `key` from `old` to `new`.
    pub(crate) fn update(&mut self, key: usize, old: Option<u64>, new: Option<u64>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.0.remove(&(old, key));
        }
        if let Some(new) = new {
            self.0.insert((new, key));
        }
    }

    /// The nearest deadline.
    pub(crate) fn next(&self) -> Option<u64> {
        self.0.first().map(|(time, _)| *time)
    }

    /// Takes out the nearest deadline that has passed and gives its key.
    pub(crate) fn pop(&mut self, now: u64) -> Option<usize> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_pass_in_order() {
        let mut timers = Timers::default();
        timers.update(1, None, Some(30));
        timers.update(2, None, Some(10));
        timers.update(3, None, Some(10));
        timers.update(2, Some(10), Some(40));
        timers.update(1, Some(30), None);
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.pop(9), None);
        assert_eq!((timers.pop(50), timers.pop(50), timers.pop(50)), (Some(3), Some(2), None));
        assert_eq!(timers.next(), None);
    }
}
