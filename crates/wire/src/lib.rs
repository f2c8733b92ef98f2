//! The protocol tlease/1: frames, Protocol Buffers, and parsing into core types.
//!
//! - Promises: what is read here is a valid core value or a typed error that names the field, for
//!   any bytes; and what is written here reads back as the same value.
//! - Assumes: an ordered stream that keeps its bytes: frames have no checksum (assumption A18). Nothing
//!   about who is at its other end.
//! - Never: does IO, reads a clock, panics on input, or allocates more than in proportion to the
//!   bytes that came and to [`ELEMENTS_MAX`].
//! - Start reading at `proto/tlease.proto`, the contract for every language; then [`FrameDecoder`].
//!
//! # Examples
//! ```
//! use tlease_core::identity::{Secret, SessionId};
//! use tlease_core::message::ToGranter;
//! use tlease_wire::{FrameDecoder, ToGranterFrames, read_to_granter};
//!
//! let mut client = ToGranterFrames::with_hello();
//! client.push(&ToGranter::Open { session: SessionId([1; 16]), secret: Secret([2; 16]) })?;
//!
//! let mut granter = FrameDecoder::default();
//! granter.push(client.unsent());
//! let mut messages = Vec::new();
//! while let Some(frame) = granter.next_frame()? {
//!     read_to_granter(frame, &mut messages)?;
//! }
//! assert!(matches!(messages[..], [ToGranter::Open { .. }]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod address;
mod bad;
mod convert;
mod elements;
mod frame;
mod goodbye;
mod read;
mod write;

/// The contract in Rust, as prost makes it. Private: the rest of the world sees core types.
#[rustfmt::skip]
#[allow(
    unreachable_pub,
    missing_docs,
    unnameable_types,
    unused_qualifications,
    clippy::all,
    reason = "generated; its comments are those of the contract"
)]
mod generated;

pub use address::{Address, BadAddress};
pub use bad::{BadField, BadFrame, Problem};
pub use elements::ELEMENTS_MAX;
pub use frame::{FRAME_MAX, FrameDecoder, FrameError, HELLO};
pub use goodbye::{Goodbye, GoodbyeReason};
pub use read::{read_from_granter, read_to_granter};
pub use write::{FromGranterFrames, MessageTooLarge, ToGranterFrames};
