//! Why a frame is not what the contract says.

use core::fmt;

use tlease_core::name::{BadName, NAME_MAX, ValueTooLong};

use crate::elements::ELEMENTS_MAX;

/// Why a frame was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadFrame {
    /// It is no Protocol Buffers of the contract's shape.
    Syntax(prost::DecodeError),
    /// It has more than [`ELEMENTS_MAX`] repeated elements.
    TooManyElements,
    /// A field has a value that means nothing.
    Field(BadField),
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(_) => f.write_str("the frame is not of the protocol's shape"),
            Self::TooManyElements => {
                write!(f, "the frame has more than {ELEMENTS_MAX} elements; send several frames")
            }
            Self::Field(bad) => fmt::Display::fmt(bad, f),
        }
    }
}

impl core::error::Error for BadFrame {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Syntax(error) => Some(error),
            Self::TooManyElements => None,
            Self::Field(bad) => bad.source(),
        }
    }
}

impl From<BadField> for BadFrame {
    fn from(bad: BadField) -> Self {
        Self::Field(bad)
    }
}

/// A field whose value means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadField {
    /// The message and the field, as the contract writes them: `Renew.fence`.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field;
        match self.problem {
            Problem::Missing => write!(f, "{field} is missing"),
            Problem::Unspecified => write!(f, "{field} is unspecified"),
            Problem::Unknown { value } => write!(f, "{field} has the unknown value {value}"),
            Problem::OutOfRange { value } => write!(f, "{field} is {value}, out of its range"),
            Problem::WrongLength { len, want } => {
                write!(f, "{field} has {len} bytes instead of {want}")
            }
            Problem::PrefixTooLong { len } => {
                write!(f, "{field} has {len} bytes; at most {NAME_MAX} go")
            }
            Problem::Name(_) => write!(f, "{field} is no name"),
            Problem::Value(_) => write!(f, "{field} is no value"),
        }
    }
}

impl core::error::Error for BadField {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.problem {
            Problem::Name(bad) => Some(bad),
            Problem::Value(bad) => Some(bad),
            Problem::Missing
            | Problem::Unspecified
            | Problem::Unknown { .. }
            | Problem::OutOfRange { .. }
            | Problem::WrongLength { .. }
            | Problem::PrefixTooLong { .. } => None,
        }
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It is required and absent.
    Missing,
    /// An enum with its value 0.
    Unspecified,
    /// An enum with a value that this version does not know.
    Unknown {
        /// The value.
        value: i32,
    },
    /// A number that is none of its kind: fence 0, incarnation 0.
    OutOfRange {
        /// The number.
        value: u64,
    },
    /// Bytes of a fixed length with another.
    WrongLength {
        /// How many there were.
        len: usize,
        /// How many there must be.
        want: usize,
    },
    /// A prefix longer than any name.
    PrefixTooLong {
        /// Its bytes.
        len: usize,
    },
    /// Bytes that are no name.
    Name(BadName),
    /// Bytes that are no value.
    Value(ValueTooLong),
}

impl Problem {
    /// The same, with the field that has it.
    pub(crate) const fn at(self, field: &'static str) -> BadField {
        BadField { field, problem: self }
    }
}
