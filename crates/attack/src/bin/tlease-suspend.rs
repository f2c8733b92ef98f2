//! A holder whose machine seems to sleep for ten seconds: it enters a time namespace in which
//! `CLOCK_BOOTTIME` is ahead, which is what a suspend looks like.
//!
//! A process of its own, since only a process with one thread may enter one. Exits with 0 if the guard
//! saw it, with 77 if this system does not let us, and otherwise with what went wrong.

use std::error::Error;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::Arc;

use nix::libc;
use tlease_clock::guard::{Missing, Obstacle, Refusal};
use tlease_clock::memory::Region;
use tlease_clock::{Check, HoldRefusal, HostClock, LeaseCell, Profile};
use tlease_core::fence::Fence;
use tlease_core::time::Span;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(77),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let holders = [
        Holder::new(Profile::host())?,
        Holder::new(Profile::host().without_transactions())?,
        Holder::new(Profile::host().assume_no_suspend())?,
    ];
    for holder in &holders {
        expect(holder.acts(), "a valid lease")?;
    }
    if !sleep_for_ten_seconds() {
        return Ok(false);
    }
    let [watching, restartable, blind] = &holders;
    // First, so that the new clock pages have been used: else a transaction aborts for that reason.
    expect(blind.acts(), "who assumes that there is no suspend does not look")?;
    for holder in [watching, restartable] {
        expect(!holder.acts(), "no act after the suspend")?;
        expect(holder.cell.check(FENCE) == Check::Suspect, "suspect after the suspend")?;
        let voided = holder.cell.hold(FENCE, &holder.anchor, TERM);
        expect(voided == Err(HoldRefusal::SegmentOver), "the anchor in flight is void")?;
        let anchor = holder.clock.fast_now().send_anchor();
        holder.cell.hold(FENCE, &anchor, TERM)?;
        expect(holder.acts(), "valid again after one renewal")?;
    }
    Ok(true)
}

struct Holder {
    clock: Arc<HostClock>,
    cell: LeaseCell,
    region: Region,
    anchor: tlease_core::time::FastInstant,
}

impl Holder {
    fn new(profile: Profile) -> Result<Self, Box<dyn Error>> {
        let clock = Arc::new(HostClock::open(&profile)?);
        let cell = LeaseCell::new(Arc::clone(&clock))?;
        let anchor = clock.fast_now().send_anchor();
        cell.hold(FENCE, &anchor, TERM)?;
        Ok(Self { clock, cell, region: Region::new(512)?, anchor })
    }

    /// Whether it can act; where nothing is guarded, whether it believes so.
    ///
    /// An act that was only interrupted says nothing of the lease: it is tried again, as users do.
    fn acts(&self) -> bool {
        (0..INTERRUPTIONS_MAX).find_map(|_| self.tries_to_act()).unwrap_or_else(|| {
            eprintln!("interrupted {INTERRUPTIONS_MAX} times in a row");
            false
        })
    }

    /// `None` if it was interrupted.
    fn tries_to_act(&self) -> Option<bool> {
        let word = self.region.word(0)?;
        let before = word.load();
        let acted = self.cell.commit(FENCE, &word, |act| act.store(&word, before + 1)).map(|_| ());
        let acted = match acted {
            Err(Refusal::Unsupported(Missing::Transactions | Missing::Vdso)) => {
                self.cell.publish(FENCE, &word, before + 1).map(|_| ())
            }
            other => other,
        };
        let refusal = match acted {
            Ok(()) => return Some(word.load() == before + 1),
            Err(Refusal::Unsupported(_)) => {
                return Some(matches!(self.cell.check(FENCE), Check::Valid { .. }));
            }
            Err(refusal) => refusal,
        };
        assert_eq!(word.load(), before, "a refusal leaves no effect");
        if let Refusal::CannotCommit(Obstacle::Aborted(_) | Obstacle::Preempted) = refusal {
            return None;
        }
        eprintln!("refused: {refusal}");
        Some(false)
    }
}

/// `false` if this system does not let us.
fn sleep_for_ten_seconds() -> bool {
    // WHY: nix has no wrapper for time namespaces.
    // SAFETY: affects this process' future children only.
    if unsafe { libc::unshare(libc::CLONE_NEWTIME) } != 0 {
        return false;
    }
    if fs::write("/proc/self/timens_offsets", "boottime 10 0\n").is_err() {
        return false;
    }
    let Ok(namespace) = File::open("/proc/self/ns/time_for_children") else { return false };
    // WHY: as above.
    // SAFETY: a descriptor of a time namespace; the kernel maps its clock pages in place of ours.
    unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWTIME) == 0 }
}

fn expect(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("not so: {what}")) }
}

/// More than a crowded machine interrupts in a row; fewer than a refusal for good would survive.
const INTERRUPTIONS_MAX: u32 = 1_000;
const FENCE: Fence = Fence::FIRST;
const TERM: Span = Span::from_secs(3_600);
