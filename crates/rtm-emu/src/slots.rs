//! One slot for each thread with a running transaction: signal handlers may neither allocate nor use
//! thread-local storage.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI32, Ordering};

use crate::kernel;
use crate::transaction::Transaction;

struct Slot {
    /// The thread, or 0.
    owner: AtomicI32,
    transaction: UnsafeCell<Transaction>,
}

// WHY: the cell has one user at a time, which the compiler cannot know.
// SAFETY: `transaction` is only reached by the thread that owns the slot, from handlers that do not
// interrupt each other (each blocks all signals).
unsafe impl Sync for Slot {}

static SLOTS: [Slot; SLOTS_MAX] =
    [const { Slot { owner: AtomicI32::new(0), transaction: UnsafeCell::new(Transaction::IDLE) } };
        SLOTS_MAX];

/// Runs `f` on every transaction, before any can run.
pub(crate) fn for_all(f: impl Fn(&mut Transaction)) {
    for slot in &SLOTS {
        let is_free = slot.owner.compare_exchange(0, -1, Ordering::Acquire, Ordering::Relaxed);
        if is_free.is_ok() {
            with(slot, &f);
        }
    }
}

/// Runs `f` on the transaction of this thread, if one is running.
pub(crate) fn with_running<R>(f: impl FnOnce(&mut Transaction) -> R) -> Option<R> {
    let thread = kernel::thread();
    let slot = SLOTS.iter().find(|slot| slot.owner.load(Ordering::Relaxed) == thread)?;
    Some(with(slot, f))
}

/// Takes a free slot for this thread; `None` if too many threads are in transactions.
pub(crate) fn with_new<R>(f: impl FnOnce(&mut Transaction) -> R) -> Option<R> {
    let thread = kernel::thread();
    let slot = SLOTS.iter().find(|slot| {
        slot.owner.compare_exchange(0, thread, Ordering::Acquire, Ordering::Relaxed).is_ok()
    })?;
    Some(with(slot, f))
}

fn with<R>(slot: &Slot, f: impl FnOnce(&mut Transaction) -> R) -> R {
    // WHY: see `Slot`.
    // SAFETY: the caller's thread owns the slot, and nothing interrupts it in here.
    let transaction = unsafe { &mut *slot.transaction.get() };
    let result = f(transaction);
    if !transaction.is_running() {
        slot.owner.store(0, Ordering::Release);
    }
    result
}

/// More threads than any test has in transactions at once.
const SLOTS_MAX: usize = 32;
