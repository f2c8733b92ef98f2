//! What an aborted transaction says, and what to do about it: pure.

/// The refusals that the transaction itself pronounces, as XABORT codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Expired,
    Suspect,
    Revoked,
    Unwound,
    ClockFailed,
}

impl Verdict {
    /// The code of an XABORT that says so.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Expired => 1,
            Self::Suspect => 2,
            Self::Revoked => 3,
            Self::Unwound => 4,
            Self::ClockFailed => 5,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Expired, Self::Suspect, Self::Revoked, Self::Unwound, Self::ClockFailed]
            .into_iter()
            .find(|verdict| verdict.code() == code)
    }
}

/// The status that the CPU left in EAX when it aborted a transaction.
///
/// Bits: 0 explicit (with a code in 31:24), 1 may succeed on a retry, 2 conflict, 3 capacity, 4 debug
/// event, 5 nested. No bit at all: interrupt, exception, page fault, or a page whose Accessed or Dirty
/// bit could not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortStatus(u32);

impl AbortStatus {
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) const fn new(eax: u32) -> Self {
        Self(eax)
    }

    /// The 32 bits, as the CPU gave them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    fn verdict(self) -> Option<Verdict> {
        let [.., code] = self.0.to_le_bytes();
        (self.0 & EXPLICIT != 0).then(|| Verdict::from_code(code))?
    }
}

impl core::fmt::Display for AbortStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// What to do after an abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again as it is.
    Retry,
    /// Reach the registered memory and the code nearby from outside, then try again.
    Touch,
    /// Reach every page of the program from outside as well, then try again.
    TouchWidely,
    /// The transaction itself refused.
    Refuse(Verdict),
    /// It will not commit.
    GiveUp,
}

/// Counts the tries of one commit.
///
/// At most [`RETRIES_MAX`] retries while the CPU says that one may help. A body beyond the CPU's capacity
/// is tried once more: one small commit in 100,000 overflows by what others do to the cache. An abort
/// without a cause is tried twice more, with the pages touched in between.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tries {
    retries: u32,
    overflows: u32,
    blanks: u32,
    #[cfg(feature = "mutants")]
    mutant: Option<crate::Mutant>,
}

impl Tries {
    /// How many transactions were begun, if one more is running now.
    pub(crate) const fn begun(self) -> u32 {
        self.retries.saturating_add(self.overflows).saturating_add(self.blanks).saturating_add(1)
    }

    /// Judges an abort.
    pub(crate) fn after(&mut self, status: AbortStatus) -> Next {
        if let Some(verdict) = status.verdict() {
            planted!(self, RefusalRetried => return Next::Retry);
            return Next::Refuse(verdict);
        }
        if status.0 & CAPACITY != 0 {
            self.overflows = self.overflows.saturating_add(1);
            return if self.overflows <= OVERFLOWS_MAX { Next::Retry } else { Next::GiveUp };
        }
        if status.0 & (MAY_RETRY | CONFLICT) != 0 {
            self.retries = self.retries.saturating_add(1);
            planted!(self, RetriesUnbounded => return Next::Retry);
            return if self.retries <= RETRIES_MAX { Next::Retry } else { Next::GiveUp };
        }
        self.blanks = self.blanks.saturating_add(1);
        match self.blanks {
            1 => Next::Touch,
            2 => Next::TouchWidely,
            3.. => Next::GiveUp,
            0 => unreachable!("it was just counted"),
        }
    }
}

/// Retries after conflicts: more than the three ever seen under attack, and still under 1 us.
const RETRIES_MAX: u32 = 8;
/// Retries of a body that overflowed the cache's capacity.
const OVERFLOWS_MAX: u32 = 1;
const EXPLICIT: u32 = 1;
const MAY_RETRY: u32 = 1 << 1;
const CONFLICT: u32 = 1 << 2;
const CAPACITY: u32 = 1 << 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(statuses: &[u32]) -> Vec<Next> {
        let mut tries = Tries {
            #[cfg(feature = "mutants")]
            mutant: PLANTED.get(),
            ..Tries::default()
        };
        statuses.iter().map(|status| tries.after(AbortStatus(*status))).collect()
    }

    #[cfg(feature = "mutants")]
    thread_local! {
        static PLANTED: std::cell::Cell<Option<crate::Mutant>> = const { std::cell::Cell::new(None) };
    }

    #[cfg(feature = "mutants")]
    #[test]
    fn bugs_are_noticed_when_they_are_planted() {
        use crate::Mutant;

        let dies = |bug: Mutant, execution: fn()| {
            PLANTED.set(Some(bug));
            let passed = std::panic::catch_unwind(execution).is_ok();
            PLANTED.set(None);
            assert!(!passed, "{bug:?} goes unnoticed: {}", bug.says());
        };
        dies(Mutant::RetriesUnbounded, conflicts_are_retried_a_bounded_number_of_times);
        dies(Mutant::RefusalRetried, every_verdict_comes_back_from_its_code);
    }

    #[test]
    fn conflicts_are_retried_a_bounded_number_of_times() {
        let next = run(&[MAY_RETRY | CONFLICT; 9]);
        assert_eq!(next[..8], [Next::Retry; 8]);
        assert_eq!(next[8], Next::GiveUp);
    }

    #[test]
    fn an_abort_without_a_cause_touches_and_is_tried_twice_more() {
        assert_eq!(run(&[0, 0, 0]), [Next::Touch, Next::TouchWidely, Next::GiveUp]);
        let debug_event = 1 << 4;
        assert_eq!(run(&[debug_event; 3]), [Next::Touch, Next::TouchWidely, Next::GiveUp]);
    }

    #[test]
    fn a_second_overflow_is_given_up_even_if_a_retry_is_suggested() {
        assert_eq!(run(&[CAPACITY | MAY_RETRY; 2]), [Next::Retry, Next::GiveUp]);
    }

    #[test]
    fn every_verdict_comes_back_from_its_code() {
        for verdict in [
            Verdict::Expired,
            Verdict::Suspect,
            Verdict::Revoked,
            Verdict::Unwound,
            Verdict::ClockFailed,
        ] {
            let status = EXPLICIT | u32::from(verdict.code()) << 24;
            assert_eq!(run(&[status]), [Next::Refuse(verdict)]);
        }
        assert_eq!(
            run(&[EXPLICIT | 99 << 24]),
            [Next::Touch],
            "somebody else's XABORT is no verdict"
        );
    }

    #[test]
    fn the_number_of_tries_is_what_was_begun() {
        let mut tries = Tries::default();
        assert_eq!(tries.begun(), 1);
        tries.after(AbortStatus(CONFLICT));
        tries.after(AbortStatus(0));
        assert_eq!(tries.begun(), 3);
    }
}
