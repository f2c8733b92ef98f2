//! Between the contract's structs and core types, one file per noun, both directions side by side.

mod answer;
mod event;
mod fields;
mod question;
mod refusal;
mod reply;
mod request;
mod session;

pub(crate) use fields::Required;
pub(crate) use question::question;
pub(crate) use request::{operation, request};
