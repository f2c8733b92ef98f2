//! Tags: the granter's signature under a grant.

use crate::fence::{Fence, Mode};
use crate::fingerprint::mode_number;
use crate::identity::{Incarnation, Secret, SessionId, same_bytes};
use crate::mac::{Key, Signature};
use crate::message::Tag;
use crate::name::Name;
use crate::time::Span;

/// What a tag covers. The session's secret is in it, so that a stolen tag is worth nothing to
/// another session.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    pub(super) issued: Incarnation,
    pub(super) session: SessionId,
    pub(super) secret: &'a Secret,
    pub(super) name: &'a Name,
    pub(super) mode: Mode,
    pub(super) fence: Fence,
    pub(super) term: Span,
}

impl Signed<'_> {
    pub(super) fn tag(&self, key: &Key) -> Tag {
        // All parts but the last have a fixed length, so no two different grants join alike.
        let hash = Signature::new(key)
            .u64(self.issued.get())
            .bytes(&self.session.0)
            .bytes(&self.secret.0)
            .u64(self.fence.get())
            .u64(self.term.as_nanos())
            .u64(mode_number(self.mode))
            .bytes(self.name.as_bytes());
        Tag(hash.finish())
    }

    pub(super) fn verifies(&self, key: &Key, tag: &Tag) -> bool {
        same_bytes(&self.tag(key).0, &tag.0)
    }
}
