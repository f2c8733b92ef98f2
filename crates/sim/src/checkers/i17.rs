//! I17, in part: the machines neither panic nor keep each other busy without end, whatever comes in, and
//! the granter keeps its bounds.

use tlease_core::message::Status;

use super::Claim;
use crate::options::Options;

pub(crate) const CLAIM: Claim =
    Claim::new("I17", "no input makes a machine panic or run without end");

/// By the granter's own word.
pub(crate) fn bounded(options: &Options, status: &Status) -> Result<(), String> {
    let waiters_max = u64::from(options.waiters_max) * options.names;
    // Those who reclaim are not crowded out by those who wait.
    let all_max = 2 * u64::from(options.leases_max);
    if status.leases + status.waiters > all_max || status.waiters > waiters_max {
        return Err(format!("{} leases and {} waiters", status.leases, status.waiters));
    }
    Ok(())
}

/// A connection over which something came that cannot be read.
pub(crate) fn ended(is_open: bool) -> Result<(), String> {
    if is_open { Err("goes on over a connection that cannot be read".to_owned()) } else { Ok(()) }
}

/// Many times what a world takes that goes on at a reasonable pace.
pub(crate) const STEPS_MAX: u64 = 50_000;
