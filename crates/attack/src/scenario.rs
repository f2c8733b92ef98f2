//! Lanes under attack, and the verdict.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread::{self, JoinHandle};

use nix::unistd::Pid;
use tlease_clock::{HostClock, Profile};
use tlease_core::time::Span;

use crate::attacker::{Attacks, leave_stopped, single_step, stop_and_continue};
use crate::judge::{Tally, judge};
use crate::lane::{Count, Lane, Signal};
use crate::stress::{Migration, pause_us};
use crate::victim::Mechanism;

/// What is done to the victims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// SIGSTOP and SIGCONT from outside.
    Stop,
    /// The victim stops itself, and is left so.
    LeaveStopped,
    /// ptrace: single steps, held still between two of them.
    SingleStep,
    /// A thousand migrations a second.
    Migrate,
    /// Ten thousand signals a second.
    SignalStorm,
    /// Twice as many busy threads as CPUs.
    Busy,
    /// The Accessed bits of the victim's pages are cleared, a hundred times a second.
    AgedPages,
}

impl Attack {
    /// Whether it holds victims still, so that hand-overs can fall into a pause.
    #[must_use]
    pub const fn pauses(self) -> bool {
        match self {
            Self::Stop | Self::LeaveStopped | Self::SingleStep => true,
            Self::Migrate | Self::SignalStorm | Self::Busy | Self::AgedPages => false,
        }
    }
}

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Every time: some dozens of lethal hand-overs.
    Default,
    /// With `TLEASE_FULL=1`: 2,000 of them.
    Full,
    /// Until the first stale effect.
    UntilCaught,
}

impl Tier {
    /// What the environment asks for.
    #[must_use]
    pub fn from_env() -> Self {
        if std::env::var_os("TLEASE_FULL").is_some_and(|full| full == "1") {
            Self::Full
        } else {
            Self::Default
        }
    }

    /// The lethal hand-overs to wait for: pauses that began while the victim held and ended after its
    /// successor had been granted the lease.
    #[must_use]
    pub const fn hand_overs(self) -> u64 {
        match self {
            Self::Default => 40,
            Self::Full => 2_000,
            Self::UntilCaught => u64::MAX,
        }
    }

    const fn at_most(self) -> Span {
        match self {
            Self::Default | Self::UntilCaught => Span::from_secs(60),
            Self::Full => Span::from_secs(1_200),
        }
    }
}

/// Some lanes, each a victim with one mechanism, under the same attacks.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// How the victims act.
    pub mechanism: Mechanism,
    /// What is done to them.
    pub attacks: Vec<Attack>,
    /// How many lanes run at once.
    pub lanes: usize,
    /// How much is run.
    pub tier: Tier,
}

/// What came of it, over all lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Leases granted and handed over.
    pub rounds: u64,
    /// Times that a victim was held still.
    pub pauses: u64,
    /// Of these, across a hand-over.
    pub lethal: u64,
    /// Single steps.
    pub steps: u64,
    /// Attempts to act.
    pub calls: u64,
    /// Acts.
    pub acts: u64,
    /// Refusals although the lease may have been valid.
    pub cannot_commit: u64,
    /// The most tries of one commit.
    pub most_tries: u64,
    /// Acts that could not show that they were on time: a pause right after the act is enough.
    pub late: u64,
    /// Rounds with an effect of the old holder after the hand-over.
    pub stale_rounds: u64,
    /// The machine lacks the mechanism: nothing was shown.
    pub unsupported: bool,
}

impl Scenario {
    /// Runs it until enough lethal hand-overs have happened, or the time is up.
    ///
    /// `lane_program` is the binary whose `victim` and `successor` commands play those parts.
    ///
    /// # Errors
    /// What the kernel says when processes are started.
    pub fn run(&self, lane_program: &Path) -> io::Result<Verdict> {
        let lanes: Vec<_> = (1..=self.lanes as u64)
            .map(|number| Running::start(self, lane_program, number))
            .collect::<io::Result<_>>()?;
        let busy = self.attacks.contains(&Attack::Busy).then(|| Busy::start(&lanes[0].lane));
        let clock = HostClock::open(&Profile::host()).map_err(io::Error::other)?;
        let begin = clock.fast_now().send_anchor();
        loop {
            let verdict = Verdict::of(&lanes);
            let elapsed = clock.fast_hand().elapsed_ceil(&begin, &clock.fast_now().reading());
            let time_up = elapsed.is_none_or(|elapsed| elapsed > self.tier.at_most());
            let wanted = self.tier.hand_overs();
            let enough = if self.pauses() { verdict.lethal } else { verdict.rounds } >= wanted;
            let caught = self.tier == Tier::UntilCaught && verdict.stale_rounds > 0;
            if enough || caught || verdict.unsupported || time_up {
                break;
            }
            pause_us(20_000);
        }
        for running in &lanes {
            running.lane.signal(Signal::Stop).store(1, SeqCst);
        }
        drop(busy);
        let verdict = Verdict::of(&lanes);
        lanes.into_iter().for_each(Running::end);
        Ok(verdict)
    }

