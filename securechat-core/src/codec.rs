//! The two encodings of PROTOCOL.md: fixed layouts, and *structs* (postcard).

use crate::error::InvalidMessage;
use crate::secret_vec::SecretVec;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a fixed layout from a byte slice, big-endian.
#[derive(Clone, derive_more::Debug)]
pub struct Reader<'a> {
    #[debug("{} bytes", rest.len())]
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over all of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], InvalidMessage> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(InvalidMessage::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], InvalidMessage> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(InvalidMessage::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, InvalidMessage> {
        self.array().map(u8::from_be_bytes)
    }

    /// A big-endian u16.
    pub fn u16(&mut self) -> Result<u16, InvalidMessage> {
        self.array().map(u16::from_be_bytes)
    }

    /// A big-endian u32.
    pub fn u32(&mut self) -> Result<u32, InvalidMessage> {
        self.array().map(u32::from_be_bytes)
    }

    /// A big-endian u64.
    pub fn u64(&mut self) -> Result<u64, InvalidMessage> {
        self.array().map(u64::from_be_bytes)
    }

    /// `u16 length | length bytes`.
    pub fn prefixed(&mut self) -> Result<&'a [u8], InvalidMessage> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Fails unless everything was read.
    pub fn finish(self) -> Result<(), InvalidMessage> {
        if self.rest.is_empty() { Ok(()) } else { Err(InvalidMessage::TrailingBytes) }
    }
}

/// Appends a fixed layout to a buffer, big-endian.
pub trait Writer {
    /// One byte.
    fn put_u8(&mut self, value: u8);
    /// A big-endian u16.
    fn put_u16(&mut self, value: u16);
    /// A big-endian u32.
    fn put_u32(&mut self, value: u32);
    /// A big-endian u64.
    fn put_u64(&mut self, value: u64);
    /// Bytes as they are.
    fn put(&mut self, bytes: &[u8]);
    /// `u16 length | length bytes`; fails when they are more than 65,535.
    fn put_prefixed(&mut self, bytes: &[u8]) -> Result<(), InvalidMessage>;
}

impl Writer for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_prefixed(&mut self, bytes: &[u8]) -> Result<(), InvalidMessage> {
        let length = u16::try_from(bytes.len()).map_err(|_| InvalidMessage::OutOfBounds)?;
        self.put_u16(length);
        self.put(bytes);
        Ok(())
    }
}

/// Encodes a struct.
///
/// The types of this crate have no value that cannot be encoded; should one appear, the result is empty
/// and does not decode.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Encodes a struct that holds secrets into a buffer that is wiped when dropped.
///
/// The buffer is sized beforehand, so that growing it leaves no copy behind.
pub fn encode_secret<T: Serialize + ?Sized>(value: &T) -> SecretVec {
    encode_secret_after(&[], value)
}

/// Like [`encode_secret`], with `header` in front, in one buffer.
pub fn encode_secret_after<T: Serialize + ?Sized>(header: &[u8], value: &T) -> SecretVec {
    let size = postcard::experimental::serialized_size(value).unwrap_or(0);
    let mut buffer = SecretVec::new(Vec::with_capacity(header.len() + size));
    buffer.put(header);
    if postcard::serialize_with_flavor(value, Append(&mut buffer)).is_err() {
        buffer.truncate(header.len());
    }
    buffer
}

/// Appends what is encoded to a buffer that has room for it.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Decodes a struct: the whole input, in the one encoding that [`encode`] gives.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidMessage> {
    let (value, rest) = decode_prefix(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(InvalidMessage::TrailingBytes) }
}

/// Decodes a struct from the front of `bytes` and gives what follows it: for bodies that may grow at their end.
pub fn decode_prefix<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), InvalidMessage> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|error| match error {
        postcard::Error::DeserializeUnexpectedEnd => InvalidMessage::Truncated,
        _ => InvalidMessage::UnknownValue,
    })?;
    let used = bytes.len().saturating_sub(rest.len());
    let same = Same(bytes.get(..used).unwrap_or_default());
    match postcard::serialize_with_flavor(&value, same) {
        Ok(true) => Ok((value, rest)),
        _ => Err(InvalidMessage::NotCanonical),
    }
}

/// Compares what is encoded with what is expected, instead of writing it; gives whether that is all of it.
struct Same<'a>(&'a [u8]);

impl Flavor for Same<'_> {
    type Output = bool;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0 = self.0.strip_prefix(bytes).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.0.is_empty())
    }
}

/// A byte array of any length as a struct field: `N` bytes without a length.
pub mod bytes {
    use serde::de::{Error, SeqAccess, Visitor};
    use serde::ser::SerializeTuple;
    use serde::{Deserializer, Serializer};

