//! The bugs of the enclave's programs. No world runs those; named tests do.

use super::{Caught, Mutant};

pub(super) fn all() -> Vec<Mutant> {
    vec![Mutant {
        name: "HeedsSuspectAlone",
        says: "A holder in an enclave heeds only wake-ups that were asked for to renew what is suspect.",
        place: "crates/enclave/src/course.rs",
        bug: None,
        caught: Caught::Test(
            "crates/enclave/src/course/tests.rs::a_holder_that_heeds_only_some_wake_ups_stands_still",
        ),
    }]
}
