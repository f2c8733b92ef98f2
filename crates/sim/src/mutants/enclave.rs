//! The bugs of the enclave's programs. No world runs those; named tests do.

use super::{Caught, Mutant};

pub(super) fn all() -> Vec<Mutant> {
    let [course, role] = ["crates/enclave/src/course.rs", "crates/enclave/src/role.rs"];
    vec![
        planted(
            "HeedsSuspectAlone",
            "A holder in an enclave heeds only wake-ups that were asked for to renew what is suspect.",
            course,
            "crates/enclave/src/course/tests.rs::a_holder_that_heeds_only_some_wake_ups_stands_still",
        ),
        planted(
            "CallOutlived",
            "A holder in an enclave keeps what it knew of the time across a call to the host.",
            role,
            "crates/sgx-emu/tests/planted.rs::\
             an_anchor_that_is_kept_across_a_call_to_the_host_lets_a_lost_lease_act",
        ),
        planted(
            "Unguarded",
            "A holder in an enclave checks and then acts, without the guard.",
            role,
            "crates/sgx-emu/tests/contest.rs::\
             the_judge_finds_a_holder_that_checks_and_then_acts_without_the_guard",
        ),
    ]
}

fn planted(
    name: &'static str,
    says: &'static str,
    place: &'static str,
    test: &'static str,
) -> Mutant {
    Mutant { name, says, place, bug: None, caught: Caught::Test(test) }
}
