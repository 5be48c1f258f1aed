//! How often anyone may do anything (L5): token buckets, and locks that grow with failed logins.

use crate::identity::UserName;
use crate::limits::{Limits, Rate};
use std::collections::BTreeMap;

/// The host's key for an address that connections come from.
pub type Address = [u8; 16];

/// Buckets or locks of one sort that are kept at once.
const KEPT: usize = 65_536;
/// How long a failed login is remembered, in milliseconds.
const REMEMBERED: u64 = 60 * 60 * 1_000;
/// Failed logins to one account from one address before they lock, and the longest lock in milliseconds.
const FROM_ADDRESS: Lock = Lock { free: 3, longest: 15 * 60 * 1_000 };
/// Failed logins to one account from anywhere before they lock, and the longest lock in milliseconds. It is short,
/// for the owner's sake.
const FROM_ANYWHERE: Lock = Lock { free: 30, longest: 60 * 1_000 };

/// The buckets that are shared by several connections.
#[derive(Debug)]
pub(super) struct Limiter {
    pub(super) logins: Buckets<Address>,
    pub(super) registrations: Buckets<Address>,
    pub(super) requests: Buckets<UserName>,
    pub(super) published: Buckets<UserName>,
    pub(super) prekeys: Buckets<UserName>,
    pub(super) failures: Failures,
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            logins: Buckets::new(limits.login_rate),
            registrations: Buckets::new(limits.register_rate),
            requests: Buckets::new(limits.account_rate),
            published: Buckets::new(limits.publish_rate),
            prekeys: Buckets::new(limits.prekey_rate),
            failures: Failures::default(),
        }
    }

    /// Forgets what says nothing any more.
    pub(super) fn clean(&mut self, now: u64) {
        self.logins.clean(now);
        self.registrations.clean(now);
        self.requests.clean(now);
        self.published.clean(now);
        self.prekeys.clean(now);
        self.failures.clean(now);
    }
}

/// A token bucket: the time, in microseconds, at which it will be full again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Takes `cost` tokens, or gives the seconds after which they will be there.
    pub(super) fn take(&mut self, rate: Rate, cost: u32, now: u64) -> Result<(), u32> {
        let now = now.saturating_mul(1_000);
        let every = u64::try_from(rate.every.as_micros()).unwrap_or(u64::MAX);
        let burst = rate.burst.max(1);
        let full_at = self.full_at.max(now).saturating_add(every.saturating_mul(cost.min(burst).into()));
        let too_far = (full_at - now).saturating_sub(every.saturating_mul(burst.into()));
        if too_far > 0 {
            return Err(u32::try_from(too_far.div_ceil(1_000_000)).unwrap_or(u32::MAX));
        }
        self.full_at = full_at;
        Ok(())
    }

    /// Puts tokens back that were taken.
    fn put_back(&mut self, rate: Rate, tokens: u32) {
        let every = u64::try_from(rate.every.as_micros()).unwrap_or(u64::MAX);
        self.full_at = self.full_at.saturating_sub(every.saturating_mul(tokens.into()));
    }

    fn is_full(&self, now: u64) -> bool {
        self.full_at <= now.saturating_mul(1_000)
    }
}

/// Buckets by key. Full ones say nothing and are forgotten; when there are too many, new keys share one.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    rate: Rate,
    buckets: BTreeMap<K, Bucket>,
    shared: Bucket,
    cleaned_at: u64,
}

impl<K: Ord + Clone> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self { rate, buckets: BTreeMap::new(), shared: Bucket::default(), cleaned_at: 0 }
    }

    /// Takes `cost` tokens of `key`, or gives the seconds after which they will be there.
    pub(super) fn take(&mut self, key: &K, cost: u32, now: u64) -> Result<(), u32> {
        if let Some(bucket) = self.buckets.get_mut(key) {
            return bucket.take(self.rate, cost, now);
        }
        if self.buckets.len() >= KEPT && now >= self.cleaned_at.saturating_add(1_000) {
            self.clean(now);
        }
        if self.buckets.len() >= KEPT {
            return self.shared.take(self.rate, cost, now);
        }
        self.buckets.entry(key.clone()).or_default().take(self.rate, cost, now)
    }

    /// Of `cost` tokens of `key` that were taken, puts those back that were too many. A bucket that is full by now, or shared,
    /// gets none.
    pub(super) fn put_back(&mut self, key: &K, cost: u32, used: u32) {
        let taken = cost.min(self.rate.burst);
        if let Some(bucket) = self.buckets.get_mut(key) {
            bucket.put_back(self.rate, taken.saturating_sub(used));
        }
    }

    fn clean(&mut self, now: u64) {
        self.cleaned_at = now;
        self.buckets.retain(|_, bucket| !bucket.is_full(now));
    }
}

