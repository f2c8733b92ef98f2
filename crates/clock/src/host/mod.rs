//! Profile `host`: two hands made of the kernel's clocks.

mod device;
mod found;
pub(crate) mod identity;
pub(crate) mod live;

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tlease_core::time::{
    FastHand, FastInstant, Now, Readings, Segment, SlowHand, SlowInstant, Source, Span, Ticks,
};

pub use device::VmClockFault;
pub use found::{Continuity, OpenFault};
pub use identity::Identity;

use crate::arch::clocks::{KernelClock, KernelClocks};
use crate::arch::{GateClocks, Rtm};
use crate::guard::{LateCommits, LateCounter, Restartable, reads_clock_in_transaction};
use crate::lease::Timing;
use crate::order::{COMMIT_MARGIN_MIN, CommitOrder, PUBLISH_MARGIN};
use crate::profile::Profile;
use crate::segment::{
    Evidence, Markers, OFFSET_BLUR, Observation, Offset, SegmentTracker, Suspends,
};
use crate::vmclock::{Generation, Marks};
use device::VmClockDevice;
use live::LiveSegment;

/// The clocks of this machine's kernel, as a slow hand for granters and a fast hand for holders.
///
/// | hand | sources | bound |
/// |---|---|---|
/// | slow | `CLOCK_MONOTONIC_RAW`, `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`: the smallest advance | x (1 - drift) |
/// | fast | `CLOCK_MONOTONIC_RAW`, since the other two are steered, by up to 10 % | x 1 / (1 - drift) |
///
/// A pause of the process is covered, since the kernel's clocks run on. A suspend, and what VMClock
/// reports (migration, snapshot, clone), begin a new [`Segment`](tlease_core::time::Segment).
///
/// Holders and granters need the same time namespace from anchor to check (assumption A5, A-timens).
#[derive(Debug)]
pub struct HostClock {
    profile: Profile,
    clocks: KernelClocks,
    device: Option<VmClockDevice>,
    continuity: Continuity,
    identity: Identity,
    slow: SlowHand,
    fast: FastHand,
    tracker: Mutex<SegmentTracker>,
    live: LiveSegment,
    rtm: Option<Rtm>,
    reads_clock_in_transaction: bool,
    restartable: Option<Restartable>,
    late: LateCounter,
}

impl HostClock {
    /// Opens the clocks of this machine.
    ///
    /// # Errors
    /// [`OpenFault`] if the profile asks for continuity that nothing shows, or for a margin that
    /// covers nothing, or if the kernel does not say which boot this is.
    pub fn open(profile: &Profile) -> Result<Self, OpenFault> {
        check_margins(profile)?;
        let (device, continuity) = match VmClockDevice::open(&profile.vmclock) {
            Ok(device) => {
                let generation = device.generation().is_some();
                (Some(device), Continuity::VmClock { generation })
            }
            Err(_) if profile.bare_metal => (None, Continuity::AssumedBareMetal),
            Err(fault) if profile.require_continuity => {
                return Err(OpenFault::NoContinuity { path: profile.vmclock.clone(), fault });
            }
            Err(fault) => (None, Continuity::Unattested(fault)),
        };
        let clocks = KernelClocks::find();
        let first = observe(&clocks, device.as_ref());
        let tracker = SegmentTracker::begin(profile.suspends, &first);
        let live = LiveSegment::new(tracker.evidence());
        let slow = Source::assume_slow_nanos(profile.drift_ppb);
        let mut clock = Self {
            identity: Identity::of_this_machine()?,
            continuity,
            slow: SlowHand::new(&[slow; 3]),
            fast: FastHand::new(&[Source::assume_fast_nanos(profile.drift_ppb)])
                .assume_hides(hidden_by(profile.suspends)),
            tracker: Mutex::new(tracker),
            live,
            rtm: if profile.transactions { Rtm::detect() } else { None },
            restartable: Restartable::find(profile, &clocks),
            late: LateCounter::default(),
            profile: profile.clone(),
            device,
            clocks,
            reads_clock_in_transaction: true,
        };
        clock.reads_clock_in_transaction = clock.probes_clock_in_transaction();
        Ok(clock)
    }

    /// Reads the slow hand.
    ///
    /// # Timing
    /// Three readings of this very moment, in nanosecond ticks. A granter calls it after the last
    /// byte of the input was read.
    #[must_use]
    pub fn slow_now(&self) -> Now<SlowInstant> {
        Now::at(SlowInstant::new(Readings::three([
            self.clocks.read(KernelClock::Raw),
            self.clocks.read(KernelClock::Monotonic),
            self.clocks.read(KernelClock::Boot),
        ])))
    }

