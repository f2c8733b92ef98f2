//! Leases over real sockets: taken, renewed, handed over, given back, across an orderly restart.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]

mod common;

use std::time::Duration;

use common::{Client, Home, Running, SECOND, acquire, acquire_and_wait, name};
use tlease_core::granter::Exit;
use tlease_core::identity::Rights;
use tlease_core::message::{Answer, Ask, Force, FromGranter, Op, Reply, Wait};
use tlease_core::refusal::Refusal;
use tlease_core::time::Span;
use tlease_wire::GoodbyeReason;

#[test]
fn a_lease_is_taken_renewed_and_given_back_over_each_kind_of_socket() {
    let home = Home::new();
    let granter = home.start();
    let in_process = granter.control.connect(Rights::Holder).unwrap();
    let clients = [granter.client(), Client::at(&home.socket()), Client::over_unix(in_process)];
    let mut last_fence = None;
    for (number, mut client) in (1..).zip(clients) {
        client.open(number);
        let grant = client.take("job", SECOND);
        assert!(Some(grant.fence) > last_fence);
        last_fence = Some(grant.fence);
        assert!(matches!(client.renew("job", grant.fence), Reply::Renewed(_)));
        let release = Op::Release { name: name("job"), fence: grant.fence };
        assert_eq!(client.call(release.clone()), Reply::Released { was_held: true });
        assert_eq!(client.call(release), Reply::Released { was_held: false });
    }
    assert_eq!(granter.stop(), Exit::Settled);
}

#[test]
fn a_waiter_is_offered_the_name_as_soon_as_it_is_released() {
    let home = Home::new();
    let granter = home.start();
    let (mut first, mut second) = (granter.session(1), granter.session(2));
    let grant = first.take("job", Span::from_secs(60));
    let waiting = second.ask_for(acquire_and_wait("job", SECOND, Wait::Unbounded));
    assert!(matches!(second.reply_to(waiting), Reply::Queued { ahead: 0, .. }));
    first.call(Op::Release { name: name("job"), fence: grant.fence });
    let Reply::Offered { grant: offered, .. } = second.reply_to(waiting) else {
        panic!("no offer")
    };
    assert!(offered.fence > grant.fence);
    assert!(matches!(second.renew("job", offered.fence), Reply::Renewed(_)));
}

#[test]
fn a_lease_that_is_not_renewed_goes_to_the_next_by_the_granters_own_timer() {
    let home = Home::new();
    let granter = home.start();
    let (mut first, mut second) = (granter.session(1), granter.session(2));
    let before = common::now();
    first.take("job", Span::from_millis(200));
    let waiting = second.ask_for(acquire_and_wait("job", SECOND, Wait::Unbounded));
    assert!(matches!(second.reply_to(waiting), Reply::Queued { .. }));
    assert!(matches!(second.reply_to(waiting), Reply::Offered { .. }));
    assert!(before.elapsed().as_millis() >= 200);
}

#[test]
fn a_thousand_requests_in_one_write_are_answered_in_order() {
    let home = Home::new();
    let granter = home.start();
    let mut client = granter.session(1);
    let grant = client.take("job", Span::from_secs(60));
    let renew = Op::Renew { name: name("job"), fence: grant.fence, term: None };
    let ids: Vec<_> = (0..1000).map(|_| client.ask_for(renew.clone())).collect();
    for expected in ids {
        let FromGranter::Reply { id, reply: Reply::Renewed(_), .. } = client.hear() else {
            panic!("no renewal")
        };
        assert_eq!(id, expected);
    }
    let counts = granter.metrics.snapshot();
    assert!(counts.messages_in >= 1002 && counts.messages_out >= 1002);
    assert!(counts.turns < 500, "{} turns: requests are not batched", counts.turns);
}

