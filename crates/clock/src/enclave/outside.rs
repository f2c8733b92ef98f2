//! Profile `enclave-sim`: the logic of `enclave` outside of one, with the kernel's mark in place of the
//! processor's.

use alloc::sync::Arc;
use core::cell::RefCell;
use core::fmt;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::io;
use std::thread::JoinHandle;

use rustix::thread::{MembarrierCommand, membarrier};
use tlease_core::fence::Fence;
use tlease_core::time::{FastInstant, Now, Span, Ticks};

use super::clock::{KeeperClock, Margin};
use super::keepers::{KeeperCount, Keepers};
use super::lease::{Here, Over};
use super::model::CpuModel;
use super::profile::{MachineProfile, NotAdmitted};
use super::stretch::Stretch;
use crate::arch::{Cpu, Rtm, counter_early};
use crate::guard::{Act, Committed, Refusal, Store};
use crate::lease::record::state_word;
use crate::lease::{Check, LeaseCell};
use crate::memory::Registered;
use crate::order::{COMMIT_MARGIN, COMMIT_MARGIN_MIN, CommitOrder, PUBLISH_MARGIN};
use crate::stay::{NoMarks, Thread};

/// The trust profile `enclave-sim`: what `enclave` trusts, and the kernel's mark in place of SGX's.
///
/// A test vehicle, not a security assumption (A17): it shows what the logic does and costs, on any
/// machine. What the mark misses: plain interrupts, whatever the hypervisor does, system calls that do
/// not block, and on newer kernels some that do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct EnclaveSim {
    machine: MachineProfile,
    count: KeeperCount,
    order: CommitOrder,
    commit_margin: Span,
    publish_margin: Span,
    transactions: bool,
    reach: Span,
    #[cfg(feature = "emulated-transactions")]
    is_steady: bool,
    #[cfg(feature = "mutants")]
    pub(super) mutant: Option<crate::Mutant>,
}

/// Why a clock of this profile cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum SimOpenFault {
    /// The machine profile is not of this machine.
    NotAdmitted(NotAdmitted),
    /// The counter stops or changes its rate with the power state.
    CounterVaries,
    /// A thread has no marks here.
    NoMarks(NoMarks),
    /// A timekeeper's thread cannot be started.
    NoThread(io::Error),
    /// The commit margin does not cover the time from clock reading to effect.
    CommitMargin {
        /// What the profile says.
        asked: Span,
        /// The least that covers it.
        least: Span,
    },
}

