//! The last word on a connection.

use core::fmt;

/// Why a granter ends a connection: the last thing it says there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodbye {
    /// The kind of reason, for programs.
    pub reason: GoodbyeReason,
    /// The reason in a sentence, for people.
    pub detail: String,
}

impl fmt::Display for Goodbye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// The kinds of reasons to end a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoodbyeReason {
    /// Bytes came that are not of this protocol.
    NotUnderstood,
    /// The session was opened on another connection.
    Superseded,
    /// Wrong secret, or a second opening.
    Unwelcome,
    /// The granter has not started yet, or is stopping: try again.
    NotServing,
    /// The granter has as many connections as it is set to.
    Full,
    /// The client did not say its hello in time.
    TooSlow,
}
