//! A machine's report as JSON. Units last in the names.

use super::keeping::Keeping;
use super::verdict::{self, Commit};
use crate::show::object;
use serde_json::{Map, Value, json};
use tlease_clock::machine::{MachineReport, Transactions};

pub(super) fn report(report: &MachineReport, keeping: &Keeping) -> Map<String, Value> {
    let MachineReport { costs, gaps, trusted_hardware, .. } = report;
    object([
        ("profile", report.profile.clone().into()),
        ("continuity", report.continuity.into()),
        ("cpu", report.cpu.to_string().into()),
        ("hypervisor", report.hypervisor.into()),
        ("clocksource", report.clocksource.clone().into()),
        ("invariant_counter", report.invariant_counter.into()),
        ("vdso", report.vdso.into()),
        (
            "transactions",
            match report.transactions {
                Transactions::Absent => "absent",
                Transactions::NeverCommit => "never-commit",
                Transactions::TurnedOff => "turned-off",
                Transactions::Commit => "commit",
            }
            .into(),
        ),
        (
            "restartable",
            report.restartable.map_or(Value::Null, |sight| {
                json!({
                    "sees_blocking_call": sight.blocking_call,
                    "sees_plain_call": sight.plain_call,
                    "sees_nothing": sight.nothing,
                })
            }),
        ),
        ("clock_read_ns", costs.clock_read_ns.into()),
        ("check_ns", costs.check_ns.into()),
        ("commit_ns", costs.commit_ns.into()),
        ("commit_success_percent", costs.commit_success_percent.into()),
        ("publish_ns", costs.publish_ns.into()),
        ("watched_ns", gaps.watched.as_nanos().into()),
        ("gaps_per_second", gaps.per_second().into()),
        ("longest_gap_ns", gaps.longest.as_nanos().into()),
        ("longest_unseen_gap_ns", gaps.longest_unseen.as_nanos().into()),
        ("longest_stretch_ns", gaps.longest_stretch.as_nanos().into()),
        (
            "counter_ticks_per_cycle",
            report.cycle_ratio.map_or(Value::Null, |ratio| {
                json!({
                    "median": ratio.median,
                    "p1": ratio.p1,
                    "p99": ratio.p99,
                    "samples": ratio.samples,
                })
            }),
        ),
        (
            "trusted_hardware",
            json!({
                "sgx_cpu": trusted_hardware.sgx_cpu,
                "sgx_device": trusted_hardware.sgx_device,
                "tdx_guest": trusted_hardware.tdx_guest,
                "snp_guest": trusted_hardware.snp_guest,
            }),
        ),
        ("timekeepers", keeping.json()),
        ("can_commit", (verdict::commit(report) == Commit::Yes).into()),
        ("can_publish", verdict::publish(report).name().into()),
        ("publish_margin_ns", report.publish_margin().as_nanos().into()),
    ])
}
