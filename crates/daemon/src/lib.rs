//! The granter of trusted leases as a server: listener, store, metrics.
//!
//! - Promises: drives the core's [`Granter`](tlease_core::granter::Granter) as its contract asks: its
//!   clock is read after the last byte of an input, its outputs are done in their order, its record
//!   is durable before it hears so, and one client's misbehaviour disturbs no other.
//! - Assumes: what the profile of its clock assumes (`tlease-clock`), a directory that nobody rolls back
//!   or copies, and that whoever may open its Unix sockets may hold leases.
//! - Never: decides about a lease, or listens where anyone but this machine could reach it (TLS is
//!   not in this version).
//! - Start reading at [`Server`], then `server/mod.rs` for its loop, then [`store`].
#![forbid(unsafe_code)]

mod clock;
mod config;
mod metrics;
mod server;
pub mod store;

pub use clock::SlowClock;
pub use config::{BadListen, Config, ConnectionLimits, Listen};
pub use metrics::{Metrics, MetricsSnapshot};
pub use server::{Control, Ready, RunError, Server, StartError};
