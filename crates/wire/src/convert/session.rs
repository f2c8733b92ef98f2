//! Opening a session, and the granter's last word.

use core::fmt;

use tlease_core::identity::{Epoch, Secret, SessionId};
use tlease_core::message::{Opened, ToGranter};
use tlease_core::time::Span;

use super::fields::{Required, incarnation, known, nanos, sixteen, span};
use crate::bad::{BadField, Problem};
use crate::generated as pb;
use crate::goodbye::{Goodbye, GoodbyeReason};

impl TryFrom<pb::Open> for ToGranter {
    type Error = BadField;

    fn try_from(open: pb::Open) -> Result<Self, BadField> {
        Ok(Self::Open {
            session: SessionId(sixteen(&open.session, "Open.session")?),
            secret: Secret(sixteen(&open.secret, "Open.secret")?),
        })
    }
}

impl fmt::Debug for pb::Open {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("session", &self.session).finish_non_exhaustive()
    }
}

impl TryFrom<pb::Epoch> for Epoch {
    type Error = BadField;

    fn try_from(epoch: pb::Epoch) -> Result<Self, BadField> {
        let incarnation = incarnation(epoch.incarnation, "Epoch.incarnation")?;
        match epoch.opening {
            0 => Err(Problem::OutOfRange { value: 0 }.at("Epoch.opening")),
            opening => Ok(Self { incarnation, opening }),
        }
    }
}

impl From<Epoch> for pb::Epoch {
    fn from(epoch: Epoch) -> Self {
        Self { incarnation: epoch.incarnation.get(), opening: epoch.opening }
    }
}

impl TryFrom<pb::Opened> for Opened {
    type Error = BadField;

    fn try_from(opened: pb::Opened) -> Result<Self, BadField> {
        Ok(Self {
            epoch: opened.epoch.required("Opened.epoch")?.try_into()?,
            wait_left: span(opened.wait_left_ns),
            term_min: Span::from_nanos(opened.term_min_ns),
            term_max: Span::from_nanos(opened.term_max_ns),
        })
    }
}

impl From<&Opened> for pb::Opened {
    fn from(opened: &Opened) -> Self {
        Self {
            epoch: Some(opened.epoch.into()),
            wait_left_ns: nanos(opened.wait_left),
            term_min_ns: opened.term_min.as_nanos(),
            term_max_ns: opened.term_max.as_nanos(),
        }
    }
}

impl TryFrom<pb::Goodbye> for Goodbye {
    type Error = BadField;

    fn try_from(goodbye: pb::Goodbye) -> Result<Self, BadField> {
        let field = "Goodbye.reason";
        let reason = match known(goodbye.reason, field)? {
            pb::GoodbyeReason::Unspecified => return Err(Problem::Unspecified.at(field)),
            pb::GoodbyeReason::NotUnderstood => GoodbyeReason::NotUnderstood,
            pb::GoodbyeReason::Superseded => GoodbyeReason::Superseded,
            pb::GoodbyeReason::Unwelcome => GoodbyeReason::Unwelcome,
            pb::GoodbyeReason::NotServing => GoodbyeReason::NotServing,
            pb::GoodbyeReason::Full => GoodbyeReason::Full,
            pb::GoodbyeReason::TooSlow => GoodbyeReason::TooSlow,
        };
        Ok(Self { reason, detail: goodbye.detail })
    }
}

impl From<&Goodbye> for pb::Goodbye {
    fn from(goodbye: &Goodbye) -> Self {
        let reason = match goodbye.reason {
            GoodbyeReason::NotUnderstood => pb::GoodbyeReason::NotUnderstood,
            GoodbyeReason::Superseded => pb::GoodbyeReason::Superseded,
            GoodbyeReason::Unwelcome => pb::GoodbyeReason::Unwelcome,
            GoodbyeReason::NotServing => pb::GoodbyeReason::NotServing,
            GoodbyeReason::Full => pb::GoodbyeReason::Full,
            GoodbyeReason::TooSlow => pb::GoodbyeReason::TooSlow,
        };
        Self { reason: reason.into(), detail: goodbye.detail.clone() }
    }
}
