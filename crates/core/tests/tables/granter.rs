//! The granter's table: sessions A and B, one name, and how far along the granter's life is.

use std::fmt::Write;

use tlease_core::Disagreement;
use tlease_core::granter::{Input, Leftovers, Limits, Output, Past, PersistId};
use tlease_core::identity::{AskId, Epoch, Peer, RequestId, Rights, Secret};
use tlease_core::message::{
    Acquire, Answer, Ask, Entry, Fingerprint, Force, FromGranter, Grant, Op, Prefix, Reclaim,
    Reply, Request, Tag, ToGranter, Wait,
};
use tlease_core::time::Span;
use tlease_core::{Fence, Mode};

use super::{brief, line};
use crate::support::granter::{Bench, OPERATOR, Session, Writes, secret_of, session_id};
use crate::support::holder::{fence, life, name};
use crate::support::{exclusive, shared};

/// A granter in one state, and what session A believes of it.
struct Case {
    bench: Bench,
    a: Session,
    own: Fence,
    claim: Option<Grant>,
}

type State = (&'static str, fn() -> Case);
type Try = (&'static str, fn(&Case) -> Input);

pub(crate) fn table() -> String {
    let mut table = String::new();
    for (state, make) in STATES {
        writeln!(table, "\n{state}").expect("a string");
        for (input, what) in INPUTS {
            let mut case = make();
            let what = what(&case);
            case.bench.writes = Writes::Wait;
            let outputs: Vec<String> = case.bench.feed(what).iter().map(output).collect();
            let stopped = outputs.iter().any(|output| output.starts_with("Stopped"));
            let after = if stopped { "stopped".to_owned() } else { after(&mut case.bench) };
            line(&mut table, input, &outputs, &after);
        }
    }
    table
}

fn output(output: &Output) -> String {
    match output {
        Output::Send { peer, message } => {
            let to = match peer.0 {
                1 | 11 => format!("A({})", peer.0),
                2 => "B".to_owned(),
                _ => "operator".to_owned(),
            };
            let message = if let FromGranter::Reply { id, reply, .. } = message {
                format!("{} {}", brief(id), brief(reply))
            } else if let FromGranter::Answer { answer, .. } = message {
                brief(answer)
            } else {
                brief(message)
            };
            format!("{to}: {message}")
        }
        Output::Persist { record, .. } => {
            let leftovers = match record.leftovers {
                Leftovers::Possible => "leftovers",
                Leftovers::None => "no leftovers",
            };
            let settled = brief(&record.settled);
            let longest = record.longest_promise;
            format!("Persist(to f{}, {longest}, {settled}, {leftovers})", record.fence_mark)
        }
        Output::Close { .. }
        | Output::WakeAt { .. }
        | Output::Reported { .. }
        | Output::Stopped { .. } => brief(output),
    }
}

/// The name as readers see it, and the granter's own state.
fn after(bench: &mut Bench) -> String {
    let ask = |what| ToGranter::Ask { id: AskId(8), ask: what };
    let mut answers = [Ask::Get { name: name("n") }, Ask::Status].map(|what| {
        bench.feed(Input::Received { peer: OPERATOR, message: ask(what) }).into_iter().find_map(
            |output| match output {
                Output::Send { message: FromGranter::Answer { answer, .. }, .. } => Some(*answer),
                Output::Send { .. }
                | Output::Persist { .. }
                | Output::Close { .. }
                | Output::Reported { .. }
                | Output::WakeAt { .. }
                | Output::Stopped { .. } => None,
            },
        )
    });
    let (Some(Answer::Entry(entry)), Some(Answer::Status(status))) =
        (answers[0].take(), answers[1].take())
    else {
        return "silent".to_owned();
    };
    let waits = status.wait_left.map(|left| format!(", waits {left}")).unwrap_or_default();
    let (sessions, peers) = (status.sessions, status.peers);
    format!("{}, {sessions} sessions, {peers} peers{waits}", shown(entry))
}

fn shown(entry: Option<Entry>) -> String {
    let Some(entry) = entry else { return "free".to_owned() };
    let lease = |lease: &tlease_core::message::EntryLease| {
        let (who, state) = (brief(&lease.session), brief(&lease.state).to_lowercase());
        let (fence, mode, left) = (brief(&lease.fence), lease.mode, lease.remaining);
        format!("{who} {mode} {fence} {state} for {left}")
    };
    let leases: Vec<String> = entry.leases.iter().map(lease).collect();
    let leases = if leases.is_empty() { "nobody".to_owned() } else { leases.join(" + ") };
    match entry.waiters {
        0 => leases,
        waiters => format!("{leases}, {waiters} waiting"),
    }
}

const STATES: &[State] = &[
    ("starting: its record is not durable", starting),
    ("waiting after a restart", waiting),
    ("waiting after a restart, A has reclaimed", reclaimed),
    ("settling: the wait is over and that is not durable", settling),
    ("free", || with(|_, _, _| None)),
    ("A holds", || with(|bench, a, _| Some(bench.grant(a, x())))),
    ("B holds", || with(|bench, _, b| none(bench.grant(b, x())))),
    ("A shares", || with(|bench, a, _| Some(bench.grant(a, s())))),
    ("A and B share", || {
        with(|bench, a, b| {
            bench.grant(b, s());
            Some(bench.grant(a, s()))
        })
    }),
    ("offered to A", || with(|bench, a, b| Some(offered(bench, a, b)))),
    ("offered to B", || with(|bench, a, b| none(offered(bench, b, a)))),
    ("A waits for B", || {
        with(|bench, a, b| {
            let held = bench.grant(b, x());
            bench.reply(a, x());
            none(held)
        })
    }),
    ("B waits for A", || {
        with(|bench, a, b| {
            let held = bench.grant(a, x());
            bench.reply(b, x());
            Some(held)
        })
    }),
    ("B waits to share with A, who holds alone", || {
        with(|bench, a, b| {
            let held = bench.grant(a, x());
            bench.reply(b, s());
            Some(held)
        })
    }),
    ("A holds and is recalled, 2 s of grace", || {
        with(|bench, a, _| {
            let held = bench.grant(a, x());
            recall(bench, Force::Grace);
            Some(held)
        })
    }),
    ("A holds and is recalled by force", || {
        with(|bench, a, _| {
            let held = bench.grant(a, x());
            recall(bench, Force::Now);
            Some(held)
        })
    }),
    ("A's lease is over, and its timer has not fired", || {
        let mut case = with(|bench, a, _| Some(bench.grant(a, x())));
        case.bench.now = crate::support::granter::at(5_000_000_000);
        case
    }),
    ("A holds and has no connection", || {
        let mut case = with(|bench, a, _| Some(bench.grant(a, x())));
        case.bench.feed(Input::Disconnected { peer: case.a.peer });
        case
    }),
    ("A holds and has opened its session elsewhere", || {
        let mut case = with(|bench, a, _| Some(bench.grant(a, x())));
        case.bench.open(1, 11);
        case
    }),
    ("A's acquire waits for the disk", || {
        let mut case = with(|bench, _, _| {
            bench.writes = Writes::Wait;
            None
        });
        let long = Acquire { term: Span::from_secs(50), ..exclusive("n") };
        case.bench.request(case.a, Op::Acquire(long));
        case
    }),
    ("stopping: nothing is held and that is not durable", || {
        let mut case = with(|bench, _, _| {
            bench.writes = Writes::Wait;
            None
        });
        // A grant came and went, so that there is something to write.
        case.bench.writes = Writes::AtOnce;
        let held = case.bench.grant(case.a, x());
        case.bench.reply(case.a, Op::Release { name: name("n"), fence: held.fence });
        case.bench.writes = Writes::Wait;
        case.bench.feed(Input::Stop);
        case
    }),
];

fn x() -> Op {
    Op::Acquire(exclusive("n"))
}

fn s() -> Op {
    Op::Acquire(shared("n"))
}

/// What B has is nothing that A knows a fence of.
fn none(_: Grant) -> Option<Grant> {
    None
}

fn with(make: fn(&mut Bench, Session, Session) -> Option<Grant>) -> Case {
    let mut bench = Bench::new();
    let (a, b) = (bench.open(1, 1), bench.open(2, 2));
    let claim = make(&mut bench, a, b);
    let own = claim.map_or(Fence::FIRST, |grant| grant.fence);
    Case { bench, a, own, claim }
}

fn offered(bench: &mut Bench, to: Session, from: Session) -> Grant {
    let held = bench.grant(from, x());
    let (id, _) = bench.request(to, x());
    let (_, freed) = bench.request(from, Op::Release { name: name("n"), fence: held.fence });
    let reply = crate::support::granter::reply_to(id, &freed);
    let Some(Reply::Offered { grant, .. }) = reply else { panic!("offered: {freed:?}") };
    grant
}

fn recall(bench: &mut Bench, force: Force) {
    bench.ask(Ask::Recall { name: name("n"), grace: Span::from_secs(2), force });
}

fn starting() -> Case {
    let mut before = with(|bench, a, _| Some(bench.grant(a, x())));
    let past = Past::Record(before.bench.disk.take().expect("a record"));
    before.bench = Bench::unborn(Limits::default(), past, 0);
    before
}

fn waiting() -> Case {
    let mut case = with(|bench, a, _| Some(bench.grant(a, x())));
    case.bench.restart();
    case.a = case.bench.open(1, 1);
    case.bench.open(2, 2);
    case
}

fn reclaimed() -> Case {
    let mut case = waiting();
    let claim = claim(&case);
    case.bench.reply(case.a, Op::Reclaim(Box::new(claim)));
    case
}

fn settling() -> Case {
    let mut case = waiting();
    case.bench.writes = Writes::Wait;
    case.bench.pass(Span::from_secs(8));
    case
}

const INPUTS: &[Try] = &[
    ("A acquires, try", |c| acquire(c, Mode::Exclusive, Wait::Try)),
    ("A acquires, at most 1 s", |c| acquire(c, Mode::Exclusive, Wait::AtMost(Span::from_secs(1)))),
    ("A acquires, waits", |c| acquire(c, Mode::Exclusive, Wait::Unbounded)),
    ("A acquires shared, try", |c| acquire(c, Mode::Shared, Wait::Try)),
    ("A acquires shared, waits", |c| acquire(c, Mode::Shared, Wait::Unbounded)),
    ("A acquires for no time", |c| {
        request(c, Op::Acquire(Acquire { term: Span::ZERO, ..exclusive("n") }))
    }),
    ("A acquires for ever", |c| {
        request(c, Op::Acquire(Acquire { term: Span::MAX, ..exclusive("n") }))
    }),
    ("A renews", |c| renew(c, c.own, None)),
    ("A renews under another fence", |c| renew(c, fence(99), None)),
    ("A renews for 9 s", |c| renew(c, c.own, Some(Span::from_secs(9)))),
    ("A renews for ever", |c| renew(c, c.own, Some(Span::MAX))),
    ("A renews all that is its own", |c| renew_all(c, Mode::Exclusive)),
    ("A renews all, shared", |c| renew_all(c, Mode::Shared)),
    ("A releases", |c| request(c, Op::Release { name: name("n"), fence: c.own })),
    ("A releases another fence", |c| request(c, Op::Release { name: name("n"), fence: fence(99) })),
    ("A withdraws", |c| request(c, Op::Withdraw { name: name("n") })),
    ("A downgrades", |c| request(c, Op::Downgrade { name: name("n"), fence: c.own })),
    ("A reclaims", |c| reclaim(c, |_| {})),
    ("A reclaims as shared", |c| reclaim(c, |claim| claim.mode = Mode::Shared)),
    ("A reclaims with a forged tag", |c| reclaim(c, |claim| claim.tag = Tag([9; 16]))),
    ("A reclaims from another life", |c| reclaim(c, |claim| claim.to = life(7))),
    ("A reports that the clocks disagree", |c| {
        let (granter, holder) = (Span::from_secs(1), Span::from_millis(999));
        request(c, Op::Report(Disagreement { granter, holder }))
    }),
    ("A renews in an earlier epoch", |c| {
        let epoch = Epoch { opening: 0, ..c.a.epoch };
        let op = Op::Renew { name: name("n"), fence: c.own, term: None };
        from_a(c, ToGranter::Request(Request { epoch, id: RequestId(500), op }))
    }),
    ("A renews under a used id", |c| {
        let op = Op::Renew { name: name("n"), fence: c.own, term: None };
        from_a(c, ToGranter::Request(Request { epoch: c.a.epoch, id: RequestId(0), op }))
    }),
    ("A opens its session again here", |c| from_a(c, opening(1, secret_of(1)))),
    ("A's session is opened by the operator", |_| from_operator(opening(1, secret_of(1)))),
    ("A's session is opened with a wrong secret", |_| from_operator(opening(1, Secret([0; 16])))),
    ("the operator makes a request without a session", |c| {
        let op = Op::Withdraw { name: name("n") };
        let request = Request { epoch: c.a.epoch, id: RequestId(500), op };
        from_operator(ToGranter::Request(request))
    }),
    ("A asks for the name", |c| ask(c, Ask::Get { name: name("n") })),
    ("A asks for a list", |c| {
        ask(c, Ask::List { prefix: Prefix::default(), after: None, limit: 9 })
    }),
    ("A watches", |c| ask(c, Ask::Watch { prefix: Prefix::default(), after: None })),
    ("A ends a watch it has not", |c| ask(c, Ask::Unwatch { watch: AskId(77) })),
    ("A recalls, 1 s of grace", |c| ask(c, recalling(Force::Grace))),
    ("A recalls by force", |c| ask(c, recalling(Force::Now))),
    ("the operator recalls by force", |_| {
        from_operator(ToGranter::Ask { id: AskId(9), ask: recalling(Force::Now) })
    }),
    ("somebody connects", |_| Input::Connected { peer: Peer(50), rights: Rights::Holder }),
    ("A's connection is gone", |c| Input::Disconnected { peer: c.a.peer }),
    ("a wake-up", |_| Input::Wake),
    ("what is under way is durable", |c| Input::Persisted(under_way(c))),
    ("what is under way failed", |c| Input::PersistFailed(under_way(c))),
    ("something never written is durable", |_| Input::Persisted(PersistId(900))),
    ("stop", |_| Input::Stop),
];

fn under_way(case: &Case) -> PersistId {
    case.bench.unwritten.map_or(PersistId(900), |(id, _)| id)
}

fn request(case: &Case, op: Op) -> Input {
    from_a(case, ToGranter::Request(Request { epoch: case.a.epoch, id: RequestId(500), op }))
}

fn from_a(case: &Case, message: ToGranter) -> Input {
    Input::Received { peer: case.a.peer, message }
}

fn from_operator(message: ToGranter) -> Input {
    Input::Received { peer: OPERATOR, message }
}

fn opening(who: u8, secret: Secret) -> ToGranter {
    ToGranter::Open { session: session_id(who), secret }
}

fn ask(case: &Case, ask: Ask) -> Input {
    from_a(case, ToGranter::Ask { id: AskId(9), ask })
}

fn recalling(force: Force) -> Ask {
    Ask::Recall { name: name("n"), grace: Span::from_secs(1), force }
}

fn acquire(case: &Case, mode: Mode, wait: Wait) -> Input {
    request(case, Op::Acquire(Acquire { mode, wait, ..exclusive("n") }))
}

fn renew(case: &Case, fence: Fence, term: Option<Span>) -> Input {
    request(case, Op::Renew { name: name("n"), fence, term })
}

fn renew_all(case: &Case, mode: Mode) -> Input {
    let of = name("n");
    let own = [(&of, case.own, mode)];
    let fingerprint = Fingerprint::of(&secret_of(1), own.into_iter());
    request(case, Op::RenewAll { fingerprint })
}

fn reclaim(case: &Case, change: fn(&mut Reclaim)) -> Input {
    let mut claim = claim(case);
    change(&mut claim);
    request(case, Op::Reclaim(Box::new(claim)))
}

fn claim(case: &Case) -> Reclaim {
    let (term, tag) =
        case.claim.map_or((Span::from_secs(5), Tag([0; 16])), |grant| (grant.term, grant.tag));
    let to = case.bench.granter.incarnation();
    Reclaim {
        name: name("n"),
        mode: Mode::Exclusive,
        fence: case.own,
        term,
        issued: life(1),
        tag,
        to,
        value: None,
    }
}