    /// Reads the fast hand, and begins a new segment if the last one is over.
    ///
    /// # Timing
    /// One reading of `CLOCK_MONOTONIC_RAW` of this very moment, in nanosecond ticks, in the segment
    /// that lives now. A holder calls it before the bytes of its request are handed to the transport.
    #[must_use]
    pub fn fast_now(&self) -> Now<FastInstant> {
        let mut tracker = self.tracker();
        let before = tracker.evidence().segment;
        let (segment, raw) = tracker.instant(|| observe(&self.clocks, self.device.as_ref()));
        if tracker.evidence().segment != before {
            self.live.publish(tracker.evidence());
        }
        Now::at(FastInstant::new(segment, Readings::one(raw)))
    }

    /// Which copy of itself this machine is, as the last reading of the fast hand found it.
    ///
    /// # Timing
    /// Never older than an instant that [`HostClock::fast_now`] returned before the call: the instants of
    /// a segment are all of one generation (assumption A7).
    #[must_use]
    pub fn generation(&self) -> Generation {
        match self.evidence().marks {
            Markers::Read(Marks { generation: Some(generation), .. }) => Generation::Is(generation),
            Markers::Read(Marks { generation: None, .. }) | Markers::NoDevice => Generation::Untold,
            Markers::Changing => Generation::Changing,
        }
    }

    /// The arithmetic of [`HostClock::slow_now`].
    #[must_use]
    pub const fn slow_hand(&self) -> SlowHand {
        self.slow
    }

    /// The arithmetic of [`HostClock::fast_now`].
    #[must_use]
    pub const fn fast_hand(&self) -> FastHand {
        self.fast
    }

    /// What shows that time is continuous here.
    #[must_use]
    pub const fn continuity(&self) -> &Continuity {
        &self.continuity
    }

    /// The profile it was opened with.
    #[inline]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The boot and time namespace in which its readings mean something.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The acts so far that could not be shown to have been on time (assumption A6).
    #[must_use]
    pub fn late_commits(&self) -> LateCommits {
        self.late.so_far()
    }

    /// The raw clock, for the late side of a commit.
    #[inline]
    pub(crate) fn raw_now(&self) -> Ticks {
        self.clocks.read(KernelClock::Raw)
    }

    /// Reads the clocks for a check: the raw clock, and an upper bound of the clock offset after it.
    #[inline]
    pub(crate) fn raw_and_offset(&self) -> (Ticks, Offset) {
        let Ticks(monotonic) = self.clocks.read(KernelClock::Monotonic);
        let raw = self.raw_now();
        let Ticks(boot) = self.clocks.read(KernelClock::Boot);
        (raw, Offset(boot.wrapping_sub(monotonic)))
    }

    /// Whether VMClock's words are those of the live segment.
    #[inline]
    pub(crate) fn marks_unchanged(&self) -> bool {
        let Some(device) = &self.device else { return true };
        let unchanged = |word: &AtomicU64, live: &AtomicU64| {
            word.load(Ordering::Acquire) == live.load(Ordering::Acquire)
        };
        unchanged(device.disruption(), self.live.disruption())
            && device.generation().is_none_or(|word| unchanged(word, self.live.generation()))
    }

    /// The marks at the beginning of the live segment, if its evidence still stands.
    pub(crate) fn evidence(&self) -> Evidence {
        *self.tracker().evidence()
    }

    /// The lower bound that a deadline of this evidence is compared with, if suspends are watched.
    pub(crate) fn offset_floor_of(&self, evidence: &Evidence) -> Option<Offset> {
        match self.profile.suspends {
            Suspends::Watched => Some(evidence.offset_floor),
            Suspends::AssumedAbsent => None,
        }
    }

    #[inline]
    pub(crate) const fn live(&self) -> &LiveSegment {
        &self.live
    }

    #[inline]
    pub(crate) const fn rtm(&self) -> Option<Rtm> {
        self.rtm
    }

    pub(crate) const fn restartable(&self) -> Option<&Restartable> {
        self.restartable.as_ref()
    }

    #[inline]
    pub(crate) const fn late(&self) -> &LateCounter {
        &self.late
    }

