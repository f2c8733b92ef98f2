//! The lease as its holder's threads see it: a [`LeaseCell`], checked and guarded without a lock.

#[cfg(any(feature = "host", target_env = "sgx"))]
mod cell;
#[cfg(feature = "host")]
mod on_host;
#[cfg(any(feature = "host", target_env = "sgx"))]
mod pool;
pub(crate) mod record;
mod state;
mod timing;

/// What [`record`] gets its atomics from; its interleaving test substitutes loom's.
mod atomic {
    pub(crate) use core::sync::atomic::{AtomicU64, Ordering};
}

#[cfg(any(feature = "host", target_env = "sgx"))]
pub use cell::{HoldRefusal, LeaseCell};
pub use state::Check;
pub use timing::Timing;
