//! The inputs of a case.

use serde_json::Value;

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> Value {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// A JSON object as an operation reads it.
#[derive(Clone, Copy)]
pub(crate) struct In<'a>(&'a Value);

impl<'a> In<'a> {
    pub(crate) fn new(value: &'a Value) -> Self {
        Self(value)
    }

    fn field(&self, name: &str) -> &'a Value {
        self.0.get(name).unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        bytes(self.field(name))
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap_or_else(|_| panic!("{name} has not {N} bytes"))
    }

    pub(crate) fn text(&self, name: &str) -> &'a str {
        self.field(name).as_str().unwrap()
    }

    /// A number; those that JSON does not hold exactly are 16 hex digits.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let value = self.field(name);
        value.as_u64().unwrap_or_else(|| u64::from_str_radix(value.as_str().unwrap(), 16).unwrap())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value.as_bool().unwrap())
    }

    pub(crate) fn object(&self, name: &str) -> In<'a> {
        In(self.field(name))
    }

    pub(crate) fn list(&self, name: &str) -> Vec<In<'a>> {
        self.field(name).as_array().unwrap().iter().map(In).collect()
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.0
    }

    /// The bytes that this is.
    pub(crate) fn as_bytes(&self) -> Vec<u8> {
        bytes(self.0)
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    assert!(digits.len().is_multiple_of(2), "{digits}");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}
