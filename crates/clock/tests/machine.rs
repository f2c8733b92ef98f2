//! The report on this machine: figures that cannot be wrong on any machine.

use tlease_clock::Profile;
use tlease_clock::machine::{MachineReport, Transactions};
use tlease_core::time::Span;

#[test]
fn the_report_on_this_machine_is_consistent() {
    let watch = Span::from_millis(200);
    let report = MachineReport::measure(&Profile::host(), watch).expect("a clock and some memory");
    println!("{report:#?}");
    assert!(report.gaps.watched >= watch);
    assert!(report.gaps.longest_unseen <= report.gaps.longest);
    assert!(report.gaps.longest <= report.gaps.watched);
    assert!(report.publish_margin() >= Span::from_nanos(500_000));
    assert!(report.costs.clock_read_ns > 0.0 && report.costs.check_ns > 0.0);
    let commits = report.transactions == Transactions::Commit;
    assert_eq!(report.costs.commit_ns.is_some(), commits && report.vdso);
    assert!(report.costs.commit_success_percent.is_none_or(|percent| percent > 99.0));
    if let Some(ratio) = report.cycle_ratio {
        assert!(commits);
        assert!(0.05 < ratio.p1 && ratio.p1 <= ratio.median && ratio.median <= ratio.p99);
    }
    if let Some(sight) = report.restartable {
        assert!(!sight.plain_call, "no kernel clears the mark for a call that returns at once");
        assert!(!sight.nothing, "the mark is lost by itself");
    }
    assert_eq!(report.profile.starts_with("host-unattested"), !report.continuity);
}
