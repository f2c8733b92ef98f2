//! From the bytes of a frame to core values.

use prost::Message as _;
use tlease_core::message::{FromGranter, ToGranter};

use crate::bad::BadFrame;
use crate::convert::{self, Required};
use crate::elements::{self, within_bound};
use crate::generated as pb;
use crate::goodbye::Goodbye;

/// Reads a frame that came to a granter, and appends its messages to `into` in their order.
///
/// Takes the vector so that a server which reads many small frames need not allocate for each.
///
/// # Errors
/// If the frame is not what the contract says; nothing is appended then.
pub fn read_to_granter(frame: &[u8], into: &mut Vec<ToGranter>) -> Result<(), BadFrame> {
    if !within_bound(frame, elements::TO_GRANTER) {
        return Err(BadFrame::TooManyElements);
    }
    let frame = pb::ToGranter::decode(frame).map_err(BadFrame::Syntax)?;
    let before = into.len();
    let read = append_to_granter(frame, into);
    if read.is_err() {
        into.truncate(before);
    }
    read
}

fn append_to_granter(frame: pb::ToGranter, into: &mut Vec<ToGranter>) -> Result<(), BadFrame> {
    if let Some(open) = frame.open {
        into.push(open.try_into()?);
    }
    if !frame.operations.is_empty() {
        let epoch = frame.epoch.required("ToGranter.epoch")?.try_into()?;
        for operation in frame.operations {
            into.push(ToGranter::Request(convert::request(epoch, operation)?));
        }
    }
    for question in frame.questions {
        into.push(question.try_into()?);
    }
    Ok(())
}

/// Reads a frame that came from a granter, and appends its messages to `into` in their order. If the
/// granter says goodbye, that is its last frame.
///
/// # Errors
/// If the frame is not what the contract says; nothing is appended then.
pub fn read_from_granter(
    frame: &[u8],
    into: &mut Vec<FromGranter>,
) -> Result<Option<Goodbye>, BadFrame> {
    if !within_bound(frame, elements::FROM_GRANTER) {
        return Err(BadFrame::TooManyElements);
    }
    let frame = pb::FromGranter::decode(frame).map_err(BadFrame::Syntax)?;
    let goodbye = frame.goodbye.map(Goodbye::try_from).transpose()?;
    let before = into.len();
    for message in frame.messages {
        match FromGranter::try_from(message) {
            Ok(message) => into.push(message),
            Err(bad) => {
                into.truncate(before);
                return Err(bad.into());
            }
        }
    }
    Ok(goodbye)
}
