//! The stored inputs, and changes of them that are drawn from a seed: every claim holds in each; and
//! planted bugs are noticed by them.
//!
//! `TLEASE_FULL=1` draws more of them. `cargo xtask fuzz` looks where nothing was drawn.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tlease_core::Mutant;
use tlease_core::time::{FastHand, SlowHand, Source, Ticks};
use tlease_fuzz::{TARGETS, corpus, granter, holder};

/// Changed inputs for each target in an ordinary run: a few seconds.
const CHANGED: usize = 10_000;

/// Changed inputs for each bug, at most.
const CHANGED_FOR_BUG: usize = 20_000;

#[test]
fn every_claim_holds_for_the_stored_inputs_and_for_changes_of_them() {
    let changed = if std::env::var_os("TLEASE_FULL").is_some() { CHANGED * 50 } else { CHANGED };
    for target in TARGETS {
        let inputs = stored(target.name);
        assert!(inputs.len() >= 10, "{}: only {} inputs", target.name, inputs.len());
        for input in inputs.iter().cloned().chain(changes(&inputs).take(changed)) {
            if catch_unwind(|| (target.run)(&input)).is_err() {
                let line = corpus::write(std::slice::from_ref(&input));
                panic!("{} breaks a claim. To keep it, add to its corpus: {line}", target.name);
            }
        }
    }
}

#[test]
fn bugs_that_are_planted_in_a_granter_are_noticed() {
    let inputs = stored("granter");
    for bug in [
        Mutant::FenceNotPersisted,
        Mutant::FencesRepeat,
        Mutant::SharedBesideExclusive,
        Mutant::SpeaksBeforeBorn,
        Mutant::OldRecordCounts,
    ] {
        let hand = SlowHand::new(&[Source::assume(1, 1, Ticks(0)); 2]).mutate(bug);
        is_noticed(bug, &inputs, |input| granter::run_with(input, hand));
    }
}

#[test]
fn bugs_that_are_planted_in_a_holder_are_noticed() {
    let mut inputs = stored("holder");
    inputs.extend(corpus::read(LATE_RENEWAL).unwrap());
    for bug in [
        Mutant::AnchorAtReceipt,
        Mutant::ReplyRevives,
        Mutant::ReleaseBeforeClose,
        Mutant::CheckAtLastInput,
        Mutant::ResendKeepsId,
    ] {
        let hand = FastHand::new(&[Source::assume(1, 1, Ticks(0)); 2]).mutate(bug);
        is_noticed(bug, &inputs, |input| holder::run_with(input, hand));
    }
}

/// A lease of a second; a renewal; a second passes, and nobody looks; the renewal is answered.
const LATE_RENEWAL: &str =
    "07000703000000000706000200000000071100000000070b00000000020711000006020000";

fn is_noticed(bug: Mutant, inputs: &[Vec<u8>], run: impl Fn(&[u8])) {
    let all = inputs.iter().cloned().chain(changes(inputs).take(CHANGED_FOR_BUG));
    let notices = |input: Vec<u8>| catch_unwind(AssertUnwindSafe(|| run(&input))).is_err();
    let noticed = all.map(notices).position(|noticed| noticed);
    let noticed = noticed.unwrap_or_else(|| panic!("{bug:?} goes unnoticed: {}", bug.says()));
    println!("{bug:?} is noticed by input {noticed}");
}

fn stored(target: &str) -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{target}.hex"));
    corpus::read(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Inputs that are changed a little, or joined: the same ones at every run.
fn changes(inputs: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    let mut rng = Rng(0);
    std::iter::repeat_with(move || {
        let mut input = inputs[rng.below(inputs.len())].clone();
        for _ in 0..=rng.below(4) {
            let at = rng.below(input.len() + 1);
            match rng.below(5) {
                0 => input.truncate(at),
                1 => input.insert(at, rng.byte()),
                2 => {
                    let other = &inputs[rng.below(inputs.len())];
                    let from = rng.below(other.len() + 1);
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
                _ if at < input.len() => input[at] = rng.byte(),
                _ => input.push(rng.byte()),
            }
        }
        input
    })
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
