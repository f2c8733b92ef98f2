//! What is drawn once for a world.

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// The parameters of a world. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// What the network promises.
    pub network: Network,
    /// How long messages, writes and starts take.
    pub delays: Delays,
    /// The unit of the world's times: several terms.
    pub scale: u64,
    /// For how long it is hostile; then it heals.
    pub hostile: u64,
    /// How many names there are.
    pub names: u64,
    /// The granter's clock.
    pub granter_clock: ClockPlan,
    /// The holders' clocks, one for each holder.
    pub holder_clocks: Vec<ClockPlan>,
    /// In how many of a thousand outputs the granter crashes just before it is done.
    pub crash_between: u64,
    /// Percent of writes that fail, whether or not they reach the disk.
    pub write_fails: u64,
    /// Percent of wake-ups that come late by up to a fortieth of the scale.
    pub wakes_late: u64,
    /// In how many of a thousand instructions of a guarded section the OS steps in.
    pub exits: u64,
    /// What transactions do here.
    pub transactions: Transactions,
    /// Percent of grants and renewals at whose end an act is tried.
    pub commits_at_end: u64,
    /// Whether handles count down instead of up.
    pub handles_fall: bool,
    /// The granter's bound of live leases.
    pub leases_max: u32,
    /// The granter's bound of each queue.
    pub waiters_max: u32,
    /// After how long the granter forgets an idle session.
    pub session_idle: u64,
    /// The grace with which the granter recalls a name that somebody waits for.
    pub recall_on_wait: Option<u64>,
    /// Whether connections are made anew when the world heals.
    pub heals_with_reset: bool,
    /// In how many of a thousand messages bytes are damaged on their way: beyond what is assumed (A18).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged: u64,
    /// Whether everybody must be served within a bound once it has healed.
    pub demands_liveness: bool,
}

/// What the network promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// What a transport promises: each connection keeps order and repeats nothing; when it breaks,
    /// what was under way is lost.
    Ordered,
    /// Beyond that: messages are lost, repeated, reordered, and arrive after their connection.
    Chaotic,
}

/// What hardware transactions do on the holders' machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transactions {
    /// They commit unless something interrupts them.
    Work,
    /// They abort, always.
    Abort,
    /// There are none.
    Absent,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delays {
    /// Drawn: mostly short, sometimes longer than a term.
    Drawn,
    /// All the same.
    Fixed(u64),
}

/// A clock as it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockPlan {
    /// Its sources.
    pub sources: Vec<SourcePlan>,
    /// Which of them keeps the contract of the hand.
    pub honest: usize,
    /// What may pass between the two bounds of a moment, in ticks.
    pub slack: u64,
    /// Instead of all that: a Linux machine. For holders.
    pub host: Option<HostPlan>,
    /// Or timekeepers in an enclave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enclave: Option<EnclavePlan>,
}

/// An enclave as it begins: the profile `enclave`. Each pair is the slowest and the fastest that the
/// machine profile admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnclavePlan {
    /// How many timekeepers: 1 or 2.
    pub keepers: u64,
    /// The frequencies of its cores, in Hz.
    pub core_hz: (u64, u64),
    /// The rates of its counters, in Hz.
    pub tsc_hz: (u64, u64),
    /// In which steps they move.
    pub step: u64,
    /// How long a timekeeper's beat takes on the fastest core, in nanoseconds.
    pub beat: u64,
    /// Whether what the first timekeeper publishes becomes visible as late as it can.
    pub late: bool,
    /// How long it takes on average until the host takes one of its threads out, in nanoseconds; 0 is
    /// never.
    pub exits_every: u64,
    /// Draws those.
    pub seed: u64,
}

/// A Linux machine as it begins: the profile `host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    /// What `CLOCK_MONOTONIC` and `CLOCK_MONOTONIC_RAW` show.
    pub shown: u64,
    /// For how long it was suspended so far.
    pub slept: u64,
    /// How fast the raw clock runs, in billionths.
    pub raw_ppb: u64,
    /// How fast the other two run: time servers steer them.
    pub steered_ppb: u64,
    /// Whether its hypervisor tells of disruptions.
    pub has_vmclock: bool,
}

