//! The new holder: acts a few times, and looks for the old holder's effects.

use std::sync::atomic::Ordering::SeqCst;

use crate::lane::{Actor, Lane, Signal};
use crate::stress::pause_us;

/// How often the successor acts in each round.
pub const ACTS: u64 = 4;

/// Runs the successor until the lane stops.
pub fn succeed(lane: &Lane) {
    for round in 1.. {
        while lane.signal(Signal::Succession).load(SeqCst) != round {
            if lane.stopped() {
                return;
            }
            pause_us(20);
        }
        let mut expected = Actor::Granter.value(round, 0);
        for number in 0..ACTS {
            lane.append_bare(Actor::Successor, round);
            let mine = Actor::Successor.value(round, number);
            if lane.bare_word().swap(mine, SeqCst) != expected {
                lane.signal(Signal::Overwritten).fetch_add(1, SeqCst);
            }
            expected = mine;
            pause_us(200);
        }
        lane.signal(Signal::SuccessorDone).store(round, SeqCst);
    }
}