#[test]
fn a_session_that_is_opened_again_closes_its_earlier_connection() {
    let home = Home::new();
    let granter = home.start();
    let mut old = granter.session(1);
    let grant = old.take("job", Span::from_secs(60));
    let mut new = granter.client();
    new.open_from(1, 100);
    assert_eq!(old.hear_goodbye().reason, GoodbyeReason::Superseded);
    assert!(matches!(new.renew("job", grant.fence), Reply::Renewed(_)));
}

#[test]
fn only_the_operators_socket_may_recall_by_force() {
    let home = Home::new();
    let granter = home.start();
    let mut holder = granter.session(1);
    let grant = holder.take("job", Span::from_secs(60));
    let recall = Ask::Recall { name: name("job"), grace: Span::ZERO, force: Force::Now };
    for mut client in [granter.client(), Client::at(&home.socket())] {
        assert_eq!(client.answer(recall.clone()), Answer::Refused(Refusal::NotOperator));
    }
    let mut operator = Client::at(&home.path().join("operator"));
    assert_eq!(operator.answer(recall), Answer::Recalling { holders: 1 });
    assert!(matches!(
        holder.hear(),
        FromGranter::Recalled { fence, .. } if fence == grant.fence
    ));
}

#[test]
fn an_orderly_exit_tells_the_clients_and_what_the_next_start_waits() {
    let home = Home::new();
    let granter = home.start();
    assert_eq!(granter.ready.wait, None);
    let mut client = granter.session(1);
    client.take("job", Span::from_secs(5));
    assert!(matches!(granter.stop(), Exit::LeasesLive { wait } if wait >= Span::from_secs(5)));
    assert_eq!(client.hear_goodbye().reason, GoodbyeReason::NotServing);

    let granter = home.start();
    assert_eq!(granter.ready.incarnation.get(), 2);
    assert!(granter.ready.wait >= Some(Span::from_secs(5)));
    let mut client = granter.client();
    assert!(client.open(1).wait_left.is_some());
    assert!(matches!(
        client.call(acquire("job", SECOND)),
        Reply::Refused(Refusal::RestartWait { .. })
    ));
}

#[test]
fn an_exit_with_nothing_held_saves_the_next_start_the_wait() {
    let home = Home::new();
    let granter = home.start();
    let mut client = granter.session(1);
    let fence = client.take("job", Span::from_secs(3600)).fence;
    client.call(Op::Release { name: name("job"), fence });
    assert_eq!(granter.stop(), Exit::Settled);
    let granter = home.start();
    assert_eq!(granter.ready.wait, None);
    assert!(granter.session(2).take("job", SECOND).fence > fence);
}

#[test]
fn what_was_sent_just_before_the_end_of_a_connection_is_done() {
    let home = Home::new();
    let granter = home.start();
    for round in 0..50 {
        let mut leaver = Client::at(&home.socket());
        leaver.open(round + 10);
        let fence = leaver.take("job", Span::from_secs(3600)).fence;
        // Unread replies are on their way to it when it is gone.
        for _ in 0..20 {
            leaver.ask_for(Op::Renew { name: name("job"), fence, term: None });
        }
        leaver.ask_for(Op::Release { name: name("job"), fence });
        leaver.flush();
        drop(leaver);
        let mut next = granter.session(1);
        next.epoch.expect("open");
        common::until("the release", || {
            matches!(next.answer(Ask::Get { name: name("job") }), Answer::Entry(None))
        });
    }
}

#[test]
fn a_granter_started_on_demand_stops_when_nobody_needs_it() {
    let home = Home::new();
    let mut config = home.config();
    config.stop_when_idle = Some(Duration::from_millis(20));
    let granter = Running::start(config);
    let mut client = granter.session(1);
    // Longer than it would wait: while a client is there, and while a lease is, it stays.
    let before = common::now();
    client.take("job", Span::from_millis(300));
    drop(client);
    assert_eq!(granter.wait(), Exit::Settled);
    assert!(before.elapsed() >= Duration::from_millis(300));
    assert_eq!(home.start().ready.wait, None);
}
