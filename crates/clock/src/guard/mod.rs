//! The guard: effects in memory that become visible only if the lease is valid at that instant.
//!
//! In one hardware transaction: the body, the clocks, the state word, the live segment, VMClock's
//! markers, the deadline, and only then the end. Any interrupt aborts it (assumption A9), and so does a
//! revocation or a break of time, since all of those words are in its read set. The fallback is
//! always a refusal, never an unguarded act.

mod act;
#[cfg(any(feature = "host", target_env = "sgx"))]
mod attempt;
#[cfg(feature = "host")]
mod commit;
pub(crate) mod late;
mod outcome;
#[cfg(feature = "host")]
mod probe;
#[cfg(feature = "host")]
mod publish;
#[cfg(all(feature = "host", target_arch = "x86_64"))]
mod restartable;
pub(crate) mod status;

#[cfg(all(feature = "host", not(target_arch = "x86_64")))]
pub(crate) use crate::arch::Restartable;
#[cfg(all(feature = "host", target_arch = "x86_64"))]
pub(crate) use restartable::Restartable;

#[cfg(feature = "host")]
pub(crate) use probe::reads_clock_in_transaction;

pub use act::{Act, Store};
#[cfg(any(feature = "host", target_env = "sgx"))]
pub(crate) use attempt::{Ground, attempt};
pub use late::LateCommits;
#[cfg(any(feature = "host", target_env = "sgx"))]
pub(crate) use late::LateCounter;
pub use outcome::{Committed, Missing, Obstacle, Published, Refusal, Strength};
pub use status::AbortStatus;
