//! Places for connections, numbered; a number is free again when its connection is gone.

/// Values by small numbers.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// The number that the next value will have.
    pub(super) fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.places.len())
    }

    /// Puts a value at [`next`](Self::next).
    pub(super) fn insert(&mut self, value: T) {
        match self.free.pop().and_then(|number| self.places.get_mut(number)) {
            Some(place) => *place = Some(value),
            None => self.places.push(Some(value)),
        }
    }

    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.places.get(number)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.places.get_mut(number)?.as_mut()
    }

    pub(super) fn remove(&mut self, number: usize) -> Option<T> {
        let value = self.places.get_mut(number)?.take()?;
        self.free.push(number);
        Some(value)
    }

    /// The numbers in use.
    pub(super) fn numbers(&self) -> Vec<usize> {
        (0..).zip(&self.places).filter(|(_, place)| place.is_some()).map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut slots = Slots::new();
        for value in ["a", "b", "c"] {
            slots.insert(value);
        }
        assert_eq!(slots.remove(1), Some("b"));
        assert_eq!(slots.remove(1), None);
        assert_eq!((slots.next(), slots.numbers()), (1, vec![0, 2]));
        slots.insert("d");
        assert_eq!((slots.next(), slots.get_mut(1)), (3, Some(&mut "d")));
        assert_eq!(slots.get_mut(7), None);
    }
}
