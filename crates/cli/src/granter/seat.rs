//! A session that a command opens for a moment: to take a lease, or to prove and extend one.
//!
//! Request ids of a session must increase over all its connections. Commands that share nothing but
//! a token get that from the granter: it counts the openings of a session, and the number of this
//! opening makes the upper half of every id.

use super::link::{ANSWER_WITHIN, Link, LinkError};
use super::{out_of_place, refused};
use crate::exit::Failure;
use std::time::Duration;
use tlease_core::identity::{Epoch, RequestId, Secret, SessionId};
use tlease_core::message::{FromGranter, Op, Opened, Reply, Request, ToGranter};

/// A session's identity and what proves it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    pub(crate) session: SessionId,
    pub(crate) secret: Secret,
}

impl Holder {
    /// One that nobody else is.
    pub(crate) fn random() -> Result<Self, Failure> {
        let mut bits = [[0; 16]; 2];
        getrandom::fill(bits.as_flattened_mut())
            .map_err(|why| Failure::broken("the kernel gave no random bits", &why))?;
        let [session, secret] = bits;
        Ok(Self { session: SessionId(session), secret: Secret(secret) })
    }
}

/// A session that is open on a connection.
#[derive(Debug)]
pub(crate) struct Seat {
    link: Link,
    opened: Opened,
    requests: u64,
}

impl Seat {
    /// Opens the session over `link`.
    pub(crate) fn open(mut link: Link, holder: &Holder) -> Result<Self, Failure> {
        link.send(&ToGranter::Open { session: holder.session, secret: holder.secret })?;
        match link.hear(ANSWER_WITHIN)? {
            FromGranter::Opened(opened) => Ok(Self { link, opened, requests: 0 }),
            FromGranter::NotOpened(refusal) => Err(refused(refusal)),
            FromGranter::Reply { .. }
            | FromGranter::Answer { .. }
            | FromGranter::Recalled { .. }
            | FromGranter::Happened { .. } => Err(out_of_place("something else than an opening")),
        }
    }

    /// The life of the session that this opening is.
    pub(crate) const fn epoch(&self) -> Epoch {
        self.opened.epoch
    }

    /// Sends a request; its id. What its lease counts from was read before.
    pub(crate) fn request(&mut self, op: Op) -> Result<RequestId, LinkError> {
        self.requests += 1;
        let epoch = self.opened.epoch;
        let id = RequestId(epoch.opening << 32 | self.requests);
        self.link.send(&ToGranter::Request(Request { epoch, id, op }))?;
        Ok(id)
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn call(&mut self, op: Op) -> Result<Reply, LinkError> {
        let id = self.request(op)?;
        self.reply_to(id, ANSWER_WITHIN)
    }

    /// The next reply to the request with this id, within `patience`.
    pub(crate) fn reply_to(
        &mut self,
        id: RequestId,
        patience: Duration,
    ) -> Result<Reply, LinkError> {
        loop {
            match self.link.hear(patience)? {
                FromGranter::Reply { id: of, reply, .. } if of == id => return Ok(reply),
                // A recall is repeated in the reply to the next renewal.
                FromGranter::Reply { .. }
                | FromGranter::Recalled { .. }
                | FromGranter::Opened(_)
                | FromGranter::NotOpened(_)
                | FromGranter::Answer { .. }
                | FromGranter::Happened { .. } => {}
            }
        }
    }
}
