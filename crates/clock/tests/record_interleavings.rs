//! Every interleaving of one writer and one reader of a lease record, under the C11 memory model.

#[path = "../src/lease/record.rs"]
#[expect(dead_code, reason = "the test drives the words that can race, not the fork mark")]
mod record;

/// What `record.rs` gets its atomics from: loom's, here.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

use std::sync::Arc;

use atomic::{AtomicU64, Ordering};
use record::{Record, View};

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
