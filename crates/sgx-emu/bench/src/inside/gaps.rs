//! How long timekeepers go on, while exits come at the rate that the host was told.

use super::clock::REACH;
use super::{counter, micros};
use crate::stretches::{Note, Stretches};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use tlease_clock::enclave::{KeeperCount, Keepers, MachineProfile};
use tlease_clock::stay::Thread;
use tlease_core::time::Ticks;

/// Watches one or two timekeepers, for that long or until there is no more room for notes.
pub(super) fn watch(machine: &MachineProfile, count: u64, millis: u64, round_trip: u64) {
    let keepers = if count == 2 { KeeperCount::Two } else { KeeperCount::One };
    let keepers = Arc::new(Keepers::new(machine, keepers, REACH));
    let is_full = Arc::new(AtomicBool::new(false));
    let threads = (0..count).map(|index| {
        let (keepers, is_full) = (Arc::clone(&keepers), Arc::clone(&is_full));
        let index = usize::from(index > 0);
        thread::spawn(move || keep(&keepers, index, &is_full))
    });
    let threads: Vec<_> = threads.collect();
    while keepers.anchor().is_none() {
        pause(Duration::from_millis(1));
    }
    let begun = counter();
    while !is_full.load(Relaxed)
        && micros(machine, counter().saturating_sub(begun) as f64) < millis as f64 * 1e3
    {
        pause(Duration::from_millis(50));
    }
    keepers.stop();
    let notes: Vec<_> =
        threads.into_iter().map(|thread| thread.join().expect("it keeps")).collect();
    let notes: Vec<&[Note]> = notes.iter().map(Vec::as_slice).collect();
    let found = Stretches::of(&notes, Ticks(round_trip));
    let seconds = |ticks: u64| micros(machine, ticks as f64) / 1e6;
    let watched = seconds(found.watched);
    let rate = |count: u64| count as f64 / watched;
    println!(
        "watched {watched:.3} s: breaks of a timekeeper {:.1} /s, stretches {}, longest {:.3} ms, \
         gaps {:.1} /s, away {:.4} %, no round trip {:.2} %",
        rate(found.breaks) / notes.len() as f64,
        found.stretches,
        seconds(found.longest) * 1e3,
        rate(found.gaps),
        seconds(found.away) / watched * 100.0,
        seconds(found.free) / watched * 100.0,
    );
    for index in 0..notes.len() {
        println!("{:?}", keepers.exits(index));
    }
}

fn keep(keepers: &Keepers, index: usize, is_full: &AtomicBool) -> Vec<Note> {
    let mut notes = Vec::with_capacity(NOTES_MAX);
    let mut thread = Thread::claim().unwrap_or_else(|none| panic!("{none}"));
    keepers.keep_noting(index, &mut thread, |at, segment| {
        if notes.len() < NOTES_MAX {
            notes.push(Note { at, segment });
        } else {
            is_full.store(true, Relaxed);
        }
    });
    notes
}

#[expect(clippy::disallowed_methods, reason = "leaves the cores to the timekeepers")]
fn pause(span: Duration) {
    thread::sleep(span);
}

/// As many as two threads have room for in the heap of the image.
const NOTES_MAX: usize = 50_000;
