//! Memory that a commit can act on: the library knows its pages, so it can touch them.
//!
//! A transaction can neither take a page fault nor set an Accessed or Dirty bit; it aborts without a
//! cause, and would for ever. Kernels clear those bits all the time (reclaim, DAMON, write-back), so
//! [`LeaseCell::commit`](crate::LeaseCell::commit) is told which memory its body uses, and reaches
//! that memory from outside after such an abort.

#[cfg(target_env = "sgx")]
mod host;
#[cfg(feature = "host")]
mod region;
mod registered;
mod ring;
mod word;

#[cfg(target_env = "sgx")]
pub use host::HostMemory;
#[cfg(feature = "host")]
pub use region::Region;
pub use registered::{Registered, Touch};
pub use ring::{Entry, Ring, RingFault, RingFull, WhenFull};
pub use word::Word;