/// A source of nanosecond ticks as it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePlan {
    /// What it shows.
    pub shown: u64,
    /// How fast it runs, in billionths.
    pub rate_ppb: u64,
    /// In which steps it moves.
    pub granularity: u64,
}

/// Whose clock it is: which way it may err.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Granter,
    Holder,
}

/// What an honest source may drift, in billionths.
pub(crate) const PPB: u64 = 300_000;
pub(crate) const BILLION: u64 = 1_000_000_000;
/// In how many of a hundred worlds timekeepers keep clocks.
const ENCLAVES: u64 = 20;
/// In how many of a hundred worlds bytes are damaged.
const DAMAGED: u64 = 8;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Options {
    /// The parameters that belong to a seed. Each world has only some kinds of trouble (swarm
    /// testing), so that no kind drowns the others.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::stream(seed, 1);
        let rng = &mut rng;
        let scale = rng.pick(&[200, 1_000, 5_000, 40_000, 200_000]) * 1_000_000;
        let holders = rng.between(2, 4);
        let network = rng.pick(&[Network::Ordered, Network::Chaotic]);
        let mut options = Self {
            network,
            delays: Delays::Drawn,
            scale,
            hostile: scale * 6,
            names: rng.between(1, 4),
            granter_clock: ClockPlan::draw(rng, Role::Granter, scale),
            holder_clocks: (0..holders)
                .map(|_| ClockPlan::draw(rng, Role::Holder, scale))
                .collect(),
            crash_between: rng.pick(&[0, 0, 2, 10]),
            write_fails: rng.pick(&[0, 0, 10, 50]),
            wakes_late: rng.pick(&[0, 20, 20, 80]),
            exits: rng.pick(&[0, 1, 20, 300, 1_000]),
            transactions: match rng.below(20) {
                0 => Transactions::Abort,
                1..=3 => Transactions::Absent,
                _ => Transactions::Work,
            },
            commits_at_end: rng.pick(&[0, 10, 50]),
            handles_fall: rng.chance(20),
            leases_max: if rng.chance(10) { 2 } else { 1_000 },
            waiters_max: if rng.chance(10) { 1 } else { 100 },
            session_idle: rng.pick(&[scale / 40, scale, scale * 100]),
            recall_on_wait: rng.chance(30).then_some(scale / 16),
            heals_with_reset: network == Network::Chaotic || rng.chance(50),
            damaged: 0,
            demands_liveness: true,
        };
        let mut rng = Rng::stream(seed, 6);
        if rng.chance(DAMAGED) {
            options.damaged = rng.pick(&[3, 20]);
        }
        if options.transactions == Transactions::Absent {
            // Few worlds have to show what publishing is worth.
            options.exits = options.exits.max(20);
            options.commits_at_end = 60;
        }
        options.draw_enclaves(&mut Rng::stream(seed, 3));
        options
    }

    /// In some worlds, whatever their other parameters, timekeepers keep most of the clocks.
    fn draw_enclaves(&mut self, rng: &mut Rng) {
        if !rng.chance(ENCLAVES) {
            return;
        }
        let scale = self.scale;
        for clock in self.holder_clocks.iter_mut().chain([&mut self.granter_clock]) {
            if rng.chance(70) {
                *clock = ClockPlan::draw_enclave(rng, scale);
            }
        }
    }

    /// Whether some clock is kept by timekeepers.
    pub(crate) fn has_enclaves(&self) -> bool {
        let clocks = self.holder_clocks.iter().chain([&self.granter_clock]);
        clocks.into_iter().any(|clock| clock.enclave.is_some())
    }

    /// A world in which nothing goes wrong unless somebody says so: exact clocks of one source each,
    /// every delay one millisecond, a scale of one second. For scenarios.
    #[must_use]
    pub fn quiet(holders: usize) -> Self {
        let second = 1_000_000_000;
        Self {
            network: Network::Ordered,
            delays: Delays::Fixed(1_000_000),
            scale: second,
            hostile: 6 * second,
            names: 4,
            granter_clock: ClockPlan::exact(),
            holder_clocks: vec![ClockPlan::exact(); holders],
            crash_between: 0,
            write_fails: 0,
            wakes_late: 0,
            exits: 0,
            transactions: Transactions::Work,
            commits_at_end: 0,
            handles_fall: false,
            leases_max: 1_000,
            waiters_max: 100,
            session_idle: 60 * second,
            recall_on_wait: None,
            heals_with_reset: false,
            damaged: 0,
            demands_liveness: true,
        }
    }
}

