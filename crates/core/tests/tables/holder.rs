//! The holder's table: one lease, or the wish for one, and how the granter is reached.

use std::fmt::Write;

use tlease_core::holder::{Handle, Input, Output, Renewal};
use tlease_core::identity::{RequestId, Secret, SessionId};
use tlease_core::message::{
    Acquire, Force, FromGranter, Grant, Recall, Renewed, RenewedSome, Reply, Tag, ToGranter,
};
use tlease_core::refusal::Refusal;
use tlease_core::time::Span;

use super::{brief, line};
use crate::support::holder::{Bench, fence, name, opened, requests};
use crate::support::{exclusive, shared};

/// A holder in one state, and the last request that was not answered.
struct Case {
    bench: Bench,
    pending: RequestId,
}

type State = (&'static str, fn() -> Case);
/// What happens after some milliseconds, in some segment.
type Try = (&'static str, u64, u64, fn(&Case) -> Input);

const TERM: Span = Span::from_secs(5);

pub(crate) fn table() -> String {
    let mut table = String::new();
    for (state, make) in STATES {
        writeln!(table, "\n{state}").expect("a string");
        for (input, millis, segment, what) in INPUTS {
            let mut case = make();
            case.bench.now += millis * 1_000_000;
            case.bench.segment += segment;
            let what = what(&case);
            let outputs: Vec<String> = case.bench.feed(what).iter().map(output).collect();
            let moment = case.bench.moment();
            let view = |handle| case.bench.holder.view(Handle(handle), moment);
            let after = match (view(1), view(2)) {
                (first, None) => brief(&first),
                (first, Some(second)) => format!("{}, {}", brief(&first), brief(&second)),
            };
            line(&mut table, input, &outputs, &after);
        }
    }
    table
}

fn output(output: &Output) -> String {
    match output {
        Output::Send(ToGranter::Request(request)) => {
            format!("Send {} {}", brief(&request.id), brief(&request.op))
        }
        Output::Send(_)
        | Output::Reconnect
        | Output::Hold { .. }
        | Output::Suspend { .. }
        | Output::Close { .. }
        | Output::Changed { .. }
        | Output::Opened(_)
        | Output::NotOpened(_)
        | Output::WakeAt { .. } => brief(output),
    }
}

const STATES: &[State] = &[
    ("down, nothing wanted", || case(Bench::new(), &[])),
    ("down, wanted", || {
        let mut bench = Bench::new();
        let outputs = bench.want(1, exclusive("n"));
        case(bench, &outputs)
    }),
    ("opening, wanted", || {
        let mut bench = Bench::new();
        bench.want(1, exclusive("n"));
        let outputs = bench.feed(Input::Connected);
        case(bench, &outputs)
    }),
    ("open, nothing wanted", || case(Bench::open(), &[])),
    ("wanted", wanted),
    ("queued", || {
        let mut case = wanted();
        case.bench.reply(case.pending, Reply::Queued { ahead: 1, wait_left: None });
        case
    }),
    ("confirming an offer", || {
        let mut before = wanted();
        let offer = Reply::Offered { grant: grant(), life: Span::from_secs(1) };
        let outputs = before.bench.reply(before.pending, offer);
        case(before.bench, &outputs)
    }),
    ("held", held),
    ("held by hand", || {
        let mut bench = Bench::open();
        let (handle, renewal) = (Handle(1), Renewal::ByHand);
        let acquire = exclusive("n");
        let outputs = bench.feed(Input::Acquire { handle, acquire, renewal });
        let asked = requests(&outputs)[0].id;
        let outputs = bench.reply(asked, Reply::Granted(grant()));
        case(bench, &outputs)
    }),
    ("held, being renewed since 2 s", || after(held(), |bench| bench.pass(Span::from_secs(2)))),
    ("held, in jeopardy, the connection given up", || {
        let mut before = held();
        before.bench.pass(Span::from_secs(2));
        after(before, |bench| bench.pass(Span::from_millis(1_800)))
    }),
    ("suspect, being renewed", || {
        after(held(), |bench| {
            bench.segment = 1;
            bench.feed(Input::Wake)
        })
    }),
    ("recalled, 2 s of grace", || {
        after(held(), |bench| bench.feed(recalled(7, Span::from_secs(2), Force::Grace)))
    }),
    ("shared", || {
        let mut bench = Bench::open();
        bench.hold(1, shared("n"), 7);
        case(bench, &[])
    }),
    ("downgrading", || after(held(), |bench| bench.feed(Input::Downgrade { handle: Handle(1) }))),
    ("held, down", || after(held(), |bench| bench.feed(Input::Disconnected))),
    ("held, opening", || after(held(), |bench| bench.feed(Input::Connected))),
    ("reclaiming", || after(held(), |bench| bench.connect(2, 1))),
    ("releasing", || after(held(), |bench| bench.feed(Input::Release { handle: Handle(1) }))),
    ("withdrawing", || after(wanted(), |bench| bench.feed(Input::Release { handle: Handle(1) }))),
    ("over", || {
        let mut case = after(held(), |bench| bench.pass(Span::from_secs(5)));
        case.bench.reply(case.pending, Reply::Released { was_held: false });
        case
    }),
    ("refused", || {
        let mut case = wanted();
        case.bench.reply(case.pending, Reply::Refused(Refusal::Held { waiters: 0 }));
        case
    }),
    ("forgotten while withdrawing", || {
        after(wanted(), |bench| bench.feed(Input::Forget { handle: Handle(1) }))
    }),
];

fn grant() -> Grant {
    crate::support::holder::grant(7, TERM)
}

fn case(bench: Bench, outputs: &[Output]) -> Case {
    let pending = requests(outputs).last().map_or(RequestId(1), |request| request.id);
    Case { bench, pending }
}

fn after(before: Case, act: fn(&mut Bench) -> Vec<Output>) -> Case {
    let mut bench = before.bench;
    let outputs = act(&mut bench);
    case(bench, &outputs)
}

fn wanted() -> Case {
    let mut bench = Bench::open();
    let outputs = bench.want(1, exclusive("n"));
    case(bench, &outputs)
}

fn held() -> Case {
    let mut bench = Bench::open();
    bench.hold(1, exclusive("n"), 7);
    case(bench, &[])
}

const INPUTS: &[Try] = &[
    ("connected", 0, 0, |_| Input::Connected),
    ("opened in the same life", 0, 0, |_| Input::Received(opened(1, 9))),
    ("opened in the next life", 0, 0, |_| Input::Received(opened(2, 1))),
    ("not opened", 0, 0, |_| Input::Received(FromGranter::NotOpened(Refusal::WrongSecret))),
    ("disconnected", 0, 0, |_| Input::Disconnected),
    ("the user wants the name", 0, 0, |_| want(exclusive("n"))),
    ("the user wants another name", 0, 0, |_| want(exclusive("m"))),
    ("the user renews", 0, 0, |_| Input::Renew { handle: Handle(1), term: None }),
    ("the user renews for 9 s", 0, 0, |_| Input::Renew {
        handle: Handle(1),
        term: Some(Span::from_secs(9)),
    }),
    ("the user releases", 0, 0, |_| Input::Release { handle: Handle(1) }),
    ("the user downgrades", 0, 0, |_| Input::Downgrade { handle: Handle(1) }),
    ("the user forgets", 0, 0, |_| Input::Forget { handle: Handle(1) }),
    ("the machine may be a copy", 0, 0, |_| Input::Copied {
        session: SessionId([2; 16]),
        secret: Secret([2; 16]),
    }),
    ("a wake-up", 0, 0, |_| Input::Wake),
    ("a wake-up 2 s later", 2_000, 0, |_| Input::Wake),
    ("a wake-up 4 s later", 4_000, 0, |_| Input::Wake),
    ("a wake-up 6 s later", 6_000, 0, |_| Input::Wake),
    ("a wake-up in a new segment", 1, 1, |_| Input::Wake),
    ("granted", 1_000, 0, |c| reply(c, Reply::Granted(grant()))),
    ("granted, dead on arrival", 5_000, 0, |c| reply(c, Reply::Granted(grant()))),
    ("granted in a new segment", 1_000, 1, |c| reply(c, Reply::Granted(grant()))),
    ("offered", 0, 0, |c| reply(c, Reply::Offered { grant: grant(), life: Span::from_secs(1) })),
    ("queued", 0, 0, |c| reply(c, Reply::Queued { ahead: 3, wait_left: None })),
    ("renewed", 1_000, 0, |c| reply(c, renewed(TERM))),
    ("renewed for 9 s", 1_000, 0, |c| reply(c, renewed(Span::from_secs(9)))),
    ("renewed for 1 s", 0, 0, |c| reply(c, renewed(Span::from_secs(1)))),
    ("renewed in a new segment", 0, 1, |c| reply(c, renewed(TERM))),
    ("renewed and recalled, 1 s of grace", 0, 0, |c| {
        reply(c, renewed_and_recalled(Span::from_secs(1), Force::Grace))
    }),
    ("renewed and recalled by force", 0, 0, |c| {
        reply(c, renewed_and_recalled(Span::ZERO, Force::Now))
    }),
    ("all renewed", 0, 0, |c| reply(c, Reply::RenewedAll)),
    ("of all, this one renewed", 0, 0, |c| reply(c, some(vec![fence(7)], false))),
    ("of all, this one not renewed", 0, 0, |c| reply(c, some(vec![fence(8)], false))),
    ("of all, a first part", 0, 0, |c| reply(c, some(vec![fence(8)], true))),
    ("released", 0, 0, |c| reply(c, Reply::Released { was_held: true })),
    ("withdrawn", 0, 0, |c| reply(c, Reply::Withdrawn)),
    ("downgraded", 0, 0, |c| reply(c, Reply::Downgraded { tag: Tag([2; 16]) })),
    ("reclaimed", 1_000, 0, |c| reply(c, Reply::Reclaimed { tag: Tag([2; 16]) })),
    ("refused: NotHeldHere", 0, 0, |c| reply(c, Reply::Refused(Refusal::NotHeldHere))),
    ("refused: StaleEpoch", 0, 0, |c| reply(c, Reply::Refused(Refusal::StaleEpoch))),
    ("refused: NotReclaimable", 0, 0, |c| reply(c, Reply::Refused(Refusal::NotReclaimable))),
    ("refused: StoreUnavailable", 0, 0, |c| reply(c, Reply::Refused(Refusal::StoreUnavailable))),
    ("a grant for nobody", 0, 0, |_| {
        let (id, reply) = (RequestId(900), Reply::Granted(grant()));
        Input::Received(FromGranter::Reply { id, reply, moved: None })
    }),
    ("recalled, 1 s of grace", 0, 0, |_| recalled(7, Span::from_secs(1), Force::Grace)),
    ("recalled by force", 0, 0, |_| recalled(7, Span::ZERO, Force::Now)),
    ("recalled under another fence", 0, 0, |_| recalled(8, Span::ZERO, Force::Now)),
];

fn want(acquire: Acquire) -> Input {
    Input::Acquire { handle: Handle(2), acquire, renewal: Renewal::Automatic }
}

fn reply(case: &Case, reply: Reply) -> Input {
    Input::Received(FromGranter::Reply { id: case.pending, reply, moved: None })
}

fn renewed(term: Span) -> Reply {
    Reply::Renewed(Renewed { term, tag: None, recall: None })
}

fn renewed_and_recalled(until: Span, force: Force) -> Reply {
    let recall = Some(Recall { until, force });
    Reply::Renewed(Renewed { term: until, tag: None, recall })
}

fn some(fences: Vec<tlease_core::Fence>, more: bool) -> Reply {
    Reply::RenewedSome(RenewedSome { fences, more })
}

fn recalled(number: u64, until: Span, force: Force) -> Input {
    let recall = Recall { until, force };
    Input::Received(FromGranter::Recalled { name: name("n"), fence: fence(number), recall })
}
