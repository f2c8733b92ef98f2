//! Executions run again with a bug planted, which they must notice.

use std::cell::Cell;
use std::panic::catch_unwind;

use tlease_core::Mutant;

thread_local! {
    static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// The bug for the machines of this test.
pub(super) fn now() -> Option<Mutant> {
    PLANTED.get()
}

/// Runs an execution that passes without it, and must not pass with it.
pub(crate) fn dies(bug: Mutant, execution: fn()) {
    PLANTED.set(Some(bug));
    let passed = catch_unwind(execution).is_ok();
    PLANTED.set(None);
    assert!(!passed, "{bug:?} goes unnoticed: {}", bug.says());
}
