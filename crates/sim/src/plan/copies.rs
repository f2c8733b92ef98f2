//! Snapshots, rollbacks and copies of holders' machines, in some worlds. From a generator of their own, so
//! that they move nothing else.

use super::Timed;
use crate::act::{Act, Lease, Told, WaitFor, Want};
use crate::options::Options;
use crate::rng::Rng;

/// In how many of a hundred worlds machines are copied or rolled back.
const WORLDS: u64 = 8;
/// Percent of copies that nobody is told of.
const UNTOLD: u64 = 20;

pub(super) fn add(seed: u64, options: &Options, acts: &mut Vec<Timed>) {
    let mut rng = Rng::stream(seed, 4);
    if !rng.chance(WORLDS) {
        return;
    }
    let holders = options.holder_clocks.len() as u64;
    let mut copies = 0;
    for _ in 0..rng.between(1, 3) {
        let node = index(rng.below(holders));
        let at = rng.below(options.hostile);
        if rng.chance(40) {
            acts.push(Timed { at, act: Act::Snapshot { node } });
            let later = at + rng.below(options.hostile - at);
            acts.push(Timed { at: later, act: Act::RollBackHolder { node, told: true } });
            continue;
        }
        let told = match rng.below(100) {
            below if below < UNTOLD => Told::Nobody,
            below if below % 2 == 0 => Told::Copy,
            _ => Told::Both,
        };
        acts.push(Timed { at, act: Act::Clone { node, told } });
        let copy = index(holders + copies);
        copies += 1;
        use_it(&mut rng, options, copy, at, acts);
    }
    acts.sort_by_key(|timed| timed.at);
}

/// The user of a copy goes on too.
fn use_it(rng: &mut Rng, options: &Options, node: usize, from: u64, acts: &mut Vec<Timed>) {
    for _ in 0..rng.between(2, 10) {
        let at = from + rng.below(options.hostile - from);
        let lease = Lease::Held(rng.next() >> 32);
        let name = rng.below(options.names);
        let act = match rng.below(5) {
            0 => {
                let term = (options.scale / 8).max(10_000_000);
                let (shared, wait) = (rng.chance(40), WaitFor::Ever);
                Act::Want(Want { node, name, shared, term, wait, by_hand: false })
            }
            1 => Act::Commit { node, lease },
            2 => Act::Write { node, lease, delay: rng.between(0, options.scale / 2) },
            3 => Act::Renew { node, lease, term: None },
            _ => Act::Release { node, lease },
        };
        acts.push(Timed { at, act });
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("an index")
}
