//! Plans and traces in words, for people.

use std::fmt;

use crate::options::{ClockPlan, Delays, EnclavePlan, Network, Options, Transactions};
use crate::trace::{Line, What, Who};

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = match self.network {
            Network::Ordered => "keeps order, breaks",
            Network::Chaotic => "loses, repeats and reorders",
        };
        let delays = match self.delays {
            Delays::Drawn => "drawn".to_owned(),
            Delays::Fixed(delay) => Nanos(delay).to_string(),
        };
        let transactions = match self.transactions {
            Transactions::Work => "work",
            Transactions::Abort => "abort always",
            Transactions::Absent => "absent",
        };
        writeln!(f, "hostile for      {} of true time, then healed", Nanos(self.hostile))?;
        writeln!(f, "names            {}", self.names)?;
        writeln!(f, "network          {network}; delays {delays}")?;
        writeln!(f, "granter's clock  {}", self.granter_clock)?;
        for (node, clock) in self.holder_clocks.iter().enumerate() {
            writeln!(f, "holder {node}         {clock}")?;
        }
        writeln!(f, "granter          crashes before {} of 1000 outputs", self.crash_between)?;
        writeln!(f, "disk             {} % of writes fail", self.write_fails)?;
        writeln!(f, "wake-ups         {} % come late", self.wakes_late)?;
        writeln!(f, "interrupts       at {} of 1000 guarded instructions", self.exits)?;
        writeln!(f, "transactions     {transactions}")?;
        writeln!(f, "acts at the end  of {} % of grants and renewals", self.commits_at_end)?;
        let recall = match self.recall_on_wait {
            Some(grace) => format!("; recalls for waiters with {} of grace", Nanos(grace)),
            None => String::new(),
        };
        write!(
            f,
            "bounds           {} leases, {} waiters a name, sessions idle for {}{recall}",
            self.leases_max,
            self.waiters_max,
            Nanos(self.session_idle)
        )
    }
}

impl fmt::Display for ClockPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(enclave) = &self.enclave {
            return write!(f, "{enclave}");
        }
        if let Some(host) = &self.host {
            let vmclock = if host.has_vmclock { "with" } else { "without" };
            let (raw, steered) = (Rate(host.raw_ppb), Rate(host.steered_ppb));
            return write!(f, "Linux, raw {raw}, steered {steered}, {vmclock} VMClock");
        }
        for (index, source) in self.sources.iter().enumerate() {
            let honest = if index == self.honest { "honest " } else { "" };
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{honest}{}", Rate(source.rate_ppb))?;
            if source.granularity > 1 {
                write!(f, " in steps of {}", Nanos(source.granularity))?;
            }
        }
        if self.slack > 0 {
            write!(f, "; bounds {} apart", Nanos(self.slack))?;
        }
        Ok(())
    }
}

impl fmt::Display for EnclavePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (slowest, fastest) = self.tsc_hz;
        let wide = (fastest - slowest) / (slowest / 1_000_000);
        write!(f, "enclave, timekeepers: {}, counters within {wide} ppm", self.keepers)?;
        if self.step > 1 {
            write!(f, " in steps of {}", self.step)?;
        }
        let late = if self.late { ", published late" } else { "" };
        write!(f, "{late}; ")?;
        match self.exits_every {
            0 => write!(f, "no exits"),
            every => write!(f, "an exit every {}", Nanos(every)),
        }
    }
}

/// One line, as `tlease sim show` prints it.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>14.9} s  {}", Seconds(self.at), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |shared: &bool| if *shared { "shared" } else { "exclusive" };
        match self {
            Self::Plan { scenario: Some(name), .. } => write!(f, "scenario {name}"),
            Self::Plan { plan, .. } => {
                let holders = plan.options.holder_clocks.len();
                write!(f, "seed {}: {holders} holders, {} acts", plan.seed, plan.acts.len())
            }
            Self::Act(act) => write!(f, "act       {act:?}"),
            Self::Start { wait: true } => write!(f, "granter   starts, and waits"),
            Self::Start { wait: false } => write!(f, "granter   starts"),
            Self::Down => write!(f, "granter   is gone"),
            Self::Healed => write!(f, "world     healed"),
            Self::In { who, input } => write!(f, "{who} <- {input}"),
            Self::Out { who, output } => write!(f, "{who} -> {output}"),
            Self::Grant { name, fence, how } => {
                write!(f, "granter   {how} name {name}, fence {fence}")
            }
            Self::Promise { node, fence: Some(fence), term } => {
                write!(f, "granter   promises holder {node} fence {fence} for {}", Nanos(*term))
            }
            Self::Promise { node, fence: None, term } => {
                write!(f, "granter   renews for holder {node}, {}", Nanos(*term))
            }
            Self::Free { name, fence, how } => {
                write!(f, "granter   frees name {name}, fence {fence}: {how}")
            }
            Self::Hold { node, name, fence, shared, sent, term } => write!(
                f,
                "holder {node}  holds name {name}, fence {fence}, {}, until {:.9} s",
                kind(shared),
                Seconds(sent.saturating_add(*term))
            ),
            Self::Close { node, name } => write!(f, "holder {node}  closes name {name}"),
            Self::Effect { node, name, fence, shared } => {
                write!(f, "holder {node}  ACTS on name {name}, fence {fence}, {}", kind(shared))
            }
            Self::Write { name, fence, shared, admitted } => {
                let verdict = if *admitted { "admits" } else { "refuses" };
                write!(
                    f,
                    "resource  {verdict} a write to name {name}, fence {fence}, {}",
                    kind(shared)
                )
            }
            Self::Violated { claim, what } => write!(f, "VIOLATED  {claim}: {what}"),
            Self::End { steps } => write!(f, "world     ends after {steps} events"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granter => f.write_str("granter "),
            Self::Holder(node) => write!(f, "holder {node}"),
        }
    }
}

/// A length of time in the unit that shows it best.
pub(crate) struct Nanos(pub(crate) u64);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, per) = match self.0 {
            0..1_000 => ("ns", 1_u64),
            1_000..1_000_000 => ("us", 1_000),
            1_000_000..1_000_000_000 => ("ms", 1_000_000),
            _ => ("s", 1_000_000_000),
        };
        let (whole, rest) = (self.0 / per, self.0 % per * 100 / per);
        if rest == 0 { write!(f, "{whole} {unit}") } else { write!(f, "{whole}.{rest:02} {unit}") }
    }
}

/// A moment in seconds, exact.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        match f.width() {
            Some(width) => write!(f, "{text:>width$}"),
            None => f.write_str(&text),
        }
    }
}

/// How fast a source runs.
struct Rate(u64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, parts) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let digits = format!("{parts:09}");
        match digits.trim_end_matches('0') {
            "" => write!(f, "x{whole}"),
            some => write!(f, "x{whole}.{some}"),
        }
    }
}
