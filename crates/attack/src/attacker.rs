//! Those who pause a victim across the hand-over.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use nix::sys::ptrace;
use nix::sys::signal::{Signal as Sig, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::lane::{Lane, Signal};
use crate::stress::{Random, pause_us};

/// What an attacker has done.
#[derive(Debug, Default)]
pub(crate) struct Attacks {
    /// Times that the victim was held still.
    pub(crate) pauses: AtomicU64,
    /// Of these, how many began before the hand-over of a round and ended after it.
    pub(crate) lethal: AtomicU64,
    /// Single steps.
    pub(crate) steps: AtomicU64,
}

impl Attacks {
    /// Counts a pause by the rounds granted and handed over when it began and ended.
    fn paused(&self, began: (u64, u64), ended: (u64, u64)) {
        self.pauses.fetch_add(1, Relaxed);
        let held_before = began.0 == began.1 + 1;
        let handed_over = ended.1 == began.0;
        self.lethal.fetch_add(u64::from(held_before && handed_over), Relaxed);
    }
}

fn rounds(lane: &Lane) -> (u64, u64) {
    (lane.signal(Signal::Grant).load(SeqCst), lane.signal(Signal::Succession).load(SeqCst))
}

fn term_us(lane: &Lane) -> f64 {
    lane.signal(Signal::Term).load(SeqCst).max(5_000_000) as f64 / 1000.0
}

/// Stops the victim at random moments, for a millisecond to three terms.
pub(crate) fn stop_and_continue(lane: &Lane, attacks: &Attacks, victim: Pid, seed: u64) {
    let mut random = Random::new(seed);
    while !lane.stopped() {
        pause_us((random.unit() * 0.6 * term_us(lane)) as u64);
        if kill(victim, Sig::SIGSTOP).is_err() {
            return;
        }
        match waitpid(victim, Some(WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Stopped(..)) => {}
            Ok(_) | Err(_) => return,
        }
        let began = rounds(lane);
        pause_us(random.log_between(1_000, (3.0 * term_us(lane)) as u64));
        attacks.paused(began, rounds(lane));
        let _ = kill(victim, Sig::SIGCONT);
    }
}

/// Waits until the victim stops itself, and leaves it so for one to three terms.
pub(crate) fn leave_stopped(lane: &Lane, attacks: &Attacks, victim: Pid, seed: u64) {
    let mut random = Random::new(seed);
    while !lane.stopped() {
        match waitpid(victim, Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Stopped(..)) => {}
            Ok(WaitStatus::StillAlive) => {
                pause_us(100);
                continue;
            }
            Ok(_) | Err(_) => return,
        }
        let began = rounds(lane);
        pause_us((term_us(lane) * (1.0 + 2.0 * random.unit())) as u64);
        attacks.paused(began, rounds(lane));
        let _ = kill(victim, Sig::SIGCONT);
    }
    let _ = kill(victim, Sig::SIGCONT);
}

/// Traces the victim step by step from random moments, and holds it still between two of the steps.
pub(crate) fn single_step(lane: &Lane, attacks: &Attacks, victim: Pid, seed: u64) {
    const STEPS: u64 = 400;
    let mut random = Random::new(seed);
    if ptrace::seize(victim, ptrace::Options::empty()).is_err() {
        return;
    }
    while !lane.stopped() {
        if ptrace::interrupt(victim).is_err() || !stopped(victim) {
            return;
        }
        let hold_at = random.next() % STEPS;
        for step in 0..STEPS {
            if ptrace::step(victim, None).is_err() || !stopped(victim) {
                return;
            }
            attacks.steps.fetch_add(1, Relaxed);
            if step == hold_at {
                let began = rounds(lane);
                pause_us((term_us(lane) * (0.3 + 1.5 * random.unit())) as u64);
                attacks.paused(began, rounds(lane));
            }
        }
        if ptrace::cont(victim, None).is_err() {
            return;
        }
        pause_us((random.unit() * 0.6 * term_us(lane)) as u64);
    }
    // The tracer's end would leave a stopped victim stopped.
    let _ = kill(victim, Sig::SIGKILL);
}

fn stopped(victim: Pid) -> bool {
    match waitpid(victim, Some(WaitPidFlag::__WALL)) {
        Ok(WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..)) => true,
        Ok(_) | Err(_) => false,
    }
}
