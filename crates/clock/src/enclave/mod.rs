//! The profiles that do not trust the kernel for time: `enclave` (SGX) and `enclave-sim` (the same
//! logic outside of it), as state machines that are fed with observations.
//!
//! Nothing here reads a counter, spawns, or touches memory: the shells are under `src/arch/` and in
//! the profile that opens them. So a simulator with a hostile CPU drives the very code that ships.
//!
//! - A [`Timekeeper`] is one thread that does nothing but multiply and read the counter. It counts the
//!   links it executed, which is the *slow* hand, and the counter's ticks of an uninterrupted chain,
//!   which is the *fast* one, and publishes both.
//! - A [`Handshake`] puts another thread's counter on a timekeeper's [`Line`]: for as long as that
//!   thread is not interrupted, it reads the fast hand by itself. That is a [`Stretch`].
//! - The [`RateCheck`] compares the counter with executed cycles after each interruption.
//! - A [`MachineProfile`] says what is assumed of the processor; nothing here can prove it.
//!
//! An interruption of a timekeeper counts nothing on the slow hand. On the fast hand nothing is known
//! of the time it lasted: a new segment, unless another timekeeper was not interrupted meanwhile and
//! takes the first one back onto its line. A lease of an older segment is suspect until one renewal.

#[cfg(any(feature = "host", target_env = "sgx"))]
mod clock;
mod handshake;
#[cfg(any(feature = "host", target_env = "sgx"))]
mod keepers;
#[cfg(any(feature = "host", target_env = "sgx"))]
mod lease;
mod line;
mod model;
#[cfg(feature = "host")]
mod outside;
mod profile;
mod profile_text;
#[cfg(feature = "host")]
mod publish;
mod rate;
mod record;
mod stretch;
mod timekeeper;
mod world;

#[cfg(any(feature = "host", target_env = "sgx"))]
pub use clock::{KeeperClock, Margin};
pub use handshake::Handshake;
#[cfg(any(feature = "host", target_env = "sgx"))]
pub use keepers::{KeeperCount, Keepers, NoAnswer};
#[cfg(any(feature = "host", target_env = "sgx"))]
pub use lease::Timed;
pub use line::{Ahead, Bounds, Line, Skew};
pub use model::{CpuModel, CyclesPerLink, Shown};
#[cfg(feature = "host")]
pub use outside::{EXTEND_MAX, EnclaveSim, SimOpenFault};
pub use profile::{Hertz, HzRange, MachineProfile, NotAdmitted, Smt};
pub use profile_text::BadProfile;
pub use rate::{Alarm, Rate, RateBounds, RateCheck};
pub use record::{Links, Published, Record};
pub use stretch::{Stretch, StretchOver};
#[cfg(any(feature = "host", target_env = "sgx"))]
pub(crate) use timekeeper::BEAT_LINKS;
pub use timekeeper::{Beat, Exit, Exits, Mark, Pace, Timekeeper, Verdict};
pub use world::{Anchors, choose};

/// What [`record`] gets its atomics from; its interleaving test substitutes loom's.
mod atomic {
    pub(crate) use core::sync::atomic::{AtomicU64, Ordering};
}
