//! A machine's report in words.

use super::keeping::Keeping;
use super::verdict;
use std::time::Duration;
use tlease_clock::machine::{MachineReport, MarkSight, Transactions, TrustedHardware};
use tlease_core::time::Span;

pub(super) fn report(report: &MachineReport, keeping: &Keeping) -> String {
    let sections = [
        section("This machine", &machine(report)),
        section("What a lease costs here", &costs(report)),
        section("How steadily code runs here", &steadiness(report)),
        section("How timekeepers would fare here", &keeping.rows()),
        section("What follows", &consequences(report)),
    ];
    sections.join("\n\n")
}

pub(super) type Row = (&'static str, String);

fn machine(report: &MachineReport) -> Vec<Row> {
    let place =
        if report.hypervisor { ", in a virtual machine" } else { ", no hypervisor announced" };
    let source = report.clocksource.as_deref().unwrap_or("unknown");
    let read = if report.vdso { "read without a system call" } else { "each read a system call" };
    let counter = match report.invariant_counter {
        true => "steady: one rate in all power states",
        false => "not steady: its rate or its running depends on power states",
    };
    vec![
        ("CPU", format!("{}{place}", report.cpu)),
        ("clock", format!("{source}, {read}")),
        ("cycle counter", counter.into()),
        ("hardware transactions", transactions(report.transactions).into()),
        ("restartable sequences", report.restartable.map_or("no".into(), mark)),
        ("trusted hardware", hardware(&report.trusted_hardware)),
    ]
}

const fn transactions(transactions: Transactions) -> &'static str {
    match transactions {
        Transactions::Absent => "no",
        Transactions::NeverCommit => "announced, but none commits",
        Transactions::TurnedOff => "yes, turned off by TLEASE_NO_RTM=1",
        Transactions::Commit => "yes, and they commit",
    }
}

fn mark(sight: MarkSight) -> String {
    let what = match (sight.nothing, sight.blocking_call, sight.plain_call) {
        (true, _, _) => "yes, but their mark is lost without a cause: something else uses it",
        (false, true, false) => "yes; their mark notices a thread that was off its CPU",
        (false, true, true) => "yes; their mark notices every system call",
        (false, false, _) => "yes; their mark misses a thread that blocked (newer kernels)",
    };
    what.into()
}

fn hardware(found: &TrustedHardware) -> String {
    let kinds = [
        (found.sgx_device, "SGX enclaves"),
        (found.sgx_cpu && !found.sgx_device, "SGX in the CPU, but not offered by the kernel"),
        (found.tdx_guest, "this is a TDX guest"),
        (found.snp_guest, "this is an SEV-SNP guest"),
    ];
    let found: Vec<_> = kinds.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
    match found.is_empty() {
        true => "none (SGX, TDX, SEV-SNP)".into(),
        false => format!("{}; not used in this version", found.join(", ")),
    }
}

fn costs(report: &MachineReport) -> Vec<Row> {
    let costs = &report.costs;
    let nanos = |nanos: Option<f64>| nanos.map_or("-".into(), |nanos| format!("{nanos:.0} ns"));
    let commit = match costs.commit_success_percent {
        Some(percent) => format!("{}, {percent:.2} % of calls", nanos(costs.commit_ns)),
        None => "-".into(),
    };
    vec![
        ("read the clock", nanos(Some(costs.clock_read_ns))),
        ("check (advice)", nanos(Some(costs.check_ns))),
        ("commit one store", commit),
        ("publish one word", nanos(costs.publish_ns)),
    ]
}

fn steadiness(report: &MachineReport) -> Vec<Row> {
    let gaps = &report.gaps;
    let interrupted = format!(
        "{:.0} times a second for over a microsecond, at longest {} (watched for {})",
        gaps.per_second(),
        short(gaps.longest),
        short(gaps.watched)
    );
    let mut rows = vec![
        ("interrupted", interrupted),
        (
            "unreported",
            format!("at longest {}: nothing marks such a pause", short(gaps.longest_unseen)),
        ),
        ("uninterrupted", format!("at longest {}", short(gaps.longest_stretch))),
    ];
    if let Some(ratio) = report.cycle_ratio {
        let spread = 100.0 * ratio.spread();
        let ratio = format!(
            "{:.3} (median), spread {spread:.1} % over {} samples",
            ratio.median, ratio.samples
        );
        rows.push(("counter ticks per cycle", ratio));
    }
    rows
}

fn consequences(report: &MachineReport) -> Vec<Row> {
    let continuity = match report.continuity {
        true => "shown, or vouched for: a lease is suspect after a migration, snapshot or clone.",
        false => {
            "NOT shown: a snapshot, clone, migration or CRIU restore can extend a lease unnoticed. Fence \
             at the resource, or vouch with --assume-bare-metal if none of these can happen."
        }
    };
    let margin = format!("{}, for a publish without transactions", short(report.publish_margin()));
    vec![
        ("profile", report.profile.clone()),
        ("continuity of time", continuity.into()),
        ("lease.commit", verdict::commit(report).sentence().into()),
        ("lease.publish", verdict::publish(report).sentence().into()),
        ("margin", margin),
        ("lease.check", "advice: true when asked, perhaps not any more when you act on it.".into()),
        (
            "lease.fence",
            "always: a resource that refuses older fences is safe whatever happens.".into(),
        ),
        (
            "tlease run",
            "yes: the command is dead before its lease is over; see 'run --explain'.".into(),
        ),
    ]
}

fn section(heading: &str, rows: &[Row]) -> String {
    let mut text = heading.to_owned();
    for (name, value) in rows {
        let lines = wrap(value, LINE - NAME);
        for (index, line) in lines.iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            text.push_str(&format!("\n  {name:NAME$}{line}"));
        }
    }
    text
}

/// Words in lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A span from nanoseconds to seconds, with three digits.
fn short(span: Span) -> String {
    format!("{:.1?}", Duration::from(span))
}

const NAME: usize = 25;
const LINE: usize = 98;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_go_on_in_the_next_line() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdef g", 3), ["abcdef", "g"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
