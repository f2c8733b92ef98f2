//! Every interleaving of one writer and one reader of a lease record, and of what a timekeeper publishes,
//! under the C11 memory model.

#[path = "../src/lease/record.rs"]
#[expect(dead_code, reason = "the test drives the words that can race, not the fork mark")]
mod record;

#[path = "../src/enclave/record.rs"]
#[allow(unreachable_pub, reason = "public there")]
mod published;

/// What both get its atomics from: loom's, here.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

use std::sync::Arc;

use atomic::{AtomicU64, Ordering};
use published::{Links, Published};
use record::{Record, View};
use tlease_core::time::{Segment, Ticks};

const OLD: u64 = 5 << 1 | 1;
const NEW: u64 = 6 << 1 | 1;

struct Shared {
    words: [AtomicU64; record::RECORD_WORDS],
    live: AtomicU64,
}

impl Shared {
    fn held(word: u64, deadline: u64, segment: u64) -> Arc<Self> {
        let shared = Arc::new(Self {
            words: std::array::from_fn(|_| AtomicU64::new(0)),
            live: AtomicU64::new(segment),
        });
        shared.record().hold(word, deadline, segment);
        shared
    }

    fn record(&self) -> Record<'_> {
        Record::new(&self.words)
    }

    fn view(&self, word: u64) -> View {
        self.record().view(word, || self.live.load(Ordering::Acquire))
    }
}

/// Runs `write` against one `view` of `word` and gives each outcome to `judge`.
fn race(word: u64, write: fn(&Shared), judge: fn(View)) {
    loom::model(move || {
        let shared = Shared::held(OLD, 100, 1);
        let writer = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || write(&writer));
        judge(shared.view(word));
        thread.join().expect("the writer does not panic");
    });
}

#[test]
fn a_renewal_shows_the_old_or_the_new_deadline() {
    race(
        OLD,
        |shared| shared.record().hold(OLD, 200, 1),
        |seen| match seen {
            View::Held { deadline: 100 | 200, segment: 1 } => {}
            View::Held { .. } | View::NotHeld | View::Stale => panic!("{seen:?}"),
        },
    );
}

#[test]
fn a_deadline_is_never_read_in_another_segment() {
    race(
        OLD,
        |shared| {
            shared.live.store(2, Ordering::Release);
            shared.record().hold(OLD, 200, 2);
        },
        |seen| match seen {
            View::Stale
            | View::Held { deadline: 100, segment: 1 }
            | View::Held { deadline: 200, segment: 2 } => {}
            View::Held { .. } | View::NotHeld => panic!("{seen:?}"),
        },
    );
}

#[test]
fn an_old_lease_never_gets_its_successors_deadline() {
    race(
        OLD,
        |shared| {
            shared.record().close();
            shared.record().hold(NEW, 200, 1);
        },
        |seen| match seen {
            View::NotHeld | View::Held { deadline: 100, segment: 1 } => {}
            // The words of the new lease, seen while the old state word was there before and after.
            View::Held { .. } | View::Stale => panic!("{seen:?}"),
        },
    );
}

#[test]
fn a_new_lease_never_gets_its_predecessors_deadline() {
    race(
        NEW,
        |shared| {
            shared.live.store(2, Ordering::Release);
            shared.record().hold(NEW, 200, 2);
        },
        |seen| match seen {
            View::NotHeld | View::Held { deadline: 200, segment: 2 } => {}
            View::Held { .. } | View::Stale => panic!("{seen:?}"),
        },
    );
}

#[test]
fn a_lease_that_is_suspended_and_held_again_shows_one_deadline_or_none() {
    race(
        OLD,
        |shared| {
            shared.record().suspend();
            shared.record().hold(OLD, 200, 1);
        },
        |seen| match seen {
            View::Stale | View::Held { deadline: 100 | 200, segment: 1 } => {}
            View::Held { .. } | View::NotHeld => panic!("{seen:?}"),
        },
    );
}

#[test]
fn a_lease_that_is_suspended_until_the_next_segment_shows_no_deadline_of_another() {
    race(
        OLD,
        |shared| {
            shared.record().suspend();
            shared.live.store(2, Ordering::Release);
            shared.record().hold(OLD, 200, 2);
        },
        |seen| match seen {
            View::Stale
            | View::Held { deadline: 100, segment: 1 }
            | View::Held { deadline: 200, segment: 2 } => {}
            View::Held { .. } | View::NotHeld => panic!("{seen:?}"),
        },
    );
}

#[test]
fn an_old_lease_that_was_suspended_never_gets_its_successors_deadline() {
    race(
        OLD,
        |shared| {
            shared.record().suspend();
            shared.record().hold(NEW, 200, 1);
        },
        |seen| match seen {
            View::NotHeld | View::Stale | View::Held { deadline: 100, segment: 1 } => {}
            View::Held { .. } => panic!("{seen:?}"),
        },
    );
}

#[test]
fn whoever_knows_of_a_suspension_finds_the_lease_suspended() {
    loom::model(|| {
        let shared = Shared::held(OLD, 100, 1);
        let told = Arc::new(AtomicU64::new(0));
        let (writer, tells) = (Arc::clone(&shared), Arc::clone(&told));
        let thread = loom::thread::spawn(move || {
            writer.record().suspend();
            tells.store(1, Ordering::Release);
        });
        let knows = told.load(Ordering::Acquire) == 1;
        let seen = shared.view(OLD);
        assert!(!knows || seen == View::Stale, "{seen:?}");
        thread.join().expect("the writer does not panic");
    });
}

/// What a timekeeper shows at its publication of this number: no two have a word in common.
const fn publication(number: u64) -> Published {
    Published {
        segment: Some(Segment(number)),
        slow: Links(number * 10),
        fast: Ticks(number * 100),
        blur: Ticks(number * 1_000),
    }
}

/// Runs a timekeeper that published once and publishes twice more, so that it fills the copy again
/// that is being read, against `read`.
fn race_timekeeper(read: fn(&published::Record, &AtomicU64)) {
    loom::model(move || {
        let record = Arc::new(published::Record::default());
        record.publish(&publication(1));
        let told = Arc::new(AtomicU64::new(1));
        let (writer, tells) = (Arc::clone(&record), Arc::clone(&told));
        let thread = loom::thread::spawn(move || {
            for number in [2, 3] {
                writer.publish(&publication(number));
                tells.store(number, Ordering::Release);
            }
        });
        read(&record, &told);
        thread.join().expect("the writer does not panic");
        assert_eq!(record.read(), Some((3, publication(3))), "nobody writes any more");
    });
}

#[test]
fn what_a_timekeeper_shows_is_read_whole_or_not_at_all() {
    race_timekeeper(|record, _| {
        if let Some((version, shown)) = record.read() {
            assert_eq!(shown, publication(version));
        }
    });
}

#[test]
fn whoever_knows_of_a_publication_reads_no_earlier_one() {
    race_timekeeper(|record, told| {
        let known = told.load(Ordering::Acquire);
        if let Some((version, _)) = record.read() {
            assert!(version >= known, "{version} after {known}");
        }
    });
}

#[test]
fn a_timekeeper_that_serves_nobody_shows_no_segment() {
    loom::model(|| {
        let record = published::Record::default();
        let nobody = Published { segment: None, ..publication(0) };
        assert_eq!(record.read(), Some((0, nobody)));
        for number in 1..5 {
            record.publish(&publication(number));
            assert_eq!(record.read(), Some((number, publication(number))));
        }
        record.publish(&nobody);
        assert_eq!(record.read(), Some((5, nobody)));
    });
}