impl ClockPlan {
    /// One source that runs as true time does.
    #[must_use]
    pub fn exact() -> Self {
        let source = SourcePlan { shown: BILLION, rate_ppb: BILLION, granularity: 1 };
        Self { sources: vec![source], honest: 0, slack: 0, host: None, enclave: None }
    }

    pub(crate) fn draw_enclave(rng: &mut Rng, scale: u64) -> Self {
        Self { enclave: Some(EnclavePlan::draw(rng, scale)), ..Self::exact() }
    }

    pub(crate) fn draw(rng: &mut Rng, role: Role, scale: u64) -> Self {
        let count = rng.between(1, 3);
        let granularity = rng.pick(&[1, 1, 1_000, scale / 100]);
        let honest = usize::try_from(rng.below(count)).expect("an index");
        let slack = if rng.chance(25) { rng.between(0, 2_000_000) } else { 0 };
        let source = |index| SourcePlan {
            shown: rng.between(0, 1 << 50),
            rate_ppb: draw_rate(rng, role, index == honest),
            granularity,
        };
        let count = usize::try_from(count).expect("a few");
        let sources = (0..count).map(source).collect();
        let host = (role == Role::Holder && rng.chance(40)).then(|| HostPlan::draw(rng));
        Self { sources, honest, slack, host, enclave: None }
    }
}

impl EnclavePlan {
    fn draw(rng: &mut Rng, scale: u64) -> Self {
        let quiet = Self::quiet(scale);
        let slowest = quiet.tsc_hz.0;
        Self {
            keepers: rng.pick(&[1, 2, 2]),
            tsc_hz: (slowest, slowest + slowest / 1_000_000 * rng.pick(&[0, 300, 20_000])),
            step: rng.pick(&[1, 1, 25, 64]),
            late: rng.chance(50),
            exits_every: rng.pick(&[0, scale / 2_000, scale / 400, scale / 60, scale / 10]),
            seed: rng.next(),
            ..quiet
        }
    }

    /// Two timekeepers whom nobody interrupts, on cores of 1 to 4 GHz with a counter of 2.5 GHz, in a
    /// world of this scale.
    #[must_use]
    pub const fn quiet(scale: u64) -> Self {
        Self {
            keepers: 2,
            core_hz: (BILLION, 4 * BILLION),
            tsc_hz: (2_500_000_000, 2_500_000_000),
            step: 1,
            beat: scale / 2_000,
            late: false,
            exits_every: 0,
            seed: 0,
        }
    }
}

impl HostPlan {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            shown: rng.between(1 << 32, 1 << 50),
            slept: rng.pick(&[0, 0, 1 << 40]),
            raw_ppb: rng.pick(&[BILLION - PPB, BILLION, BILLION + PPB]),
            steered_ppb: rng.pick(&[900_000_000, BILLION - PPB, BILLION, 1_100_000_000]),
            has_vmclock: rng.chance(70),
        }
    }
}

/// A granter's honest source never runs above its bound, a holder's never below; the others run as
/// they like.
pub(crate) fn draw_rate(rng: &mut Rng, role: Role, honest: bool) -> u64 {
    match (role, honest) {
        (Role::Granter, true) => rng.pick(&[BILLION + PPB, BILLION + PPB, BILLION, 500_000_000]),
        (Role::Holder, true) => rng.pick(&[BILLION - PPB, BILLION - PPB, BILLION, 2 * BILLION]),
        (_, false) => rng.pick(&[0, 500_000_000, BILLION, 3 * BILLION, 50 * BILLION]),
    }
}
