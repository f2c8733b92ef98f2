//! Bytes and texts that strangers choose: each is read or refused, and nothing panics.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use std::io::{self, Read, Write};

use common::{GRANTER, HOLDER, identity, machine, only};
use proptest::prelude::*;
use tlease_attest::{Challenge, Evidence, HELLO, Policy, accept, connect};

/// A peer that has said all it ever will, and hears nothing.
struct Script<'a>(&'a [u8]);

impl Read for Script<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Script<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Any bytes, and frames of any bytes behind a right hello: those get further.
fn scripts() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..300);
    let framed = body.prop_map(|body| {
        let mut bytes = Vec::new();
        common::put(&mut bytes, &body);
        bytes
    });
    let frames =
        prop::collection::vec(framed, 0..5).prop_map(|frames| [HELLO, &frames.concat()].concat());
    prop_oneof![prop::collection::vec(any::<u8>(), 0..600), frames]
}

/// Texts that are nearly policies.
fn texts() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("allow".to_owned()),
        Just("self".to_owned()),
        Just("accept-tcb".to_owned()),
        Just("refuse-advisory".to_owned()),
        Just("accept-debug".to_owned()),
        Just("#".to_owned()),
        Just("\n".to_owned()),
        Just(format!("mrenclave={}", "0f".repeat(32))),
        Just(format!("mrsigner={}", "0f".repeat(32))),
        Just(format!("mrtd={}", "0f".repeat(48))),
        "(product|min-svn|rtmr0|mrenclave)=[0-9a-f+]{0,6}",
        "[a-z=#\u{e9}]{0,8}",
        ".{0,5}",
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_bytes_are_evidence_or_none(bytes in prop::collection::vec(any::<u8>(), 0..1000)) {
        if let Ok(evidence) = Evidence::read(&bytes) {
            prop_assert_eq!(evidence.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_challenge_or_none(bytes in prop::collection::vec(any::<u8>(), 0..140)) {
        if let Ok(challenge) = Challenge::read(&bytes) {
            // Bits of kinds that are unknown here are passed over; all else comes back.
            let mut known = bytes;
            known[0] &= 3;
            prop_assert_eq!(challenge.to_bytes(), known);
        }
    }

    #[test]
    fn any_text_is_a_policy_or_none(text in prop_oneof![texts(), any::<String>()]) {
        match text.parse::<Policy>() {
            Ok(policy) => prop_assert!(!policy.rules().is_empty()),
            Err(bad) => prop_assert!(bad.line <= text.lines().count()),
        }
    }
}

proptest! {
    // Each makes keys, and the channel's first steps.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_without_keys_behind_them_make_a_session(script in scripts()) {
        let granter = identity(machine().enclave(GRANTER));
        prop_assert!(accept(Script(&script), &granter, &only(HOLDER), None).is_err());
        let holder = identity(machine().enclave(HOLDER));
        prop_assert!(connect(Script(&script), &holder, &only(GRANTER), None).is_err());
    }
}

#[test]
fn challenges_come_back_as_they_were_sent() {
    let target = Some(tlease_attest::Target::from_bytes(core::array::from_fn(|at| {
        u8::try_from(at).unwrap()
    })));
    for local in [None, target] {
        for quotes in [false, true] {
            let challenge = Challenge { local: local.clone(), quotes };
            assert_eq!(Challenge::read(&challenge.to_bytes()), Ok(challenge));
        }
    }
}
