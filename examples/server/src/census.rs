//! Who is connected: room for newcomers, in all and per address.
//!
//! When there is no room, the connection that has waited longest for its login makes way, of the same address if that
//! one is full. So a flood of sockets that never log in keeps nobody out: it only displaces itself.

use std::collections::BTreeMap;

/// A peer's address as connections are counted.
pub(crate) type AddressKey = [u8; 16];

/// The connections, and those of them that have not logged in, in order of their arrival.
#[derive(Debug)]
pub(crate) struct Census {
    most: usize,
    most_per_address: usize,
    count: usize,
    arrivals: u64,
    waiting: BTreeMap<u64, usize>,
    addresses: BTreeMap<AddressKey, Address>,
}

#[derive(Debug, Default)]
struct Address {
    count: usize,
    waiting: BTreeMap<u64, usize>,
}

/// Whether a newcomer may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is room.
    Free,
    /// There is, once the connection in this slot is ended.
    Instead(usize),
    /// There is none: all who are connected have logged in.
    None,
}

/// A connection's place in the census.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    address: AddressKey,
    arrival: u64,
}

impl Place {
    pub(crate) fn address(&self) -> AddressKey {
        self.address
    }
}

impl Census {
    pub(crate) fn new(most: usize, most_per_address: usize) -> Self {
        Self { most, most_per_address, count: 0, arrivals: 0, waiting: BTreeMap::new(), addresses: BTreeMap::new() }
    }

    /// Whether a connection from `address` has room.
    pub(crate) fn room(&self, address: &AddressKey) -> Room {
        let here = self.addresses.get(address);
        let oldest =
            |waiting: &BTreeMap<u64, usize>| waiting.values().next().map_or(Room::None, |slot| Room::Instead(*slot));
        match here {
            Some(here) if here.count >= self.most_per_address => oldest(&here.waiting),
            _ if self.count >= self.most => oldest(&self.waiting),
            _ => Room::Free,
        }
    }

    /// The slot of the connection that has waited longest for its login.
    pub(crate) fn longest_waiting(&self) -> Option<usize> {
        self.waiting.values().next().copied()
    }

    /// Counts the connection in `slot`, which has not logged in.
    pub(crate) fn enter(&mut self, address: AddressKey, slot: usize) -> Place {
        let arrival = self.arrivals;
        self.arrivals = arrival.saturating_add(1);
        self.count = self.count.saturating_add(1);
        self.waiting.insert(arrival, slot);
        let here = self.addresses.entry(address).or_default();
        here.count = here.count.saturating_add(1);
        here.waiting.insert(arrival, slot);
        Place { address, arrival }
    }

    /// The connection has logged in: it stays until it ends.
    pub(crate) fn admit(&mut self, place: &Place) {
        self.waiting.remove(&place.arrival);
        if let Some(here) = self.addresses.get_mut(&place.address) {
            here.waiting.remove(&place.arrival);
        }
    }

    /// The connection has ended.
    pub(crate) fn leave(&mut self, place: Place) {
        self.admit(&place);
        self.count = self.count.saturating_sub(1);
        if let Some(here) = self.addresses.get_mut(&place.address) {
            here.count = here.count.saturating_sub(1);
            if here.count == 0 {
                self.addresses.remove(&place.address);
            }
        }
    }

    /// How many are connected.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: AddressKey = [1; 16];
    const B: AddressKey = [2; 16];

    #[test]
    fn a_full_address_displaces_its_own_oldest_that_waits() {
        let mut census = Census::new(100, 3);
        census.enter(B, 0);
        let first = census.enter(A, 1);
        census.enter(A, 2);
        assert_eq!(census.room(&A), Room::Free);
        census.enter(A, 3);
        assert_eq!(census.room(&A), Room::Instead(1));
        census.admit(&first);
        assert_eq!(census.room(&A), Room::Instead(2));
        assert_eq!(census.room(&B), Room::Free);
        assert_eq!(census.longest_waiting(), Some(0));
    }

    #[test]
    fn a_full_server_displaces_the_oldest_of_all_and_never_who_logged_in() {
        let mut census = Census::new(2, 10);
        let first = census.enter(A, 5);
        let second = census.enter(B, 6);
        assert_eq!(census.room(&B), Room::Instead(5));
        census.admit(&first);
        assert_eq!(census.room(&A), Room::Instead(6));
        census.admit(&second);
        assert_eq!(census.room(&A), Room::None);
        census.leave(first);
        assert_eq!(census.room(&A), Room::Free);
        assert_eq!(census.count(), 1);
    }

    #[test]
    fn nothing_is_left_of_those_who_left() {
        let mut census = Census::new(10, 10);
        let places: Vec<_> = (0..10).map(|slot| census.enter([slot as u8; 16], slot)).collect();
        places.into_iter().for_each(|place| census.leave(place));
        assert!(census.addresses.is_empty() && census.waiting.is_empty() && census.count == 0);
    }
}
