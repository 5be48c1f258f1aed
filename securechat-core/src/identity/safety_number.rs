//! Safety numbers: what two people compare to know that they hold each other's keys (I10).

use crate::crypto::hash::sha512;
use crate::crypto::label::Label;
use crate::identity::{Identity, UserName};
use core::fmt;
use std::collections::BTreeSet;

/// How often SHA-512 is applied, so that looking for a key with a given number is dear.
const ITERATIONS: usize = 5_200;

/// 60 digits, equal on both sides. Displayed as twelve groups of five.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SafetyNumber(String);

impl SafetyNumber {
    /// The digits without spaces.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SafetyNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, digit) in self.0.chars().enumerate() {
            if place > 0 && place % 5 == 0 {
                formatter.write_str(" ")?;
            }
            write!(formatter, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SafetyNumber({self})")
    }
}

/// The safety number of two users, each with the devices of the current list, in any order.
///
/// It means something only when both sides hold the same epochs of both lists, which the caller makes sure of.
pub fn safety_number(a: (&UserName, &[Identity]), b: (&UserName, &[Identity])) -> SafetyNumber {
    let mut halves = [half(a.0, a.1), half(b.0, b.1)];
    halves.sort();
    SafetyNumber(halves.concat())
}

/// Six groups of five digits for one user.
fn half(user: &UserName, identities: &[Identity]) -> String {
    let sorted: BTreeSet<&Identity> = identities.iter().collect();
    let mut input = Label::SAFETY_NUMBER.bytes().to_vec();
    // Both counts are bounded far below 256: 32 bytes of name, 16 devices.
    input.push(u8::try_from(user.as_str().len()).unwrap_or(u8::MAX));
    input.extend_from_slice(user.as_str().as_bytes());
    input.push(u8::try_from(sorted.len()).unwrap_or(u8::MAX));
    sorted.iter().for_each(|identity| input.extend_from_slice(identity.as_bytes()));
    let mut x = sha512(&[&input]);
    for _ in 1..ITERATIONS {
        x = sha512(&[&x, &input]);
    }
    let (groups, _) = x.as_chunks::<5>();
    let number = |group: &[u8; 5]| group.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte)) % 100_000;
    groups.iter().take(6).map(|group| format!("{:05}", number(group))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::samples::name;

    fn identity(byte: u8) -> Identity {
        Identity::from_bytes([byte; 32])
    }

    /// The number was computed apart from this code, with Python's hashlib.
    #[test]
    fn the_vector_of_i10() {
        let (alice, bob) = (name("alice"), name("bob"));
        let number = safety_number((&alice, &[identity(0x11)]), (&bob, &[identity(0x33), identity(0x22)]));
        assert_eq!(number.to_string(), "16971 91864 79976 35898 58140 94284 49730 80732 45548 95139 33202 66333");
        assert_eq!(number.digits().len(), 60);
    }

    #[test]
    fn equal_on_both_sides_and_of_these_keys_only() {
        let (alice, bob) = (name("alice"), name("bob"));
        let (one, two, three) = (identity(1), identity(2), identity(3));
        let number = safety_number((&alice, &[one, two]), (&bob, &[three]));
        assert_eq!(number, safety_number((&bob, &[three]), (&alice, &[two, one])));
        for other in [
            safety_number((&alice, &[one]), (&bob, &[three])),
            safety_number((&alice, &[one, three]), (&bob, &[three])),
            safety_number((&alice, &[three]), (&bob, &[one, two])),
            safety_number((&alice, &[one, two]), (&name("bob2"), &[three])),
        ] {
            assert_ne!(number, other);
        }
    }
}
