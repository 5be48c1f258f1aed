//! What the other side sent in one record.

use super::records::DATA;
use crate::crypto::secret::wipe;
use core::fmt;
use core::ops::Deref;
use zeroize::Zeroize;

/// What the other side sent in one record, where it was opened.
///
/// It is not wiped by itself; `Zeroizing<Data>` is.
#[derive(Clone)]
pub struct Data(Vec<u8>);

impl Data {
    /// The data of a record that was opened, behind its type.
    pub(super) const fn of_record(record: Vec<u8>) -> Self {
        Self(record)
    }

    /// The data in a buffer of its own, which moves it once.
    pub fn into_vec(mut self) -> Vec<u8> {
        self.0.drain(..self.0.len().min(1));
        self.0
    }
}

impl Deref for Data {
    type Target = [u8];

    /// What stands behind the record's type.
    fn deref(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Data {
    fn eq(&self, other: &T) -> bool {
        **self == *other.as_ref()
    }
}

impl From<&[u8]> for Data {
    fn from(data: &[u8]) -> Self {
        Self([&[DATA], data].concat())
    }
}

impl Zeroize for Data {
    fn zeroize(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Data({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_what_stands_behind_the_type() {
        let mut data = Data::of_record(vec![DATA, 5, 6]);
        assert_eq!(*data, [5, 6]);
        assert!(data == [5, 6] && data != [5, 7] && data != [5]);
        assert_eq!(*data, *Data::from(&[5, 6][..]));
        assert_eq!(data.clone().into_vec(), [5, 6]);
        assert_eq!(format!("{data:?}"), "Data(2 bytes)");
        data.zeroize();
        assert!(data.is_empty());
        assert!(data.into_vec().is_empty());
    }
}
