//! I10: what is published without transactions becomes visible only while its lease is valid, if no pause
//! below the kernel was longer than what its margin allows for; and after nothing that a successor wrote.

use super::Claim;

pub(crate) const CLAIM: Claim = Claim::new(
    "I10",
    "without transactions nothing that the kernel knows of falls between check and store",
);
