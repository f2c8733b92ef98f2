//! Fields that many messages have: names, fences, spans, fixed bytes, enums.

use tlease_core::fence::{Fence, Mode};
use tlease_core::identity::Incarnation;
use tlease_core::message::{Force, Prefix, Tag};
use tlease_core::name::{NAME_MAX, Name, Value};
use tlease_core::time::Span;

use crate::bad::{BadField, Problem};
use crate::generated as pb;

/// A field that must be there.
pub(crate) trait Required<T> {
    /// The field's value, or that `field` is missing.
    fn required(self, field: &'static str) -> Result<T, BadField>;
}

impl<T> Required<T> for Option<T> {
    fn required(self, field: &'static str) -> Result<T, BadField> {
        self.ok_or(Problem::Missing.at(field))
    }
}

pub(super) fn name(bytes: &[u8], field: &'static str) -> Result<Name, BadField> {
    Name::new(bytes).map_err(|bad| Problem::Name(bad).at(field))
}

pub(super) fn value(bytes: Option<&[u8]>, field: &'static str) -> Result<Option<Value>, BadField> {
    bytes.map(Value::new).transpose().map_err(|bad| Problem::Value(bad).at(field))
}

pub(super) fn value_bytes(value: Option<&Value>) -> Option<Vec<u8>> {
    value.map(|value| value.as_bytes().into())
}

pub(super) fn prefix(bytes: Vec<u8>, field: &'static str) -> Result<Prefix, BadField> {
    match bytes.len() {
        len if len > NAME_MAX => Err(Problem::PrefixTooLong { len }.at(field)),
        _ => Ok(Prefix(bytes.into())),
    }
}

pub(super) fn fence(number: u64, field: &'static str) -> Result<Fence, BadField> {
    Fence::new(number).ok_or(Problem::OutOfRange { value: number }.at(field))
}

pub(super) fn incarnation(number: u64, field: &'static str) -> Result<Incarnation, BadField> {
    Incarnation::new(number).ok_or(Problem::OutOfRange { value: number }.at(field))
}

pub(super) fn sixteen(bytes: &[u8], field: &'static str) -> Result<[u8; 16], BadField> {
    bytes.try_into().map_err(|_| Problem::WrongLength { len: bytes.len(), want: 16 }.at(field))
}

pub(super) fn tag(bytes: &[u8], field: &'static str) -> Result<Tag, BadField> {
    sixteen(bytes, field).map(Tag)
}

pub(super) fn nanos(span: Option<Span>) -> Option<u64> {
    span.map(Span::as_nanos)
}

pub(super) fn span(nanos: Option<u64>) -> Option<Span> {
    nanos.map(Span::from_nanos)
}

/// The enum value with this number; which of them are refused, its match says.
pub(super) fn known<E: TryFrom<i32>>(value: i32, field: &'static str) -> Result<E, BadField> {
    E::try_from(value).map_err(|_| Problem::Unknown { value }.at(field))
}

pub(super) fn mode(value: i32, field: &'static str) -> Result<Mode, BadField> {
    match known(value, field)? {
        pb::Mode::Unspecified => Err(Problem::Unspecified.at(field)),
        pb::Mode::Exclusive => Ok(Mode::Exclusive),
        pb::Mode::Shared => Ok(Mode::Shared),
    }
}

pub(super) fn mode_number(mode: Mode) -> i32 {
    match mode {
        Mode::Exclusive => pb::Mode::Exclusive,
        Mode::Shared => pb::Mode::Shared,
    }
    .into()
}

pub(super) fn force(value: i32, field: &'static str) -> Result<Force, BadField> {
    match known(value, field)? {
        pb::Force::Unspecified => Err(Problem::Unspecified.at(field)),
        pb::Force::Grace => Ok(Force::Grace),
        pb::Force::Now => Ok(Force::Now),
    }
}

pub(super) fn force_number(force: Force) -> i32 {
    match force {
        Force::Grace => pb::Force::Grace,
        Force::Now => pb::Force::Now,
    }
    .into()
}
