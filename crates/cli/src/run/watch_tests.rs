use super::*;

/// The clock `ms` after the start.
fn at(ms: u64) -> RawInstant {
    RawInstant::from_nanos(1_000_000_000 + ms * 1_000_000)
}

fn deadline(ms: u64) -> Event {
    Event::Deadline(at(ms))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A command that has been running since 0, with a deadline at 1000, a margin of 250 and a grace
/// of 300.
fn running() -> Watch {
    let mut watch = Watch::new(ms(300));
    assert_eq!(watch.handle(at(0), Event::Margin(ms(250))), None);
    assert_eq!(watch.handle(at(0), deadline(1_000)), None);
    let opened = watch.handle(at(0), Event::Start { fence: 7 });
    assert_eq!(opened, Some(Act::Open { fence: 7 }));
    watch
}

#[test]
fn kills_at_the_margin_and_not_before() {
    let mut watch = running();
    assert_eq!(watch.handle(at(749), Event::Tick), None);
    assert_eq!(watch.handle(at(750), Event::Tick), Some(Act::Kill(Why::DeadlineNear)));
    assert!(watch.is_killing());
}

#[test]
fn a_renewal_moves_the_kill_and_a_late_one_that_was_overtaken_does_not_move_it_back() {
    let mut watch = running();
    assert_eq!(watch.handle(at(500), deadline(1_500)), None);
    assert_eq!(watch.handle(at(500), deadline(1_200)), None);
    assert_eq!(watch.handle(at(1_249), Event::Tick), None);
    assert_eq!(watch.handle(at(1_250), Event::Tick), Some(Act::Kill(Why::DeadlineNear)));
}

#[test]
fn a_renewal_that_arrived_while_everything_was_stopped_counts_before_the_clock_is_judged() {
    let mut watch = running();
    assert_eq!(watch.handle(at(900), deadline(1_500)), None);
    assert_eq!(watch.handle(at(900), Event::Tick), None);
}

#[test]
fn killing_is_final() {
    let mut watch = running();
    assert_eq!(watch.handle(at(800), Event::Tick), Some(Act::Kill(Why::DeadlineNear)));
    for event in
        [deadline(9_000), Event::Tick, Event::Lost, Event::FrontGone, Event::Start { fence: 8 }]
    {
        assert_eq!(watch.handle(at(801), event), None, "{event:?}");
    }
    assert!(watch.is_killing());
}

#[test]
fn nothing_starts_without_a_lease_nor_within_the_margin() {
    let start = Event::Start { fence: 1 };
    let mut watch = Watch::new(ms(300));
    assert_eq!(watch.handle(at(0), start), Some(Act::Kill(Why::Lost)));

    let mut watch = Watch::new(ms(300));
    assert_eq!(watch.handle(at(0), deadline(1_000)), None);
    assert_eq!(watch.handle(at(0), start), Some(Act::Kill(Why::DeadlineNear)), "no margin known");

    let mut watch = Watch::new(ms(300));
    assert_eq!(watch.handle(at(0), Event::Margin(ms(250))), None);
    assert_eq!(watch.handle(at(0), deadline(1_000)), None);
    assert_eq!(watch.handle(at(751), start), Some(Act::Kill(Why::DeadlineNear)));
}

#[test]
fn starts_only_once() {
    let mut watch = running();
    assert_eq!(watch.handle(at(1), Event::Start { fence: 8 }), None);
}

#[test]
fn a_command_whose_supervisor_died_is_asked_first_and_killed_after_the_grace() {
    for (event, why) in
        [(Event::SupervisorGone, Why::SupervisorGone), (Event::FrontGone, Why::FrontGone)]
    {
        let mut watch = running();
        assert_eq!(watch.handle(at(100), event), Some(Act::Ask(why)));
        assert_eq!(watch.handle(at(399), Event::Tick), None);
        assert_eq!(watch.handle(at(400), Event::Tick), Some(Act::Kill(why)));
    }
}

#[test]
fn no_grace_goes_beyond_the_margin() {
    let mut watch = running();
    assert_eq!(watch.handle(at(700), Event::FrontGone), Some(Act::Ask(Why::FrontGone)));
    assert_eq!(watch.handle(at(750), Event::Tick), Some(Act::Kill(Why::FrontGone)));
}

#[test]
fn a_recall_leaves_the_margin_of_what_it_grants() {
    let mut watch = running();
    let recalled = Event::Recalled { within: ms(350) };
    assert_eq!(watch.handle(at(0), recalled), Some(Act::Ask(Why::Recalled)));
    assert_eq!(watch.handle(at(99), Event::Tick), None);
    assert_eq!(watch.handle(at(100), Event::Tick), Some(Act::Kill(Why::Recalled)));
}

#[test]
fn a_second_reason_only_tightens() {
    let mut watch = running();
    assert_eq!(watch.handle(at(0), Event::FrontGone), Some(Act::Ask(Why::FrontGone)));
    assert_eq!(watch.handle(at(0), Event::Recalled { within: ms(260) }), None);
    assert_eq!(watch.handle(at(10), Event::Tick), Some(Act::Kill(Why::FrontGone)));
}

#[test]
fn what_a_command_leaves_behind_is_killed_at_once() {
    let mut watch = running();
    assert_eq!(watch.handle(at(5), Event::CommandEnded), Some(Act::Kill(Why::CommandEnded)));
    let finished =
        Act::Finish(Outcome { why: Why::CommandEnded, took: ms(3), lateness: Lateness::InTime });
    assert_eq!(watch.handle(at(8), Event::Empty), Some(finished));
}

#[test]
fn a_command_that_ends_because_it_was_recalled_ended_by_recall() {
    let mut watch = running();
    assert!(watch.handle(at(0), Event::Recalled { within: ms(500) }).is_some());
    assert_eq!(watch.handle(at(5), Event::CommandEnded), Some(Act::Kill(Why::Recalled)));
}

#[test]
fn a_suspend_kills_although_the_raw_clock_stood_still_and_nobody_knows_if_in_time() {
    let mut watch = running();
    assert_eq!(watch.handle(at(10), Event::Suspended), Some(Act::Kill(Why::Suspended)));
    let outcome = Outcome { why: Why::Suspended, took: ms(2), lateness: Lateness::Unknown };
    assert_eq!(watch.handle(at(12), Event::Empty), Some(Act::Finish(outcome)));
}

#[test]
fn a_suspend_while_killing_makes_the_end_unknown() {
    let mut watch = running();
    assert!(watch.handle(at(10), Event::Lost).is_some());
    assert_eq!(watch.handle(at(11), Event::Suspended), None);
    let outcome = Outcome { why: Why::Lost, took: ms(2), lateness: Lateness::Unknown };
    assert_eq!(watch.handle(at(12), Event::Empty), Some(Act::Finish(outcome)));
}

#[test]
fn an_overrun_is_told_once_and_measured_from_the_last_deadline() {
    let mut watch = running();
    assert!(watch.handle(at(800), Event::Tick).is_some());
    assert_eq!(watch.handle(at(900), deadline(1_100)), None);
    assert_eq!(watch.handle(at(1_099), Event::Tick), None);
    assert_eq!(watch.handle(at(1_100), Event::Tick), Some(Act::TellOverdue));
    assert_eq!(watch.handle(at(1_101), Event::Tick), None);
    let finished = Act::Finish(Outcome {
        why: Why::DeadlineNear,
        took: ms(350),
        lateness: Lateness::After(ms(50)),
    });
    assert_eq!(watch.handle(at(1_150), Event::Empty), Some(finished));
}

#[test]
fn waits_shrink_towards_the_kill_and_never_jump_over_it() {
    let watch = running();
    let (mut now_ms, mut looks) = (0.0_f64, 0);
    while now_ms < 750.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small, positive"
        )]
        let wait = watch.wait_at_most(at(now_ms as u64));
        // The clock of the wait runs as slow as the kernel ever steers it.
        now_ms += wait.as_secs_f64() * 1_000.0 / 0.9;
        looks += 1;
    }
    assert!(now_ms < 752.5, "slept past the kill until {now_ms} ms");
    assert!(looks < 40, "{looks} wake-ups in one term");
}
