//! Prekeys over time (I5, S6).

use super::*;
use crate::limits::{DAY, ONE_TIME_KEPT, PREKEY_IDS_AFTER_RESTORE, PREKEYS_PER_PUBLISH};
use crate::session::PrekeyPublication;

/// The relay's part: what it holds of one device.
#[derive(Default)]
struct Shelf {
    one_time: BTreeMap<(PrekeyKind, u32), SignedPrekey>,
    highest: BTreeMap<PrekeyKind, u32>,
    /// Every id ever seen, with its key.
    seen: BTreeMap<(PrekeyKind, u32), [u8; 32]>,
}

impl Shelf {
    fn stock(&self) -> Vec<PrekeyStock> {
        PrekeyKind::ALL
            .into_iter()
            .map(|kind| PrekeyStock {
                kind: kind.id(),
                left: self.one_time.keys().filter(|(other, _)| *other == kind).count() as u32,
                highest: self.highest.get(&kind).copied().unwrap_or(0),
            })
            .collect()
    }

    fn take(&mut self, publication: &PrekeyPublication) {
        assert!(publication.prekeys.len() <= PREKEYS_PER_PUBLISH);
        if publication.replace {
            self.one_time.clear();
        }
        for signed in &publication.prekeys {
            let signed = SignedPrekey::decode(signed.bytes()).unwrap();
            let id = (signed.prekey().kind(), signed.prekey().id());
            self.see(id, signed.prekey().x25519().as_bytes());
            let highest = self.highest.entry(id.0).or_insert(0);
            if id.1 > *highest {
                *highest = id.1;
                self.one_time.insert(id, signed);
            }
        }
    }

    fn see(&mut self, id: (PrekeyKind, u32), key: &[u8; 32]) {
        assert_eq!(self.seen.entry(id).or_insert(*key), key, "an id was given twice");
    }

    fn take_bundle(&mut self, device: &Device) {
        for prekey in &device.local.bundle.bundle().prekeys {
            self.see((prekey.kind(), prekey.id()), prekey.x25519().as_bytes());
            let highest = self.highest.entry(prekey.kind()).or_insert(0);
            *highest = prekey.id().max(*highest);
        }
    }

    /// One publication, which arrives or not. Whether there was something to publish.
    fn top_up(&mut self, device: &mut Device, arrives: bool) -> bool {
        let Device { local, sessions, rng, now, .. } = device;
        let Some(publication) = sessions.prekeys_to_publish(local, &self.stock(), *now, rng).unwrap() else {
            return false;
        };
        if arrives {
            self.take(&publication);
            sessions.prekeys_published(&publication, *now);
        }
        true
    }
}

fn renew(device: &mut Device) {
    let prekeys = device.sessions.last_resort_prekeys(device.now, &mut device.rng).unwrap();
    device.local.renew(&device.sessions.policy.clone(), prekeys, 0, device.now).unwrap();
}

#[test]
fn a_shelf_is_filled_to_a_hundred_of_each_kind_in_steps_of_forty() {
    let mut device = Device::new(1, all_suites());
    let mut shelf = Shelf::default();
    shelf.take_bundle(&device);
    let mut steps = 0;
    while shelf.top_up(&mut device, steps % 2 == 0) {
        steps += 1;
        device.reload();
    }
    assert_eq!(steps, 9, "five that arrived, and those that did not were repeated");
    assert!(shelf.stock().iter().all(|stock| stock.left == 100));
    assert_eq!(device.sessions.prekeys.one_time_held(), 200, "what was repeated was not made anew");
    shelf.one_time.pop_first();
    assert!(shelf.top_up(&mut device, true));
    assert!(!shelf.top_up(&mut device, true));
}

#[test]
fn kinds_are_those_of_the_policy() {
    let mut device = Device::new(1, Policy::new(vec![Suite::ALL[0], Suite::ALL[2]]).unwrap());
    assert_eq!(device.local.bundle.bundle().prekeys.len(), 1);
    let publication = device.one_time(PrekeyKind::X25519);
    assert_eq!(publication.len(), PREKEYS_PER_PUBLISH);
}

#[test]
fn one_time_and_last_resort_prekeys_share_one_space_of_ids() {
    let mut device = Device::new(1, all_suites());
    let mut shelf = Shelf::default();
    for week in 0..8_u64 {
        shelf.take_bundle(&device);
        shelf.top_up(&mut device, week % 3 != 0);
        shelf.top_up(&mut device, week % 2 != 0);
        device.reload();
        device.advance(7 * DAY);
        renew(&mut device);
    }
    shelf.take_bundle(&device);
    assert!(shelf.seen.len() > 50);
}