    fn pauses(&self) -> bool {
        self.attacks.iter().any(|attack| attack.pauses())
    }
}

/// One lane at work.
struct Running {
    lane: Arc<Lane>,
    tally: Arc<Tally>,
    attacks: Arc<Attacks>,
    children: Vec<Child>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    fn start(scenario: &Scenario, program: &Path, number: u64) -> io::Result<Self> {
        let lane = Arc::new(Lane::new()?);
        let address = lane.address();
        let name = scenario.mechanism.name();
        let mut victim = Command::new(program);
        victim.args(["victim", &address, name]);
        for attack in &scenario.attacks {
            match attack {
                Attack::SignalStorm => drop(victim.arg("storm")),
                Attack::AgedPages => drop(victim.arg("aged")),
                Attack::Stop
                | Attack::LeaveStopped
                | Attack::SingleStep
                | Attack::Migrate
                | Attack::Busy => {}
            }
        }
        let victim = victim.spawn()?;
        let successor = Command::new(program).args(["successor", &address]).spawn()?;
        let pid = Pid::from_raw(i32::try_from(victim.id()).unwrap_or(0));
        let mut running = Self {
            lane,
            tally: Arc::default(),
            attacks: Arc::default(),
            children: vec![victim, successor],
            threads: Vec::new(),
        };
        let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(std::process::id());
        running.spawn(move |lane, tally, _| judge(lane, tally, seed));
        for attack in &scenario.attacks {
            match attack {
                Attack::Stop => running.spawn(move |l, _, a| stop_and_continue(l, a, pid, !seed)),
                Attack::LeaveStopped => {
                    running.spawn(move |l, _, a| leave_stopped(l, a, pid, !seed))
                }
                Attack::SingleStep => running.spawn(move |l, _, a| single_step(l, a, pid, !seed)),
                Attack::Migrate => running.spawn(move |lane, _, _| migrate(lane, pid)),
                Attack::SignalStorm | Attack::AgedPages | Attack::Busy => {}
            }
        }
        Ok(running)
    }

    fn spawn(&mut self, work: impl FnOnce(&Lane, &Tally, &Attacks) + Send + 'static) {
        let (lane, tally) = (Arc::clone(&self.lane), Arc::clone(&self.tally));
        let attacks = Arc::clone(&self.attacks);
        self.threads.push(thread::spawn(move || work(&lane, &tally, &attacks)));
    }

    fn end(mut self) {
        // Attackers first: a victim may be stopped, and they wake it.
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        for mut child in self.children.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn migrate(lane: &Lane, victim: Pid) {
    let Some(mut migration) = Migration::of(victim) else { return };
    while !lane.stopped() {
        migration.step();
        pause_us(1_000);
    }
}

/// Threads that use up the CPUs until the lane stops.
struct Busy(Vec<JoinHandle<()>>);

impl Busy {
    fn start(lane: &Arc<Lane>) -> Self {
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let spin = |lane: Arc<Lane>| {
            thread::spawn(move || {
                while !lane.stopped() {
                    std::hint::spin_loop();
                }
            })
        };
        Self((0..2 * cpus).map(|_| spin(Arc::clone(lane))).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Verdict {
    fn of(lanes: &[Running]) -> Self {
        let mut sum = Self::default();
        for Running { lane, tally, attacks, .. } in lanes {
            let count = |count| lane.count(count).load(SeqCst);
            sum.rounds += tally.rounds.load(Relaxed);
            sum.pauses += attacks.pauses.load(Relaxed);
            sum.lethal += attacks.lethal.load(Relaxed);
            sum.steps += attacks.steps.load(Relaxed);
            sum.calls += count(Count::Calls);
            sum.acts += count(Count::Acts);
            sum.cannot_commit += count(Count::CannotCommit);
            sum.most_tries = sum.most_tries.max(count(Count::MostTries));
            sum.late += count(Count::Late);
            sum.stale_rounds += tally.stale_rounds.load(Relaxed);
            sum.unsupported |= count(Count::Unsupported) > 0;
        }
        sum
    }

    /// Of the calls under a lease that may have been valid, the share that acted, in percent.
    #[must_use]
    pub fn success_percent(&self) -> f64 {
        100.0 * self.acts as f64 / (self.acts + self.cannot_commit).max(1) as f64
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds, {} pauses ({} across the hand-over), {} steps: {} stale rounds, {} acts \
             ({:.4} % of calls under a lease, at most {} tries), {} not shown to be on time",
            self.rounds,
            self.pauses,
            self.lethal,
            self.steps,
            self.stale_rounds,
            self.acts,
            self.success_percent(),
            self.most_tries,
            self.late
        )
    }
}
