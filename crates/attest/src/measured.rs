//! What evidence says about a program: which one it is, and whether others can look into it.

use core::fmt;

use crate::hex;

/// What was measured, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measured {
    /// An SGX enclave.
    Enclave(Enclave),
    /// A TDX trust domain: a virtual machine. Boxed for its size.
    TrustDomain(Box<TrustDomain>),
}

/// An SGX enclave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enclave {
    /// The hash of all that was loaded, and how.
    pub mrenclave: Mrenclave,
    /// The hash of the key that signed it.
    pub mrsigner: Mrsigner,
    /// Which of its signer's products it is.
    pub product: u16,
    /// The security version that its signer gave it; higher is newer.
    pub svn: u16,
    /// The attribute flags (not XFRM), as the processor reports them.
    pub flags: u64,
}

impl Enclave {
    /// Set by EINIT: without it nothing was measured to its end.
    pub const INIT: u64 = 1;
    /// The host may read and write this enclave's memory.
    pub const DEBUG: u64 = 1 << 1;
    /// It runs in 64-bit mode.
    pub const MODE64BIT: u64 = 1 << 2;

    /// Whether the host may read and write its memory.
    #[must_use]
    pub const fn is_debug(&self) -> bool {
        self.flags & Self::DEBUG != 0
    }
}

/// A TDX trust domain. All of its registers count: MRTD covers the firmware alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustDomain {
    /// The hash of what the domain was built from.
    pub mrtd: Register,
    /// What was extended at run time: firmware, kernel, command line, application.
    pub rtmr: [Register; 4],
    /// Whether the host may look into it.
    pub is_debug: bool,
}

/// The hash of an enclave's pages, in their order and with their rights.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mrenclave(pub [u8; 32]);

/// The hash of the key that signed an enclave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mrsigner(pub [u8; 32]);

/// A measurement register of a trust domain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Register(pub [u8; 48]);

/// As a policy names it, so that it can be copied into one.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enclave(enclave) => enclave.fmt(f),
            Self::TrustDomain(domain) => domain.fmt(f),
        }
    }
}

impl fmt::Display for Enclave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mrenclave={}", self.mrenclave)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mrtd={}", self.mrtd)?;
        self.rtmr.iter().enumerate().try_for_each(|(index, rtmr)| write!(f, " rtmr{index}={rtmr}"))
    }
}

macro_rules! in_hex {
    ($($name:ident)*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex::write(&self.0, f)
            }
        }
    )* };
}

in_hex!(Mrenclave Mrsigner Register);
