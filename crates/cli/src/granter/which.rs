//! Which granter a command speaks to.

use super::link::Link;
use crate::exit::{Exit, Failure};
use crate::local::{self, Place};
use crate::log::Notes;
use std::ffi::OsStr;
use std::fmt;
use tlease_wire::Address;

/// The granter that a command was told to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one at this address.
    At(Address),
    /// This user's local one, started if it does not run.
    Local,
}

/// A granter that has been reached.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) link: Link,
    pub(crate) address: Address,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, Place::of_this_user()) {
            (Self::At(address), _) => write!(f, "the granter at {address}"),
            (Self::Local, Ok(place)) => {
                write!(f, "this user's local granter at {}", place.address())
            }
            (Self::Local, Err(_)) => f.write_str("this user's local granter"),
        }
    }
}

impl Which {
    /// The granter that `--server` or `TLEASE_SERVER` names; the local one if they name none.
    pub(crate) fn named(server: Option<&OsStr>) -> Result<Self, Failure> {
        let Some(text) = server.filter(|text| !text.is_empty()) else { return Ok(Self::Local) };
        let text = text.to_str().ok_or_else(|| {
            Failure::new(Exit::Malformed, "the granter's address is not valid UTF-8")
        })?;
        let address = text.parse().map_err(|why: tlease_wire::BadAddress| {
            Failure::new(Exit::Malformed, why.to_string())
        })?;
        Ok(Self::At(address))
    }

    /// The granter that gave a token: the local one if it is at the local address, so that it is
    /// started again if it has ended.
    pub(crate) fn of_token(address: &Address) -> Self {
        match Place::of_this_user() {
            Ok(place) if place.address() == *address => Self::Local,
            Ok(_) | Err(_) => Self::At(address.clone()),
        }
    }

    /// Connects.
    pub(crate) fn reach(&self, notes: Notes) -> Result<Reached, Failure> {
        match self {
            Self::At(address) => {
                let link = Link::to(address)?;
                notes.detail(&format!("using the granter at {address}"));
                Ok(Reached { link, address: address.clone() })
            }
            Self::Local => {
                let place = Place::of_this_user()?;
                let link = local::reach(&place, notes)?;
                Ok(Reached { link, address: place.address() })
            }
        }
    }
}
