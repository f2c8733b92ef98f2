#![doc = include_str!("lib.md")]
#![forbid(unsafe_code)]

mod acquire;
pub mod blocking;
mod client;
mod driver;
mod embedded;
pub mod error;
mod events;
mod lease;
mod read;
mod session;
mod tenure;
mod watch;

pub use acquire::{Acquire, Acquiring, TERM_DEFAULT};
pub use client::{Client, ClientBuilder};
pub use error::{AcquireError, AskError, ConnectError, Loss, NotValid, ReleaseError, RenewError};
pub use events::{Events, LeaseEvent};
pub use lease::{Lease, Renewed};
pub use read::List;
pub use session::Session;
pub use tenure::{Queued, Valid};
pub use watch::{Watch, Watched};

pub use tlease_clock::{
    Clock, ClockFault, CommitOrder, Continuity, Deadline, HostClock, Profile, Trust, enclave,
    guard, memory,
};
pub use tlease_core as protocol;
pub use tlease_core::fence::{FenceGate, StaleFence};
pub use tlease_core::identity::SessionId;
pub use tlease_core::message::{
    Entry, EntryLease, EntryState, Event, EventMark, EventReason, Force, Opened, Status,
    StoreHealth,
};
pub use tlease_core::name::{BadName, Name, Value, ValueTooLong};
pub use tlease_core::{Fence, Mode, Refusal};
pub use tlease_wire::{Address, BadAddress};
