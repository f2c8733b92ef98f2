//! `Token`: what proves a lease that was taken on the command line, as one printable line.

use crate::granter::seat::Holder;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::fmt;
use tlease_clock::Deadline;
use tlease_core::fence::{Fence, Mode};
use tlease_core::identity::{Incarnation, Secret, SessionId};
use tlease_core::message::Tag;
use tlease_core::name::{Name, Value};
use tlease_core::time::Span;
use tlease_wire::Address;

/// A lease, the session that holds it, and its granter. Whoever has it can give the lease back.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) holder: Holder,
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) fence: Fence,
    pub(super) term: Span,
    /// The granter's signature under it, for a reclaim.
    pub(super) tag: Tag,
    /// The life of the granter that gave the signature.
    pub(super) issued: Incarnation,
    pub(super) value: Option<Value>,
    pub(super) address: Address,
    /// Until when it may be used, by the clocks of this machine and boot.
    pub(super) deadline: Deadline,
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadToken {
    #[error("this is no token: one begins with {PREFIX}, as 'tlease acquire' prints it")]
    Prefix,
    #[error("the token is damaged or cut short: copy the whole line that 'tlease acquire' printed")]
    Damaged,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(self.to_bytes()))
    }
}

impl std::str::FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(BadToken::Prefix)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| BadToken::Damaged)?;
        let (body, checksum) = bytes.split_last_chunk().ok_or(BadToken::Damaged)?;
        if crc32fast::hash(body).to_le_bytes() != *checksum {
            return Err(BadToken::Damaged);
        }
        Self::from_body(&mut { body }).ok_or(BadToken::Damaged)
    }
}

impl Token {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.holder.session.0);
        bytes.extend(self.holder.secret.0);
        bytes.extend(self.fence.get().to_le_bytes());
        bytes.extend(self.term.as_nanos().to_le_bytes());
        bytes.push(match self.mode {
            Mode::Exclusive => 0,
            Mode::Shared => 1,
        });
        bytes.extend(self.tag.0);
        bytes.extend(self.issued.get().to_le_bytes());
        bytes.extend(self.deadline.to_bytes());
        push_bytes(&mut bytes, self.name.as_bytes());
        bytes.push(u8::from(self.value.is_some()));
        push_bytes(&mut bytes, self.value.as_ref().map_or(&[], Value::as_bytes));
        push_bytes(&mut bytes, self.address.to_string().as_bytes());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    fn from_body(body: &mut &[u8]) -> Option<Self> {
        let token = Self {
            holder: Holder { session: SessionId(take(body)?), secret: Secret(take(body)?) },
            fence: Fence::new(u64::from_le_bytes(take(body)?))?,
            term: Span::from_nanos(u64::from_le_bytes(take(body)?)),
            mode: match take(body)? {
                [0] => Mode::Exclusive,
                [1] => Mode::Shared,
                [_] => return None,
            },
            tag: Tag(take(body)?),
            issued: Incarnation::new(u64::from_le_bytes(take(body)?))?,
            deadline: Deadline::from_bytes(&take(body)?)?,
            name: Name::new(take_bytes(body)?).ok()?,
            value: match (take(body)?, take_bytes(body)?) {
                ([1], bytes) => Some(Value::new(bytes).ok()?),
                ([_], _) => None,
            },
            address: std::str::from_utf8(take_bytes(body)?).ok()?.parse().ok()?,
        };
        body.is_empty().then_some(token)
    }
}

fn push_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    // Names, values and paths are far shorter.
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    into.extend(len.to_le_bytes());
    into.extend(bytes.iter().take(usize::from(len)));
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::from(u16::from_le_bytes(take(from)?));
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

/// The digit is the version of what follows.
const PREFIX: &str = "tlease1_";

#[cfg(test)]
mod tests {
    use super::*;

    fn token(value: Option<&[u8]>) -> Token {
        let mut deadline = [7; Deadline::BYTES];
        deadline[..8].copy_from_slice(&1_u64.to_le_bytes());
        Token {
            holder: Holder { session: SessionId([1; 16]), secret: Secret([2; 16]) },
            name: "jobs/nightly".parse().unwrap(),
            mode: Mode::Shared,
            fence: Fence::new(7).unwrap(),
            term: Span::from_secs(10),
            tag: Tag([3; 16]),
            issued: Incarnation::FIRST,
            value: value.map(|bytes| Value::new(bytes).unwrap()),
            address: "unix:/home/me/socket".parse().unwrap(),
            deadline: Deadline::from_bytes(&deadline).unwrap(),
        }
    }

    #[test]
    fn a_token_reads_as_it_is_written() {
        for value in [None, Some(&b""[..]), Some(b"host-7:8080")] {
            let token = token(value);
            let line = token.to_string();
            assert!(line.bytes().all(|byte| byte.is_ascii_graphic()), "{line}");
            let read: Token = format!("{line}\n").parse().unwrap();
            assert_eq!(read.to_string(), line);
            assert_eq!((read.name, read.value), (token.name, token.value));
        }
    }

    #[test]
    fn what_is_no_token_is_told_from_a_damaged_one() {
        let line = token(None).to_string();
        assert_eq!("".parse::<Token>().unwrap_err(), BadToken::Prefix);
        assert_eq!("garbage".parse::<Token>().unwrap_err(), BadToken::Prefix);
        for cut in PREFIX.len()..line.len() {
            assert_eq!(line[..cut].parse::<Token>().unwrap_err(), BadToken::Damaged, "{cut}");
        }
        let other = if line.ends_with('A') { "B" } else { "A" };
        let swapped = format!("{}{other}{}", &line[..20], &line[21..]);
        if swapped != line {
            assert!(swapped.parse::<Token>().is_err());
        }
    }

    #[test]
    fn a_token_does_not_show_its_secret_when_debugged() {
        assert!(format!("{:?}", token(None)).contains("Secret(..)"));
    }
}
