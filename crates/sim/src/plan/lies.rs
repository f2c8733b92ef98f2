//! A peer that lies within its protocol, in some worlds. From a generator of its own, so that it moves
//! nothing else.

use super::Timed;
use crate::act::{Act, Lie, Says};
use crate::options::Options;
use crate::rng::Rng;

/// In how many of a hundred worlds there is one.
const WORLDS: u64 = 8;

pub(super) fn add(seed: u64, options: &Options, acts: &mut Vec<Timed>) {
    let mut rng = Rng::stream(seed, 5);
    if !rng.chance(WORLDS) {
        return;
    }
    for _ in 0..rng.between(20, 120) {
        let at = rng.below(options.hostile);
        for step in 0..rng.pick(&[1, 1, 2, 4]) {
            let lie = draw(&mut rng, options);
            acts.push(Timed { at: at + step, act: Act::Lie(lie) });
        }
    }
    acts.sort_by_key(|timed| timed.at);
}

fn draw(rng: &mut Rng, options: &Options) -> Lie {
    let scale = options.scale;
    let name = rng.below(options.names);
    let term = rng.pick(&[1, scale / 8, scale * 2]);
    let holders = options.holder_clocks.len() as u64;
    let says = match rng.below(20) {
        0 => Says::Open,
        1..=3 => Says::OpenAs { node: usize::try_from(rng.below(holders)).expect("an index") },
        4..=6 => Says::Acquire { name, shared: rng.chance(40), term },
        7..=8 => Says::Renew { term: rng.chance(50).then_some(term) },
        9 => Says::RenewAll,
        10..=12 => Says::Release,
        13 => Says::Downgrade,
        14 => Says::Withdraw { name },
        15 => Says::Report,
        16..=17 => Says::ReclaimForged { term },
        _ => Says::ReclaimOld { as_of: rng.chance(30) },
    };
    let of = if rng.chance(70) { rng.below(4) } else { rng.next() >> 32 };
    Lie { says, of, stale: rng.chance(15) }
}