/// Failed logins, by account and address and by account alone. Names that no user has are counted just the same (L4).
#[derive(Debug, Default)]
pub(super) struct Failures {
    from_address: BTreeMap<(UserName, Address), Failure>,
    from_anywhere: BTreeMap<UserName, Failure>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failure {
    count: u32,
    last: u64,
    locked_until: u64,
}

struct Lock {
    free: u32,
    longest: u64,
}

impl Failures {
    /// Begins an attempt: it counts as failed until [`succeeded`](Self::succeeded) or [`undone`](Self::undone) says
    /// otherwise, so that many at once gain nothing. Gives the seconds left when the account is locked.
    ///
    /// From an address that is `known` to be the user's, what fails elsewhere locks nothing: nobody who guesses from
    /// everywhere shall keep the owner out.
    pub(super) fn attempt(&mut self, user: &UserName, address: Address, known: bool, now: u64) -> Result<(), u32> {
        self.clean_if_full(now);
        let near = self.from_address.entry((user.clone(), address)).or_default();
        let far = self.from_anywhere.entry(user.clone()).or_default();
        let far_until = if known { 0 } else { far.locked_until };
        let left = near.locked_until.max(far_until).saturating_sub(now);
        if left > 0 {
            return Err(u32::try_from(left.div_ceil(1_000)).unwrap_or(u32::MAX));
        }
        near.add(&FROM_ADDRESS, now);
        far.add(&FROM_ANYWHERE, now);
        Ok(())
    }

    /// The attempt was right: what failed before is forgotten.
    pub(super) fn succeeded(&mut self, user: &UserName, address: Address) {
        self.from_address.remove(&(user.clone(), address));
        self.from_anywhere.remove(user);
    }

    /// The attempt was neither right nor wrong: it does not count.
    pub(super) fn undone(&mut self, user: &UserName, address: Address) {
        let near = self.from_address.get_mut(&(user.clone(), address));
        for failure in near.into_iter().chain(self.from_anywhere.get_mut(user)) {
            failure.count = failure.count.saturating_sub(1);
            failure.locked_until = 0;
        }
    }

    fn clean(&mut self, now: u64) {
        forget_old(&mut self.from_address, now);
        forget_old(&mut self.from_anywhere, now);
    }

