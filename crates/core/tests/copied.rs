//! A machine that may be a copy: two holders with one session, of which neither may go on with it.

mod support;

use support::granter::{self, reply_to};
use support::holder::{Bench, changes, grant, ops, requests};
use support::{exclusive, shared};
use tlease_core::holder::{Change, Ending, Handle, Input, Output, View};
use tlease_core::identity::{Secret, SessionId};
use tlease_core::message::{FromGranter, Op, Reply, ToGranter};
use tlease_core::time::Span;

const NEW: (SessionId, Secret) = (SessionId([8; 16]), Secret([9; 16]));

fn copied() -> Input {
    Input::Copied { session: NEW.0, secret: NEW.1 }
}

/// A holder of one lease, which wants another name and is being given back a third.
fn busy() -> Bench {
    let mut bench = Bench::open();
    bench.hold(1, exclusive("held"), 7);
    bench.hold(2, exclusive("given back"), 8);
    bench.want(3, exclusive("wanted"));
    bench.feed(Input::Release { handle: Handle(2) });
    bench
}

#[test]
fn every_lease_ends_with_its_guard_first_and_nothing_is_said_under_the_old_session() {
    let mut bench = busy();
    bench.segment = 1;
    let outputs = bench.feed(copied());
    let closed = outputs.iter().position(|o| matches!(o, Output::Close { handle: Handle(1) }));
    let reconnects = outputs.iter().position(|o| matches!(o, Output::Reconnect));
    assert!(closed.is_some() && closed < reconnects, "{outputs:?}");
    assert!(!outputs.iter().any(|o| matches!(o, Output::Send(_))), "{outputs:?}");
    assert!(changes(&outputs).contains(&Change::Ended(Ending::Copied)), "{outputs:?}");
    let ended = [1, 2, 3].map(|handle| bench.view(handle));
    assert_eq!(ended, [View::Ended(Ending::Copied), View::Ended(Ending::Released), View::Pending]);
}

#[test]
fn a_lease_that_is_over_by_then_is_not_released_in_the_name_of_the_other_copy() {
    let mut bench = busy();
    bench.now += 10_000_000_000;
    let outputs = bench.feed(copied());
    assert!(!outputs.iter().any(|o| matches!(o, Output::Send(_))), "{outputs:?}");
    assert_eq!(bench.view(1), View::Ended(Ending::Expired));
}

#[test]
fn what_is_wanted_is_asked_for_by_the_new_session() {
    let mut bench = busy();
    bench.feed(copied());
    let opening = bench.feed(Input::Connected);
    let [Output::Send(ToGranter::Open { session, secret }), ..] = &opening[..] else {
        panic!("an opening: {opening:?}")
    };
    assert!(*session == NEW.0 && secret.matches(&NEW.1));
    let sent = ops(&bench.feed(Input::Received(support::holder::opened(1, 1))));
    assert_eq!(sent, [Op::Acquire(exclusive("wanted"))]);
}

#[test]
fn no_reply_to_the_old_session_gives_anything_back() {
    let mut bench = busy();
    let renewal = requests(&bench.feed(Input::Renew { handle: Handle(1), term: None }));
    let wish = requests(&bench.want(4, shared("more")));
    bench.feed(copied());
    for (id, reply) in [
        (wish[0].id, Reply::Granted(grant(9, Span::from_secs(5)))),
        (renewal[0].id, Reply::RenewedAll),
    ] {
        let outputs = bench.feed(Input::Received(FromGranter::Reply { id, reply, moved: None }));
        assert!(!outputs.iter().any(|o| matches!(o, Output::Hold { .. })), "{outputs:?}");
    }
    assert_eq!([bench.view(1), bench.view(4)], [View::Ended(Ending::Copied), View::Pending]);
}

/// What the rule is for: a granter cannot tell copies apart.
#[test]
fn a_granter_renews_for_whichever_copy_asks() {
    let mut bench = granter::Bench::new();
    let original = bench.open(1, 1);
    let lease = bench.grant(original, Op::Acquire(exclusive("jobs")));
    let copy = bench.open(1, 2);
    let renewal = Op::Renew { name: support::holder::name("jobs"), fence: lease.fence, term: None };
    let (id, outputs) = bench.request(copy, renewal);
    assert!(matches!(reply_to(id, &outputs), Some(Reply::Renewed(_))), "{outputs:?}");
}