#[test]
fn a_last_resort_prekey_is_replaced_after_seven_days_and_erased_thirty_days_later() {
    let (mut alice, mut bob) = pair(Suite::ALL[4]);
    assert_eq!(bob.sessions.last_resort_due(), NOW + 7 * DAY);
    alice.open_to(&bob);
    let first = alice.seal(&bob, b"first");
    let mut carol = Device::new(3, all_suites());
    carol.open_to(&bob);
    let second = carol.seal(&bob, b"second");
    let bundle = bob.local.bundle.bundle().prekeys.clone();
    bob.advance(7 * DAY - 1);
    renew(&mut bob);
    assert_eq!(bob.local.bundle.bundle().prekeys, bundle);
    bob.advance(1);
    renew(&mut bob);
    assert_ne!(bob.local.bundle.bundle().prekeys, bundle);
    assert_eq!(bob.sessions.last_resort_due(), NOW + 14 * DAY);
    bob.advance(30 * DAY - 1);
    bob.reload();
    assert_eq!(bob.reads(&first), b"first");
    assert!(bob.snapshot().keys().any(|key| key.starts_with("prekey/2/1/")), "listed");
    bob.advance(1);
    assert_eq!(bob.open(&second).unwrap_err(), unopened(PeerMisbehaved::Prekey, None));
    assert!(!bob.snapshot().keys().any(|key| key.starts_with("prekey/2/1")), "key and list are erased");
}

#[test]
fn unused_one_time_prekeys_are_erased_after_ninety_days_and_replaced() {
    let mut device = Device::new(1, all_suites());
    let mut shelf = Shelf::default();
    shelf.take_bundle(&device);
    while shelf.top_up(&mut device, true) {}
    device.advance(90 * DAY - 1);
    assert!(!shelf.top_up(&mut device, true));
    device.advance(1);
    assert_eq!(device.sessions.prekeys.one_time_held(), 0);
    device.reload();
    let before = shelf.one_time.clone();
    while shelf.top_up(&mut device, true) {}
    assert_eq!(shelf.one_time.len(), 200);
    assert!(shelf.one_time.keys().all(|id| !before.contains_key(id)), "those without private half are gone");
}

#[test]
fn c3_one_time_prekeys_that_are_fetched_and_never_used_end() {
    let mut device = Device::new(1, Policy::new(vec![Suite::ALL[0]]).unwrap());
    let mut shelf = Shelf::default();
    for _ in 0..40 {
        while shelf.top_up(&mut device, true) {}
        shelf.one_time.clear();
    }
    assert_eq!(device.sessions.prekeys.one_time_held(), ONE_TIME_KEPT);
}

#[test]
fn after_a_restore_all_are_replaced_under_ids_far_above() {
    let (mut alice, mut bob) = pair(Suite::ALL[0]);
    let mut shelf = Shelf::default();
    shelf.take_bundle(&bob);
    let backup = bob.snapshot();
    while shelf.top_up(&mut bob, true) {}
    alice.open_to(&bob);
    let in_flight = alice.seal(&bob, b"in flight");
    bob.restore_from(backup);
    bob.sessions.mark_restored(bob.now);
    bob.sessions.note_stock(&shelf.stock());
    renew(&mut bob);
    shelf.take_bundle(&bob);
    while shelf.top_up(&mut bob, true) {}
    assert!(shelf.one_time.keys().all(|(_, id)| *id > PREKEY_IDS_AFTER_RESTORE));
    assert_eq!(shelf.one_time.len(), 200);
    assert_eq!(bob.reads(&in_flight), b"in flight", "a replaced last-resort prekey still opens for 30 days");
}

#[test]
fn a_relay_has_no_say_over_more_than_half_of_the_ids() {
    let mut device = Device::new(1, all_suites());
    for highest in [u32::MAX, 1 << 31] {
        device.sessions.note_stock(&[PrekeyStock { kind: 1, left: 0, highest }]);
        assert!(device.one_time(PrekeyKind::X25519).iter().all(|prekey| prekey.prekey().id() < 100));
    }
    device.sessions.note_stock(&[
        PrekeyStock { kind: 1, left: 0, highest: 5_000 },
        PrekeyStock { kind: 77, left: 0, highest: 5_000 },
    ]);
    let Device { local, sessions, rng, now, .. } = &mut device;
    let stock = [PrekeyStock { kind: 1, left: 0, highest: 5_000 }];
    let publication = sessions.prekeys_to_publish(local, &stock, *now, rng).unwrap().unwrap();
    assert!(
        publication
            .prekeys
            .iter()
            .filter(|one| one.prekey().kind() == PrekeyKind::X25519)
            .all(|one| one.prekey().id() > 5_000)
    );
}