    fn clean_if_full(&mut self, now: u64) {
        make_room(&mut self.from_address, now);
        make_room(&mut self.from_anywhere, now);
    }
}

fn forget_old<K: Ord>(failures: &mut BTreeMap<K, Failure>, now: u64) {
    failures.retain(|_, failure| failure.last.saturating_add(REMEMBERED) > now);
}

/// When they are too many, those go that failed least often, until half of the room is free: names and addresses that
/// somebody tries once each do not clear the lock of a name that is being guessed at.
fn make_room<K: Ord>(failures: &mut BTreeMap<K, Failure>, now: u64) {
    if failures.len() < KEPT {
        return;
    }
    forget_old(failures, now);
    let mut seldom = 1_u32;
    while failures.len() > KEPT / 2 {
        failures.retain(|_, failure| failure.count > seldom);
        seldom = seldom.saturating_mul(2);
    }
}

impl Failure {
    fn add(&mut self, lock: &Lock, now: u64) {
        self.count = self.count.saturating_add(1);
        self.last = now;
        if let Some(beyond) = self.count.checked_sub(lock.free + 1) {
            let delay = 1_000_u64.checked_shl(beyond).unwrap_or(lock.longest).min(lock.longest);
            self.locked_until = now.saturating_add(delay);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate = Rate::new(3, 2_000_000);
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, 1, NOW), Ok(()));
        }
        assert_eq!(bucket.take(rate, 1, NOW), Err(2));
        assert_eq!(bucket.take(rate, 1, NOW + 1_999), Err(1));
        assert_eq!(bucket.take(rate, 1, NOW + 2_000), Ok(()));
        assert_eq!(bucket.take(rate, 2, NOW + 2_000), Err(4));
        assert_eq!(bucket.take(rate, 9, NOW + 8_000), Ok(()), "a cost above the burst takes all of it");
        assert_eq!(bucket.take(rate, 1, NOW + 8_000), Err(2));
    }

    #[test]
    fn what_was_taken_too_much_comes_back() {
        let mut buckets = Buckets::new(Rate::new(10, 1_000_000));
        assert_eq!(buckets.take(&1, 6, NOW), Ok(()));
        assert_eq!(buckets.take(&1, 5, NOW), Err(1));
        buckets.put_back(&1, 6, 5);
        assert_eq!(buckets.take(&1, 5, NOW), Ok(()));
        assert_eq!(buckets.take(&1, 1, NOW), Err(1));
        // Of a cost above the burst only that was taken.
        assert_eq!(buckets.take(&2, 99, NOW), Ok(()));
        buckets.put_back(&2, 99, 12);
        assert_eq!(buckets.take(&2, 1, NOW), Err(1));
        buckets.put_back(&2, 99, 9);
        assert_eq!((buckets.take(&2, 1, NOW), buckets.take(&2, 1, NOW)), (Ok(()), Err(1)));
        // There is never more than the burst, whatever is put back.
        buckets.put_back(&2, 10, 0);
        buckets.put_back(&2, 10, 0);
        assert_eq!((buckets.take(&2, 10, NOW), buckets.take(&2, 1, NOW)), (Ok(()), Err(1)));
        buckets.put_back(&3, 10, 0);
        assert_eq!(buckets.buckets.len(), 2);
    }

    #[test]
    fn full_buckets_are_forgotten_and_too_many_share_one() {
        let mut buckets = Buckets::new(Rate::new(1, 1_000_000));
        for key in 0..KEPT as u32 {
            assert_eq!(buckets.take(&key, 1, NOW), Ok(()));
        }
        assert_eq!(buckets.take(&u32::MAX, 1, NOW), Ok(()), "the first that shares");
        assert_eq!(buckets.take(&(u32::MAX - 1), 1, NOW), Err(1), "the second that shares");
        assert_eq!(buckets.take(&1, 1, NOW), Err(1), "who has one keeps it");
        assert_eq!(buckets.take(&u32::MAX, 1, NOW + 2_000), Ok(()));
        assert_eq!(buckets.buckets.len(), 1);
    }

    #[test]
    fn failed_logins_lock_for_longer_and_longer() {
        let user = UserName::new("alice").unwrap();
        let mut failures = Failures::default();
        let mut now = NOW;
        for _ in 0..FROM_ADDRESS.free {
            assert_eq!(failures.attempt(&user, [1; 16], false, now), Ok(()));
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60] {
            assert_eq!(failures.attempt(&user, [1; 16], false, now), Ok(()));
            let left = failures.attempt(&user, [1; 16], false, now).unwrap_err();
            assert!(left >= seconds, "{left} {seconds}");
            assert_eq!(failures.attempt(&user, [2; 16], false, now), Ok(()), "not from elsewhere");
            failures.undone(&user, [2; 16]);
            now += u64::from(left) * 1_000;
        }
        for _ in 0..40 {
            while let Err(left) = failures.attempt(&user, [1; 16], false, now) {
                now += u64::from(left) * 1_000;
            }
        }
        assert_eq!(failures.attempt(&user, [1; 16], false, now), Err(15 * 60));
        assert_eq!(failures.attempt(&user, [9; 16], false, now), Err(60), "the owner waits a minute at most");
        assert_eq!(failures.attempt(&user, [9; 16], true, now), Ok(()), "and not at all where a device of theirs is");
        failures.succeeded(&user, [1; 16]);
        assert_eq!(failures.attempt(&user, [1; 16], false, now), Ok(()));
    }

    #[test]
    fn c3_failed_logins_are_remembered_in_bounded_number() {
        let (mut failures, alice) = (Failures::default(), UserName::new("alice").unwrap());
        for _ in 0..FROM_ADDRESS.free + 1 {
            assert_eq!(failures.attempt(&alice, [1; 16], false, NOW), Ok(()));
        }
        for number in 0..2 * KEPT {
            let user = UserName::new(&format!("user{number}")).unwrap();
            assert_eq!(failures.attempt(&user, [2; 16], false, NOW), Ok(()));
            assert!(failures.from_address.len() <= KEPT && failures.from_anywhere.len() <= KEPT);
        }
        assert!(failures.attempt(&alice, [1; 16], false, NOW).is_err(), "others cleared a lock");
        failures.clean(NOW + REMEMBERED);
        assert!(failures.from_address.is_empty() && failures.from_anywhere.is_empty(), "all is over after an hour");
    }

    #[test]
    fn an_attempt_that_is_undone_does_not_count() {
        let user = UserName::new("alice").unwrap();
        let mut failures = Failures::default();
        for _ in 0..100 {
            assert_eq!(failures.attempt(&user, [1; 16], false, NOW), Ok(()));
            failures.undone(&user, [1; 16]);
        }
    }
}
