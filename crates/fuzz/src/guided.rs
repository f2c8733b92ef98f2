//! One target under libFuzzer, as `cargo xtask fuzz` runs it: `TLEASE_FUZZ` names the target.
#![no_main]

use std::sync::LazyLock;
use tlease_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TLEASE_FUZZ").unwrap_or_default();
    tlease_fuzz::named(&name).expect("TLEASE_FUZZ names a target")
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));
