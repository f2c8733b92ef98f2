//! Names of leases, and the small values that holders show to readers.

use alloc::boxed::Box;
use core::fmt;
use core::hash::{Hash, Hasher};

/// The longest name, in bytes: long enough for a path, short enough for a table of millions.
pub const NAME_MAX: usize = 255;

/// The longest value, in bytes: an endpoint, a host and a process id, not a document.
pub const VALUE_MAX: usize = 1024;

/// The name of a lease: 1 to [`NAME_MAX`] bytes, in parts separated by `/`, no part empty.
///
/// Names are bytes, not text; control bytes are refused, so that any tool may print a name.
#[derive(Clone)]
pub struct Name(Bytes);

/// Names of up to 22 bytes need no allocation.
#[derive(Clone)]
enum Bytes {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Heap(Box<[u8]>),
}

const INLINE_MAX: usize = 22;

impl Name {
    /// The name with these bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(bytes: &[u8]) -> Result<Self, BadName> {
        if bytes.is_empty() {
            return Err(BadName::Empty);
        }
        if bytes.len() > NAME_MAX {
            return Err(BadName::TooLong { len: bytes.len() });
        }
        let mut after_slash = true;
        for byte in bytes {
            if byte.is_ascii_control() {
                return Err(BadName::Control { byte: *byte });
            }
            if *byte == b'/' && after_slash {
                return Err(BadName::EmptyPart);
            }
            after_slash = *byte == b'/';
        }
        if after_slash {
            return Err(BadName::EmptyPart);
        }
        Ok(Self(Bytes::of(bytes)))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        let mut inline = [0; INLINE_MAX];
        match (inline.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(start), Ok(len)) => {
                start.copy_from_slice(bytes);
                Self::Inline { len, bytes: inline }
            }
            (_, _) => Self::Heap(bytes.into()),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for Name {
    /// As text; bytes that are not UTF-8 show as the replacement character.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&alloc::string::String::from_utf8_lossy(self.as_bytes()), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&alloc::string::String::from_utf8_lossy(self.as_bytes()), f)
    }
}

impl core::str::FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::new(text.as_bytes())
    }
}

impl TryFrom<&str> for Name {
    type Error = BadName;

    fn try_from(text: &str) -> Result<Self, BadName> {
        Self::new(text.as_bytes())
    }
}

/// Why some bytes are no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadName {
    /// No bytes at all.
    Empty,
    /// More than [`NAME_MAX`] bytes.
    TooLong {
        /// How many there were.
        len: usize,
    },
    /// A leading, trailing or doubled `/`.
    EmptyPart,
    /// An ASCII control byte.
    Control {
        /// The byte.
        byte: u8,
    },
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name needs at least one byte"),
            Self::TooLong { len } => {
                write!(f, "a name has at most {NAME_MAX} bytes, this one has {len}")
            }
            Self::EmptyPart => {
                f.write_str("a name must not begin or end with '/', nor have two in a row")
            }
            Self::Control { byte } => {
                write!(f, "a name must not contain control bytes; this one has {byte:#04x}")
            }
        }
    }
}

impl core::error::Error for BadName {}

/// What a holder shows to readers of its name: an endpoint, a host, a process id. Up to
/// [`VALUE_MAX`] bytes of its own choosing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value(Box<[u8]>);

impl Value {
    /// The value with these bytes.
    ///
    /// # Errors
    /// [`ValueTooLong`] beyond [`VALUE_MAX`] bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, ValueTooLong> {
        if bytes.len() > VALUE_MAX {
            return Err(ValueTooLong { len: bytes.len() });
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&alloc::string::String::from_utf8_lossy(&self.0), f)
    }
}

/// A value of more than [`VALUE_MAX`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueTooLong {
    /// How many bytes it had.
    pub len: usize,
}

impl fmt::Display for ValueTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value has at most {VALUE_MAX} bytes, this one has {}", self.len)
    }
}

impl core::error::Error for ValueTooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_bytes_inline_and_on_the_heap() {
        for len in [1, 21, 22, 23, NAME_MAX] {
            let bytes = alloc::vec![b'n'; len];
            assert_eq!(Name::new(&bytes).unwrap().as_bytes(), bytes);
        }
        assert_eq!(size_of::<Name>(), 24);
    }

    #[test]
    fn names_are_refused_with_the_reason() {
        assert_eq!(Name::new(b""), Err(BadName::Empty));
        assert_eq!(Name::new(&[b'x'; 256]), Err(BadName::TooLong { len: 256 }));
        for bad in ["/a", "a/", "a//b", "/"] {
            assert_eq!(bad.parse::<Name>(), Err(BadName::EmptyPart), "{bad}");
        }
        assert_eq!(Name::new(b"a\nb"), Err(BadName::Control { byte: b'\n' }));
        assert!("jobs/nightly".parse::<Name>().is_ok());
    }

    #[test]
    fn values_are_bounded() {
        assert!(Value::new(&[0; VALUE_MAX]).is_ok());
        assert_eq!(Value::new(&[0; VALUE_MAX + 1]), Err(ValueTooLong { len: VALUE_MAX + 1 }));
    }
}
