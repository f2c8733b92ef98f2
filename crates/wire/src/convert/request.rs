//! What a session asks for.

use tlease_core::audit::Disagreement;
use tlease_core::identity::{Epoch, RequestId};
use tlease_core::message::{Acquire, Fingerprint, Op, Reclaim, Request, Wait};
use tlease_core::time::Span;

use super::fields::{
    Required, fence, incarnation, mode, mode_number, name, nanos, sixteen, span, tag, value,
    value_bytes,
};
use crate::bad::BadField;
use crate::generated as pb;
use pb::acquire::Wait as PbWait;
use pb::operation::Op as PbOp;

/// The request of an operation in a frame with this epoch.
pub(crate) fn request(epoch: Epoch, operation: pb::Operation) -> Result<Request, BadField> {
    let id = RequestId(operation.id);
    Ok(Request { epoch, id, op: operation.op.required("Operation.op")?.try_into()? })
}

/// The operation of a request; its epoch is the frame's.
pub(crate) fn operation(request: &Request) -> pb::Operation {
    pb::Operation { id: request.id.0, op: Some(PbOp::from(&request.op)) }
}

impl TryFrom<PbOp> for Op {
    type Error = BadField;

    fn try_from(op: PbOp) -> Result<Self, BadField> {
        Ok(match op {
            PbOp::Acquire(acquire) => Self::Acquire(acquire.try_into()?),
            PbOp::Renew(renew) => Self::Renew {
                name: name(&renew.name, "Renew.name")?,
                fence: fence(renew.fence, "Renew.fence")?,
                term: span(renew.term_ns),
            },
            PbOp::RenewAll(all) => Self::RenewAll {
                fingerprint: Fingerprint {
                    count: all.count,
                    sum: u128::from_be_bytes(sixteen(&all.sum, "RenewAll.sum")?),
                },
            },
            PbOp::Release(release) => Self::Release {
                name: name(&release.name, "Release.name")?,
                fence: fence(release.fence, "Release.fence")?,
            },
            PbOp::Withdraw(withdraw) => {
                Self::Withdraw { name: name(&withdraw.name, "Withdraw.name")? }
            }
            PbOp::Downgrade(downgrade) => Self::Downgrade {
                name: name(&downgrade.name, "Downgrade.name")?,
                fence: fence(downgrade.fence, "Downgrade.fence")?,
            },
            PbOp::Reclaim(reclaim) => Self::Reclaim(Box::new(reclaim.try_into()?)),
            PbOp::Report(pb::Disagreement { granter_ns, holder_ns }) => {
                let (granter, holder) = (Span::from_nanos(granter_ns), Span::from_nanos(holder_ns));
                Self::Report(Disagreement { granter, holder })
            }
        })
    }
}

impl From<&Op> for PbOp {
    fn from(op: &Op) -> Self {
        match op {
            Op::Acquire(acquire) => Self::Acquire(acquire.into()),
            Op::Renew { name, fence, term } => Self::Renew(pb::Renew {
                name: name.as_bytes().into(),
                fence: fence.get(),
                term_ns: nanos(*term),
            }),
            Op::RenewAll { fingerprint } => Self::RenewAll(pb::RenewAll {
                count: fingerprint.count,
                sum: fingerprint.sum.to_be_bytes().into(),
            }),
            Op::Release { name, fence } => {
                Self::Release(pb::Release { name: name.as_bytes().into(), fence: fence.get() })
            }
            Op::Withdraw { name } => Self::Withdraw(pb::Withdraw { name: name.as_bytes().into() }),
            Op::Downgrade { name, fence } => {
                Self::Downgrade(pb::Downgrade { name: name.as_bytes().into(), fence: fence.get() })
            }
            Op::Reclaim(reclaim) => Self::Reclaim((&**reclaim).into()),
            Op::Report(Disagreement { granter, holder }) => Self::Report(pb::Disagreement {
                granter_ns: granter.as_nanos(),
                holder_ns: holder.as_nanos(),
            }),
        }
    }
}

impl TryFrom<pb::Acquire> for Acquire {
    type Error = BadField;

    fn try_from(acquire: pb::Acquire) -> Result<Self, BadField> {
        Ok(Self {
            name: name(&acquire.name, "Acquire.name")?,
            mode: mode(acquire.mode, "Acquire.mode")?,
            term: Span::from_nanos(acquire.term_ns),
            wait: match acquire.wait.required("Acquire.wait")? {
                PbWait::Try(pb::Nothing {}) => Wait::Try,
                PbWait::WaitAtMostNs(nanos) => Wait::AtMost(Span::from_nanos(nanos)),
                PbWait::WaitUnbounded(pb::Nothing {}) => Wait::Unbounded,
            },
            value: value(acquire.value.as_deref(), "Acquire.value")?,
        })
    }
}

impl From<&Acquire> for pb::Acquire {
    fn from(acquire: &Acquire) -> Self {
        Self {
            name: acquire.name.as_bytes().into(),
            mode: mode_number(acquire.mode),
            term_ns: acquire.term.as_nanos(),
            wait: Some(match acquire.wait {
                Wait::Try => PbWait::Try(pb::Nothing {}),
                Wait::AtMost(span) => PbWait::WaitAtMostNs(span.as_nanos()),
                Wait::Unbounded => PbWait::WaitUnbounded(pb::Nothing {}),
            }),
            value: value_bytes(acquire.value.as_ref()),
        }
    }
}

impl TryFrom<pb::Reclaim> for Reclaim {
    type Error = BadField;

    fn try_from(reclaim: pb::Reclaim) -> Result<Self, BadField> {
        Ok(Self {
            name: name(&reclaim.name, "Reclaim.name")?,
            mode: mode(reclaim.mode, "Reclaim.mode")?,
            fence: fence(reclaim.fence, "Reclaim.fence")?,
            term: Span::from_nanos(reclaim.term_ns),
            issued: incarnation(reclaim.issued, "Reclaim.issued")?,
            tag: tag(&reclaim.tag, "Reclaim.tag")?,
            to: incarnation(reclaim.to, "Reclaim.to")?,
            value: value(reclaim.value.as_deref(), "Reclaim.value")?,
        })
    }
}

impl From<&Reclaim> for pb::Reclaim {
    fn from(reclaim: &Reclaim) -> Self {
        Self {
            name: reclaim.name.as_bytes().into(),
            mode: mode_number(reclaim.mode),
            fence: reclaim.fence.get(),
            term_ns: reclaim.term.as_nanos(),
            issued: reclaim.issued.get(),
            tag: reclaim.tag.0.into(),
            to: reclaim.to.get(),
            value: value_bytes(reclaim.value.as_ref()),
        }
    }
}