impl EnclaveSim {
    /// The defaults on this machine: one timekeeper, a commit margin of 50 us.
    pub fn new(machine: MachineProfile) -> Self {
        Self {
            machine,
            count: KeeperCount::One,
            order: CommitOrder::Fenced,
            commit_margin: COMMIT_MARGIN,
            publish_margin: PUBLISH_MARGIN,
            transactions: true,
            reach: EXTEND_MAX,
            #[cfg(feature = "emulated-transactions")]
            is_steady: false,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// One timekeeper or two. Each costs a core.
    pub const fn keepers(mut self, count: KeeperCount) -> Self {
        self.count = count;
        self
    }

    /// As [`Profile::commit_margin`](crate::Profile::commit_margin).
    pub const fn commit_margin(mut self, margin: Span) -> Self {
        self.commit_margin = margin;
        self
    }

    /// As [`Profile::strict`](crate::Profile::strict).
    pub const fn strict(mut self) -> Self {
        self.order = CommitOrder::Strict;
        self.commit_margin = Span::ZERO;
        self
    }

    /// As [`Profile::publish_margin`](crate::Profile::publish_margin), at least 500 us: a smaller one is
    /// taken for that.
    pub fn publish_margin(mut self, margin: Span) -> Self {
        self.publish_margin = margin.max(PUBLISH_MARGIN);
        self
    }

    /// As [`Profile::without_transactions`](crate::Profile::without_transactions).
    pub const fn without_transactions(mut self) -> Self {
        self.transactions = false;
        self
    }

    /// Takes it that nothing moves this machine's counter, interrupted or not: one timekeeper whose segment
    /// never ends, so that tests of the guard need not wait until nobody else is busy.
    #[cfg(feature = "emulated-transactions")]
    pub const fn assume_steady(mut self) -> Self {
        self.is_steady = true;
        self
    }

    /// Extends the fast hand by so much beyond a handshake, in place of [`EXTEND_MAX`]: transactions in
    /// software take longer than that.
    #[cfg(feature = "emulated-transactions")]
    pub const fn reach(mut self, reach: Span) -> Self {
        self.reach = reach;
        self
    }

    /// What is assumed of the processor.
    #[must_use]
    pub const fn machine(&self) -> &MachineProfile {
        &self.machine
    }
}

#[cfg(feature = "mutants")]
impl EnclaveSim {
    /// Plants a fault.
    pub const fn mutate(mut self, mutant: crate::Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }
}

/// What a clock has outside of an enclave: its timekeepers' threads, and the kernel's sequences.
#[derive(Debug)]
pub(super) struct Outside {
    /// Tells this clock from all others of the process, earlier ones too.
    id: u64,
    /// Whose threads they are: a forked child has none of them.
    process: u32,
    threads: Vec<JoinHandle<()>>,
    keepers: Arc<Keepers>,
    profile: EnclaveSim,
    sequences: bool,
    /// Whether anyone has ever published by a sequence: then revocation must restart running ones.
    published: AtomicBool,
}

impl KeeperClock {
    /// Starts the timekeepers of this profile.
    ///
    /// # Errors
    /// [`SimOpenFault`].
    pub fn open(profile: &EnclaveSim) -> Result<Self, SimOpenFault> {
        static CLOCKS: AtomicU64 = AtomicU64::new(0);
        check_margin(profile)?;
        profile.machine.admits(&CpuModel::here()).map_err(SimOpenFault::NotAdmitted)?;
        if !Cpu::has_invariant_tsc() {
            return Err(SimOpenFault::CounterVaries);
        }
        let keepers = Keepers::new(&profile.machine, profile.count, profile.reach);
        #[cfg(feature = "emulated-transactions")]
        let keepers = keepers.steady(profile.is_steady);
        let keepers = Arc::new(keepers);
        let mut outside = Outside {
            id: CLOCKS.fetch_add(1, Ordering::Relaxed),
            process: std::process::id(),
            threads: Vec::new(),
            keepers: Arc::clone(&keepers),
            profile: profile.clone(),
            sequences: membarrier(MembarrierCommand::RegisterPrivateExpeditedRseq).is_ok(),
            published: AtomicBool::new(false),
        };
        let count = match profile.count {
            KeeperCount::One => 1,
            KeeperCount::Two => 2,
        };
        for index in 0..count {
            outside.threads.push(start(&keepers, index)?);
        }
        let margin = Margin { commit: profile.commit_margin, order: profile.order };
        let rtm = if profile.transactions { Rtm::detect() } else { None };
        Ok(Self::new(keepers, margin, rtm, outside))
    }

    /// Reads the fast hand.
    ///
    /// # Timing
    /// `not_before` is what a timekeeper published, `not_after` this thread's own reading after a
    /// handshake. Where nothing can be shown of this moment, each is an instant to which nothing else
    /// belongs, so that every lease is suspect. A holder calls it before the bytes of its request are
    /// handed to the transport.
    #[must_use]
    pub fn fast_now(&self) -> Now<FastInstant> {
        let anchor = self.keepers().anchor().unwrap_or_else(|| self.keepers().stray());
        let reading = with_here(self, |here, own| {
            let reading = here.reading(own)?;
            // A handshake of an older segment than the anchor's says nothing of it.
            if reading.segment() == anchor.segment() { Ok(reading) } else { Err(Over) }
        });
        let reading = reading.unwrap_or_else(|| self.keepers().stray());
        Now { not_before: anchor, not_after: reading }
    }

    /// The profile it was opened with.
    pub const fn profile(&self) -> &EnclaveSim {
        &self.outside.profile
    }

    pub(super) const fn publish_margin(&self) -> Span {
        self.outside.profile.publish_margin
    }

    pub(super) const fn has_sequences(&self) -> bool {
        self.outside.sequences
    }

    /// To be called before the state word is read: either the revoker sees this, or we see the
    /// revocation.
    pub(super) fn note_publishing(&self) {
        self.outside.published.swap(true, Ordering::SeqCst);
    }
}

impl LeaseCell<KeeperClock> {
    /// What can be said of the lease `fence` now: no system call, no transaction, from any thread.
    ///
    /// # Timing
    /// The calling thread shakes hands with a timekeeper if it was interrupted since it last did, some
    /// 0.4 us. A call that begins at or after the deadline never says `Valid` (I13).
    #[inline]
    pub fn check(&self, fence: Fence) -> Check {
        with_known(self.clock(), |here, own| self.look(here, own, fence))
            .unwrap_or_else(|| self.check_anew(fence))
    }

    /// As [`LeaseCell::check`], after a handshake. Apart, so that a check that needs none makes no call and
    /// saves no registers.
    #[cold]
    #[inline(never)]
    fn check_anew(&self, fence: Fence) -> Check {
        with_anew(self.clock(), |here, own| self.look(here, own, fence))
            .unwrap_or_else(|| self.unknown(fence))
    }

    /// As [`LeaseCell::commit`] of the profile `host`, in a transaction that also tests the mark.
    ///
    /// # Errors
    /// [`Refusal`]; nothing happened.
    #[inline]
    pub fn commit<M, R>(
        &self,
        fence: Fence,
        memory: &M,
        mut body: impl FnMut(&Act<'_>) -> R,
    ) -> Result<Committed<R>, Refusal>
    where
        M: Registered + ?Sized,
    {
        let committed =
            with_here(self.clock(), |here, _| match self.act(here, fence, memory, &mut body) {
                Err(Refusal::Suspect) => Err(Over),
                ended => Ok(ended),
            });
        committed.unwrap_or_else(|| {
            Err(match self.unknown(fence) {
                Check::NotHeld => Refusal::Revoked,
                Check::Valid { .. } | Check::Suspect | Check::Expired => Refusal::Suspect,
            })
        })
    }

    /// What can be said where nothing is known of the fast hand.
    #[cold]
    fn unknown(&self, fence: Fence) -> Check {
        if self.record().state() == state_word(fence.get()) {
            Check::Suspect
        } else {
            Check::NotHeld
        }
    }

    /// Commits a fixed list of stores.
    ///
    /// # Errors
    /// As [`LeaseCell::commit`].
    pub fn commit_ops(&self, fence: Fence, stores: &[Store<'_>]) -> Result<Committed<()>, Refusal> {
        self.commit(fence, stores, |act| {
            for store in stores {
                act.store(&store.word, store.value);
            }
        })
    }
}

impl Outside {
    /// Restarts every sequence of this process that is running, so that none stores any more after a
    /// revocation.
    pub(super) fn restart_sequences(&self) {
        if self.published.load(Ordering::SeqCst) {
            membarrier(MembarrierCommand::PrivateExpeditedRseq)
                .expect("registered when the clock was opened");
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.keepers.stop();
        for thread in self.threads.drain(..) {
            if self.process != std::process::id() {
                // In a forked child there is no such thread, and waiting for it means nothing (glibc returns
                // at once).
                core::mem::forget(thread);
                continue;
            }
            // A timekeeper that panicked has stopped the clock: nothing more is to be done.
            let _ = thread.join();
        }
    }
}

fn check_margin(profile: &EnclaveSim) -> Result<(), SimOpenFault> {
    let (asked, least) = (profile.commit_margin, COMMIT_MARGIN_MIN);
    if profile.order == CommitOrder::Fenced && asked < least {
        return Err(SimOpenFault::CommitMargin { asked, least });
    }
    Ok(())
}

/// Starts a timekeeper, and waits until it has its marks.
fn start(keepers: &Arc<Keepers>, index: usize) -> Result<JoinHandle<()>, SimOpenFault> {
    let keepers = Arc::clone(keepers);
    let (said, heard) = std::sync::mpsc::channel();
    let keep = move || match Thread::claim() {
        Ok(mut thread) => {
            // Whoever asked waits for it.
            let _ = said.send(Ok(()));
            #[cfg(feature = "emulated-transactions")]
            if keepers.is_steady() {
                return keepers.keep_steadily();
            }
            keepers.keep(index, &mut thread);
        }
        Err(none) => {
            let _ = said.send(Err(none));
        }
    };
    let name = format!("tlease-keeper-{index}");
    let thread = std::thread::Builder::new().name(name).spawn(keep);
    let thread = thread.map_err(SimOpenFault::NoThread)?;
    let started = heard.recv().unwrap_or(Err(NoMarks::Claimed));
    started.map_err(SimOpenFault::NoMarks)?;
    Ok(thread)
}

/// What the calling thread knows of a clock's fast hand.
struct Known {
    thread: Thread,
    /// The clock's id, and the stretch since the last handshake with it.
    stretch: Option<(u64, Stretch)>,
}

std::thread_local! {
    /// Never dropped, so that reaching it is no more than an address: its marks end with their thread.
    static KNOWN: RefCell<Option<ManuallyDrop<Known>>> = const { RefCell::new(None) };
}

/// Lets `look` use what this thread knows of the fast hand, with a reading of its counter; if that is
/// over, once more after a new handshake. `None` if nothing could be known.
#[inline]
fn with_here<R>(
    clock: &KeeperClock,
    mut look: impl FnMut(&Here<'_>, Ticks) -> Result<R, Over>,
) -> Option<R> {
    with_known(clock, &mut look).or_else(|| with_anew(clock, &mut look))
}

/// Lets `look` use what this thread knows already. `None` if that is over, or nothing.
#[inline]
fn with_known<R>(
    clock: &KeeperClock,
    look: impl FnOnce(&Here<'_>, Ticks) -> Result<R, Over>,
) -> Option<R> {
    // First: all that follows is then done in the shadow of its latency.
    let own = counter_early();
    let known = KNOWN.try_with(|known| {
        // Taken while the body of a commit asks again: it runs inside the one that took it.
        let known = known.try_borrow_mut().ok()?;
        let Known { thread, stretch } = &**known.as_ref()?;
        let (_, stretch) = stretch.as_ref().filter(|(id, _)| *id == clock.outside.id)?;
        look(&Here { marks: thread.marks(), stretch, clock }, own).ok()
    });
    known.ok().flatten()
}

/// Lets `look` use what this thread knows after a handshake.
fn with_anew<R>(
    clock: &KeeperClock,
    look: impl FnOnce(&Here<'_>, Ticks) -> Result<R, Over>,
) -> Option<R> {
    let known = KNOWN.try_with(|known| {
        let mut known = known.try_borrow_mut().ok()?;
        planted!(clock.outside.profile, StretchKept => if let Some(Known {
            thread,
            stretch: Some((_, stretch)),
        }) = known.as_deref_mut()
        {
            thread.arm();
            return look(&Here { marks: thread.marks(), stretch, clock }, counter_early()).ok();
        });
        let known = anew(&mut known, clock)?;
        let (_, stretch) = known.stretch.as_ref()?;
        look(&Here { marks: known.thread.marks(), stretch, clock }, counter_early()).ok()
    });
    known.ok().flatten()
}

/// Shakes hands, again if this thread was interrupted meanwhile.
#[cold]
#[inline(never)]
fn anew<'a>(known: &'a mut Option<ManuallyDrop<Known>>, clock: &KeeperClock) -> Option<&'a Known> {
    if known.is_none() {
        let thread = Thread::claim().ok()?;
        *known = Some(ManuallyDrop::new(Known { thread, stretch: None }));
    }
    let known = known.as_mut()?;
    for _ in 0..HANDSHAKES_MAX {
        if !planted!(clock.outside.profile, MarkNotArmed) {
            known.thread.arm();
        }
        let shaken = clock.keepers().shake(|| known.thread.marks().are_armed());
        known.stretch = shaken.ok().map(|stretch| (clock.outside.id, stretch));
        if known.stretch.is_some() {
            return Some(known);
        }
    }
    None
}

/// How far a thread extends the fast hand beyond a handshake: longer than any stretch between two timer
/// ticks. What the mark misses can move the hand back by at most this.
pub const EXTEND_MAX: Span = Span::from_millis(10);
/// A thread that is interrupted so often within a microsecond, or that no timekeeper answers so often,
/// learns nothing.
const HANDSHAKES_MAX: u32 = 4;

impl fmt::Display for SimOpenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAdmitted(_) => f.write_str("the machine profile cannot be used here"),
            Self::CounterVaries => {
                f.write_str("the processor does not say that its counter runs at one rate")
            }
            Self::NoMarks(_) => f.write_str("interruptions cannot be seen here"),
            Self::NoThread(_) => f.write_str("no thread for a timekeeper"),
            Self::CommitMargin { asked, least } => {
                write!(
                    f,
                    "a commit margin of {asked} is below {least}; only strict order needs none"
                )
            }
        }
    }
}

impl core::error::Error for SimOpenFault {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::NotAdmitted(why) => Some(why),
            Self::NoMarks(why) => Some(why),
            Self::NoThread(why) => Some(why),
            Self::CounterVaries | Self::CommitMargin { .. } => None,
        }
    }
}

impl fmt::Display for KeeperClock {
    /// One line: what it trusts and what it found.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.outside.profile.machine;
        let keepers = match self.outside.profile.count {
            KeeperCount::One => "one timekeeper",
            KeeperCount::Two => "two timekeepers",
        };
        write!(
            f,
            "enclave-sim: trusts the machine profile ({}, cores {}, counter {}) and, only here, the \
             kernel's mark; {keepers}; a test vehicle, no protection",
            machine.cpu(),
            machine.core_hz(),
            machine.tsc_hz()
        )
    }
}