    /// Serialises exactly `N` bytes.
    pub fn serialize<S: Serializer, const N: usize>(value: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(N)?;
        for byte in value {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }

    /// Reads exactly `N` bytes.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        struct Bytes<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
            type Value = [u8; N];

            fn expecting(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(formatter, "{N} bytes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
                let mut value = [0; N];
                for (index, slot) in value.iter_mut().enumerate() {
                    *slot = seq.next_element()?.ok_or_else(|| Error::invalid_length(index, &self))?;
                }
                Ok(value)
            }
        }
        deserializer.deserialize_tuple(N, Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        small: u32,
        list: Vec<u8>,
        #[serde(with = "bytes")]
        signature: [u8; 64],
    }

    fn sample() -> Sample {
        Sample { small: 5, list: vec![1, 2], signature: [7; 64] }
    }

    #[test]
    fn struct_round_trip() {
        let bytes = encode(&sample());
        assert_eq!(bytes.len(), 1 + 3 + 64);
        assert_eq!(decode::<Sample>(&bytes), Ok(sample()));
        assert_eq!(encode_secret(&sample()).as_slice(), bytes);
        assert_eq!(encode_secret_after(b"h", &sample()).as_slice(), [b"h", bytes.as_slice()].concat());
    }

    /// A buffer that grew with a secret in it would leave a copy behind.
    #[test]
    fn secrets_are_encoded_without_growing() {
        for header in [&b""[..], b"h", b"a longer header"] {
            let encoded = encode_secret_after(header, &sample());
            assert_eq!(encoded.capacity(), encoded.len());
        }
    }

    #[test]
    fn a_field_of_bytes_says_how_many_it_wants() {
        let read = |field: &str| {
            let json = format!(r#"{{ "small": 5, "list": [], "signature": {field} }}"#);
            serde_json::from_str::<Sample>(&json).unwrap_err().to_string()
        };
        assert!(read("[1, 2]").starts_with("invalid length 2, expected 64 bytes"));
        assert!(read("true").starts_with("invalid type: boolean `true`, expected 64 bytes"));
    }

    #[test]
    fn trailing_bytes_are_refused_unless_allowed() {
        let mut bytes = encode(&sample());
        bytes.push(9);
        assert_eq!(decode::<Sample>(&bytes), Err(InvalidMessage::TrailingBytes));
        assert_eq!(decode_prefix::<Sample>(&bytes), Ok((sample(), &[9][..])));
    }

    #[test]
    fn longer_varints_are_refused() {
        let mut bytes = encode(&sample());
        bytes[0] = 0x85;
        bytes.insert(1, 0);
        assert_eq!(decode::<Sample>(&bytes), Err(InvalidMessage::NotCanonical));
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = encode(&sample());
        for end in 0..bytes.len() {
            assert_eq!(decode::<Sample>(&bytes[..end]), Err(InvalidMessage::Truncated));
        }
    }

    #[test]
    fn reader_is_the_inverse_of_writer() {
        let mut bytes = Vec::new();
        bytes.put_u8(1);
        bytes.put_u16(2);
        bytes.put_u32(3);
        bytes.put_u64(4);
        bytes.put_prefixed(b"five").unwrap();
        bytes.put(b"six");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u32(), Ok(3));
        assert_eq!(reader.u64(), Ok(4));
        assert_eq!(reader.prefixed(), Ok(&b"five"[..]));
        assert_eq!(reader.clone().finish(), Err(InvalidMessage::TrailingBytes));
        assert_eq!((reader.remaining(), reader.clone().rest()), (3, &b"six"[..]));
        assert_eq!(reader.clone().take(4), Err(InvalidMessage::Truncated));
        assert_eq!(format!("{reader:?}"), "Reader { rest: 3 bytes }");
        assert_eq!(reader.take(3), Ok(&b"six"[..]));
        assert_eq!(reader.u8(), Err(InvalidMessage::Truncated));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_prefix_counts_to_65_535() {
        let mut bytes = Vec::new();
        assert_eq!(bytes.put_prefixed(&[7; 65_536]), Err(InvalidMessage::OutOfBounds));
        assert!(bytes.is_empty());
        bytes.put_prefixed(&[7; 65_535]).unwrap();
        assert_eq!(Reader::new(&bytes).prefixed(), Ok(&[7; 65_535][..]));
        bytes.pop();
        assert_eq!(Reader::new(&bytes).prefixed(), Err(InvalidMessage::Truncated));
    }

    /// Reads two bytes and writes the first: no type of this crate is like that.
    #[derive(Debug)]
    struct Half(u8);

    impl Serialize for Half {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u8(self.0)
        }
    }

    impl<'de> Deserialize<'de> for Half {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            <(u8, u8)>::deserialize(deserializer).map(|(first, _)| Self(first))
        }
    }

    #[test]
    fn what_is_encoded_with_less_is_refused() {
        assert_eq!(decode::<Half>(&[7, 9]).unwrap_err(), InvalidMessage::NotCanonical);
    }
}
