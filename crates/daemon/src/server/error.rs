//! Why a server does not start, or stops.

use std::io;

use tlease_core::time::Span;

use crate::config::BadListen;
use crate::store::StoreError;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bounds on terms leave no term.
    #[error("the shortest term ({min}) must be above zero and not above the longest ({max})")]
    Terms {
        /// The shortest term.
        min: Span,
        /// The longest term.
        max: Span,
    },
    /// It was told to listen where this version does not.
    #[error(transparent)]
    Listen(BadListen),
    /// A socket could not be made.
    #[error("cannot listen on {what}")]
    Bind {
        /// Where.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The system gave no thread or descriptor.
    #[error("cannot set up the server")]
    System(#[source] io::Error),
}

/// Why a server stopped without being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The record of this life could not be made durable, so nothing was served.
    #[error("the granter could not begin its life")]
    NotBegun(#[source] StoreError),
    /// Waiting for sockets failed.
    #[error("the server can no longer wait for its sockets")]
    Poll(#[source] io::Error),
}
