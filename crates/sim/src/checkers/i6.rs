//! I6: what a message promises is covered by every record that the disk may hold when it leaves.

use tlease_core::granter::{Leftovers, Record};
use tlease_core::message::{FromGranter, Reply};
use tlease_core::time::Span;

use super::Claim;
use crate::world::disk::Disk;

pub(crate) const CLAIM: Claim =
    Claim::new("I6", "nothing leaves before what it relies on is durable");

pub(crate) fn check(disk: &Disk, message: &FromGranter) -> Result<(), String> {
    let covered = match message {
        FromGranter::Opened(opened) => {
            disk.every_record(|record| record.incarnation == opened.epoch.incarnation)
        }
        FromGranter::Reply { reply, .. } => match reply {
            Reply::Granted(grant) | Reply::Offered { grant, .. } => disk.every_record(|record| {
                record.fence_mark >= grant.fence.get()
                    && record.settled == Some(record.incarnation)
                    && covers(record, grant.term)
            }),
            Reply::Renewed(renewed) => disk.every_record(|record| covers(record, renewed.term)),
            Reply::RenewedAll
            | Reply::RenewedSome(_)
            | Reply::Reclaimed { .. }
            | Reply::Queued { .. }
            | Reply::Released { .. }
            | Reply::Withdrawn
            | Reply::Noted
            | Reply::Downgraded { .. }
            | Reply::Refused(_) => true,
        },
        FromGranter::NotOpened(_)
        | FromGranter::Answer { .. }
        | FromGranter::Recalled { .. }
        | FromGranter::Happened { .. } => true,
    };
    if covered { Ok(()) } else { Err(format!("promised before it was durable: {message:?}")) }
}

/// A granter that says it leaves nothing behind has made that durable.
pub(crate) fn settled(disk: &Disk) -> Result<(), String> {
    if disk.every_record(|record| record.leftovers == Leftovers::None) {
        Ok(())
    } else {
        Err("a settled exit is not durable".to_owned())
    }
}

fn covers(record: &Record, term: Span) -> bool {
    term.is_zero() || (record.longest_promise >= term && record.leftovers == Leftovers::Possible)
}