    /// VMClock's markers now, as two plain words; `None` while the hypervisor changes them.
    pub(crate) fn marks_now(&self) -> Option<(u64, u64)> {
        let markers = self.device.as_ref().map_or(Markers::NoDevice, VmClockDevice::markers);
        match markers {
            Markers::Changing => None,
            Markers::NoDevice | Markers::Read(_) => Some(mark_pair(markers)),
        }
    }

    /// The suspended time that the live segment can hide: what each deadline is charged.
    pub(crate) const fn hidden_suspend(&self) -> Span {
        hidden_by(self.profile.suspends)
    }

    /// What the guard reads inside a transaction; `None` if reading the clock there is a system call,
    /// hence an abort.
    #[inline]
    pub(crate) fn gate_clocks(&self) -> Option<GateClocks<'_>> {
        if !self.reads_clock_in_transaction {
            return None;
        }
        let [disruption, generation] = self.mark_words();
        Some(GateClocks {
            clock_gettime: self.clocks.vdso()?,
            live: &self.live,
            disruption,
            generation,
            margin: self.profile.margin_ticks(),
            watch_suspends: self.profile.suspends == Suspends::Watched,
            strict: self.profile.order == CommitOrder::Strict,
        })
    }

    /// VMClock's words; where there are none, the live segment's own, which equal themselves.
    #[inline]
    pub(crate) fn mark_words(&self) -> [&AtomicU64; 2] {
        let device = self.device.as_ref();
        [
            device.map_or(self.live.disruption(), VmClockDevice::disruption),
            device.and_then(VmClockDevice::generation).unwrap_or(self.live.generation()),
        ]
    }

    fn probes_clock_in_transaction(&self) -> bool {
        match (self.rtm, self.gate_clocks()) {
            (Some(rtm), Some(clocks)) => reads_clock_in_transaction(rtm, &clocks),
            (None, _) | (_, None) => false,
        }
    }

    fn tracker(&self) -> MutexGuard<'_, SegmentTracker> {
        // Nothing panics while it is held, and a tracker is consistent between its calls anyway.
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timing for HostClock {
    fn live_segment(&self) -> Option<Segment> {
        Some(self.evidence().segment)
    }

    fn end_of(&self, anchor: &FastInstant, term: Span) -> Option<Ticks> {
        let Ticks(deadline) = self.fast.deadline(anchor, term, 0)?;
        let Ticks(anchored) = anchor.readings().get(0)?;
        let deadline = deadline.checked_sub(self.hidden_suspend().as_nanos());
        deadline.filter(|deadline| *deadline > anchored).map(Ticks)
    }

    fn closed(&self) {
        if let Some(restartable) = &self.restartable
            && !self.profile.revokes_without_barrier()
        {
            restartable.restart_all();
        }
    }
}

fn check_margins(profile: &Profile) -> Result<(), OpenFault> {
    let least = match profile.order {
        CommitOrder::Fenced => COMMIT_MARGIN_MIN,
        CommitOrder::Strict => Span::ZERO,
    };
    if profile.commit_margin < least {
        return Err(OpenFault::CommitMargin { asked: profile.commit_margin, least });
    }
    if profile.publish_margin < PUBLISH_MARGIN {
        return Err(OpenFault::PublishMargin {
            asked: profile.publish_margin,
            least: PUBLISH_MARGIN,
        });
    }
    Ok(())
}

/// Reads the clocks in the order that [`Observation`] asks for.
/// The suspended time that a segment can hide.
const fn hidden_by(suspends: Suspends) -> Span {
    match suspends {
        Suspends::Watched => OFFSET_BLUR,
        Suspends::AssumedAbsent => Span::ZERO,
    }
}

fn observe(clocks: &KernelClocks, device: Option<&VmClockDevice>) -> Observation {
    Observation {
        boot_before: clocks.read(KernelClock::Boot),
        monotonic: clocks.read(KernelClock::Monotonic),
        raw: clocks.read(KernelClock::Raw),
        boot_after: clocks.read(KernelClock::Boot),
        marks: device.map_or(Markers::NoDevice, VmClockDevice::markers),
    }
}

/// Markers as two plain words, for a deadline that travels to another process.
pub(crate) const fn mark_pair(markers: Markers) -> (u64, u64) {
    match markers {
        Markers::NoDevice | Markers::Changing => (0, 0),
        Markers::Read(Marks { disruption, generation: None }) => (disruption, 0),
        Markers::Read(Marks { disruption, generation: Some(generation) }) => {
            (disruption, generation)
        }
    }
}
