//! Evidence: what a side shows to prove what it is.

use core::fmt;

use crate::report::LocalReport;

/// What a side shows to prove what it is. Nothing is verified by reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A report that an enclave on the same machine can verify. Boxed for its size.
    Local(Box<LocalReport>),
    /// A DCAP quote, of an SGX enclave or a TDX trust domain, that anybody can verify who trusts
    /// Intel's root and has current collateral.
    Quote(Vec<u8>),
}

impl Evidence {
    /// Its bytes: the number of its kind, then its body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind().number()];
        match self {
            Self::Local(report) => bytes.extend_from_slice(report.as_bytes()),
            Self::Quote(quote) => bytes.extend_from_slice(quote),
        }
        bytes
    }

    /// Reads what [`Evidence::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`BadEvidence`] for kinds that this version does not know, and for bodies of the wrong length.
    pub fn read(bytes: &[u8]) -> Result<Self, BadEvidence> {
        let (&number, body) = bytes.split_first().ok_or(BadEvidence::Empty)?;
        let kind = Kind::of(number).ok_or(BadEvidence::UnknownKind { number })?;
        let wrong_length = BadEvidence::WrongLength { kind, len: body.len() };
        match kind {
            Kind::LocalReport => {
                let report = body.try_into().map_err(|_| wrong_length)?;
                Ok(Self::Local(Box::new(LocalReport::from_bytes(report))))
            }
            Kind::Quote if body.is_empty() || body.len() > EVIDENCE_MAX => Err(wrong_length),
            Kind::Quote => Ok(Self::Quote(body.to_vec())),
        }
    }

    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Local(_) => Kind::LocalReport,
            Self::Quote(_) => Kind::Quote,
        }
    }
}

/// A kind of evidence. 3 is set aside for SEV-SNP reports, and refused until they are verified here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Evidence::Local`].
    LocalReport,
    /// [`Evidence::Quote`].
    Quote,
}

impl Kind {
    /// Its number in messages.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::LocalReport => 1,
            Self::Quote => 2,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::LocalReport),
            2 => Some(Self::Quote),
            _ => None,
        }
    }
}

/// Bytes that are no evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadEvidence {
    /// There are none.
    Empty,
    /// A kind that this version does not know.
    UnknownKind {
        /// Its number.
        number: u8,
    },
    /// A body of another length than its kind has.
    WrongLength {
        /// Its kind.
        kind: Kind,
        /// Its length in bytes.
        len: usize,
    },
}

impl fmt::Display for BadEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the peer sent no evidence"),
            Self::UnknownKind { number } => {
                write!(
                    f,
                    "the peer sent evidence of kind {number}, which this version cannot verify"
                )
            }
            Self::WrongLength { kind: Kind::LocalReport, len } => {
                write!(f, "the peer's local report has {len} bytes instead of {}", LocalReport::LEN)
            }
            Self::WrongLength { kind: Kind::Quote, len } => {
                write!(f, "the peer's quote has {len} bytes; 1 to {EVIDENCE_MAX} go")
            }
        }
    }
}

impl core::error::Error for BadEvidence {}

/// The longest quote in bytes: they have about 5,000, most of it a chain of certificates.
pub const EVIDENCE_MAX: usize = 12_288;
