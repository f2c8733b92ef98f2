//! `Writer`: the thread that makes records durable, so that no client waits for a disk.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tlease_core::granter::{PersistId, Record};

use super::poll::Waker;
use crate::store::{Store, StoreError};

/// A thread that owns the store. Dropped, it finishes what it was given first.
#[derive(Debug)]
pub(super) struct Writer {
    records: Option<mpsc::Sender<(PersistId, Record)>>,
    outcomes: mpsc::Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

/// What became of a record.
pub(super) type Outcome = (PersistId, Result<(), StoreError>);

impl Writer {
    /// Starts the thread; it wakes `waker` after each record.
    pub(super) fn start(mut store: Store, waker: Waker) -> std::io::Result<Self> {
        let (records, to_write) = mpsc::channel::<(PersistId, Record)>();
        let (written, outcomes) = mpsc::channel();
        let thread = thread::Builder::new().name("tlease-store".into()).spawn(move || {
            for (id, record) in to_write {
                if written.send((id, store.replace(&record))).is_err() {
                    return;
                }
                waker.wake();
            }
        })?;
        Ok(Self { records: Some(records), outcomes, thread: Some(thread) })
    }

    pub(super) fn write(&self, id: PersistId, record: Record) {
        let records = self.records.as_ref().expect("the channel closes only with the writer");
        // A thread that is gone has panicked; `outcome` will say so.
        let _ = records.send((id, record));
    }

    /// The next record that is done, if one is.
    ///
    /// # Panics
    /// If the thread has panicked: then nothing can be made durable any more.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.outcomes.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(mpsc::TryRecvError::Empty) => None,
            Err(mpsc::TryRecvError::Disconnected) => panic!("the store's thread has ended"),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.records = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was reported when it happened; there is nothing to add to it here.
            let _ = thread.join();
        }
    }
}
