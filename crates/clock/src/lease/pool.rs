//! Records on pages that a forked child finds wiped.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::record::{RECORD_WORDS, Record};
use core::sync::atomic::AtomicU64;

type Words = &'static [AtomicU64; RECORD_WORDS];

/// Records that nobody uses now. Their pages stay mapped until the process ends: they are few (32
/// records a page) and used again.
static FREE: Mutex<Vec<Words>> = Mutex::new(Vec::new());

/// A record of this process's own, returned when dropped.
#[derive(Debug)]
pub(super) struct PooledRecord(Words);

impl PooledRecord {
    /// A record that is not held.
    pub(super) fn claim() -> io::Result<Self> {
        let mut free = free();
        if free.is_empty() {
            free.extend(more()?);
        }
        let words = free.pop().ok_or(io::ErrorKind::OutOfMemory)?;
        Record::new(words).claim();
        Ok(Self(words))
    }

    #[inline]
    pub(super) const fn record(&self) -> Record<'static> {
        Record::new(self.0)
    }
}

impl Drop for PooledRecord {
    fn drop(&mut self) {
        free().push(self.0);
    }
}

/// A page of records.
#[cfg(feature = "host")]
fn more() -> io::Result<&'static [[AtomicU64; RECORD_WORDS]]> {
    use crate::arch::pages::{PAGE_WORDS, Pages};
    let (records, _) = Pages::wiped_on_fork(PAGE_WORDS)?.leak().as_chunks();
    Ok(records)
}

/// A record. An enclave does not fork.
#[cfg(not(feature = "host"))]
fn more() -> io::Result<&'static [[AtomicU64; RECORD_WORDS]]> {
    /// So that no two records share what is fetched together.
    #[derive(Debug)]
    #[repr(align(128))]
    struct Line([AtomicU64; RECORD_WORDS]);
    let line = std::boxed::Box::new(Line([const { AtomicU64::new(0) }; RECORD_WORDS]));
    Ok(core::slice::from_ref(&std::boxed::Box::leak(line).0))
}

fn free() -> MutexGuard<'static, Vec<Words>> {
    // Nothing in here panics half-way through a change.
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}
