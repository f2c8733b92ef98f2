//! A channel whose two ends prove by attestation what they are, before either says anything else.
//!
//! - Promises: a [`Session`] exists only if the peer proved, for this very session and for the key it
//!   uses there, that it is an enclave (or a trust domain) which the [`Policy`] names; and what is
//!   read from it is what that peer wrote, in order, without a gap, and to its end.
//! - Assumes: the processor's key for reports, or Intel's root for quotes, is not broken (A20); and
//!   the programs on the list keep their private keys to themselves.
//! - Never: reads a clock (time is an argument), contains unsafe code, prints, retries, panics on
//!   what a peer sends, or takes memory that a peer has chosen beyond [`FRAME_MAX`].
//! - Start reading at [`connect`] and [`accept`], then `handshake.rs`; `appraise.rs` decides.
//!
//! # Examples
//! Two enclaves of one test root, each of which lets in its own kind alone:
//! ```
//! # #[cfg(feature = "test-root")] {
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//! use tlease_attest::{Appraiser, Identity, Policy, accept, connect, test_root::TestRoot};
//!
//! let machine = TestRoot::new([7; 16]);
//! let appraiser = Appraiser::new("allow twins self\n".parse::<Policy>()?);
//! let (near, far) = UnixStream::pair()?;
//! let holder = Identity::new(machine.enclave([1; 32]))?;
//! let granter = Identity::new(machine.enclave([1; 32]))?;
//!
//! let mut words = String::new();
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         let mut session = connect(near, &holder, &appraiser, None).unwrap();
//!         session.write_all(b"may I?").unwrap();
//!         session.close().unwrap();
//!     });
//!     let mut session = accept(far, &granter, &appraiser, None).unwrap();
//!     assert_eq!(session.peer().rule, "twins");
//!     session.read_to_string(&mut words).unwrap();
//! });
//! assert_eq!(words, "may I?");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(target_env = "sgx", feature(sgx_platform))]

mod appraise;
mod binding;
mod challenge;
#[cfg(feature = "dcap")]
mod dcap;
mod evidence;
mod frame;
mod handshake;
mod hex;
mod identity;
mod measured;
mod platform;
mod policy;
mod refusal;
mod report;
mod session;

pub use appraise::{Appraiser, Peer, Proof, UnixTime};
pub use binding::{ReportData, Role};
pub use challenge::{BadChallenge, Challenge};
#[cfg(feature = "dcap")]
pub use dcap::{BadCollateral, Quotes};
pub use evidence::{BadEvidence, EVIDENCE_MAX, Evidence, Kind};
pub use frame::FRAME_MAX;
pub use handshake::{HELLO, HandshakeError, NOISE, accept, connect};
pub use identity::Identity;
pub use measured::{Enclave, Measured, Mrenclave, Mrsigner, Register, TrustDomain};
#[cfg(target_env = "sgx")]
pub use platform::sgx::Sgx;
#[cfg(feature = "test-quotes")]
pub use platform::test_quotes;
#[cfg(feature = "test-root")]
pub use platform::test_root;
pub use platform::{Platform, PlatformFault};
pub use policy::{BadPolicy, Policy, Problem, RULES_MAX, Rule, TcbStatus, Who};
pub use refusal::{Reason, Refusal};
pub use report::{LocalReport, Target};
pub use session::{Fault, Reader, Session, Writer};
