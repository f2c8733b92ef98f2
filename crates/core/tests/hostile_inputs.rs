//! Nonsense from peers: whatever is fed in, in whatever order, neither machine panics, and a refused
//! request changes nothing that anybody can see.

#[path = "support/rng.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod rng;
mod support;

use rng::Rng;
use support::granter::{OPERATOR, secret_of, session_id};
use support::{granter, holder};
use tlease_core::granter::{Input as ToGranterMachine, Limits, Output, PersistId};
use tlease_core::holder::{Handle, Input, Renewal};
use tlease_core::identity::{AskId, Epoch, Incarnation, Peer, RequestId, Rights};
use tlease_core::message::{
    Acquire, Answer, Ask, Entry, EventMark, Fingerprint, Force, FromGranter, Grant, Op, Opened,
    PageMark, Prefix, Recall, Reclaim, Renewed, RenewedSome, Reply, Request, Tag, ToGranter, Wait,
};
use tlease_core::refusal::Refusal;
use tlease_core::time::Span;
use tlease_core::{Fence, Mode, Name, Value};

/// Sequences of each kind in an ordinary run.
const SEQUENCES: u64 = 400;
/// Inputs in each.
const LENGTH: u64 = 150;

fn sequences() -> u64 {
    if std::env::var_os("TLEASE_FULL").is_some() { SEQUENCES * 50 } else { SEQUENCES }
}

#[test]
fn no_input_makes_a_granter_panic_and_a_refused_request_changes_nothing() {
    let (mut refused, mut done) = (0, 0);
    for seed in 0..sequences() {
        let mut rng = Rng::new(seed);
        let limits = Limits {
            leases_max: 4,
            sessions_max: 3,
            waiters_per_name_max: 2,
            watches_max: 2,
            events_kept: 3,
            parked_max: 1,
            recall_on_wait: rng.chance(50).then(|| span(&mut rng)),
            ..Limits::default()
        };
        let mut bench = granter::Bench::with(limits);
        let mut known = Known::default();
        for _ in 0..LENGTH {
            disturb(&mut rng, &mut bench, &mut known);
            let input = granter_input(&mut rng, &mut known);
            let request = is_request(&input);
            let before = request.then(|| visible(&mut bench));
            let outputs = bench.feed(input.clone());
            if let Some(before) = before
                && only_refused(&outputs)
            {
                refused += 1;
                let after = visible(&mut bench);
                assert_eq!(after, before, "seed {seed}: {input:?} {outputs:?}");
            } else if request {
                done += 1;
            }
            known.learn(&outputs);
        }
    }
    // Neither may be rare, or this shows nothing.
    assert!(refused > sequences() * 10 && done > sequences() * 10, "{refused} {done}");
}

/// What a peer can know, to be believable.
#[derive(Debug, Default)]
struct Known {
    peers: u64,
    last_id: u64,
    open: Vec<(Peer, Epoch)>,
    fences: Vec<Fence>,
}

impl Known {
    fn learn(&mut self, outputs: &[Output]) {
        for output in outputs {
            let Output::Send { peer, message } = output else { continue };
            if let FromGranter::Opened(opened) = message {
                self.open.push((*peer, opened.epoch));
            }
            if let FromGranter::Reply { reply: Reply::Granted(grant), .. }
            | FromGranter::Reply { reply: Reply::Offered { grant, .. }, .. } = message
            {
                self.fences.push(grant.fence);
            }
        }
    }
}

/// Disks that fail, and time that jumps.
fn disturb(rng: &mut Rng, bench: &mut granter::Bench, known: &mut Known) {
    bench.writes = rng.pick(&[granter::Writes::AtOnce, granter::Writes::Wait]);
    match rng.below(12) {
        0 => {
            bench.write();
        }
        1 => {
            if let Some((id, _)) = bench.unwritten.take() {
                bench.feed(ToGranterMachine::PersistFailed(id));
            }
        }
        2 => {
            bench.now = granter::at(rng.pick(&[0, 1, 3_000_000_000, 90_000_000_000, u64::MAX]));
        }
        3 => {
            bench.pass(Span::from_millis(rng.between(0, 9_000)));
        }
        4 if rng.chance(10) && bench.disk.is_some() => {
            bench.now = granter::at(7);
            bench.restart();
            *known = Known::default();
        }
        _ => {}
    }
}

/// Time does not pass between two looks and the disk does nothing, so that only the request can
/// make a difference. Leases that are over are left out: they are freed when somebody comes by.
fn visible(bench: &mut granter::Bench) -> Vec<Entry> {
    bench.writes = granter::Writes::Wait;
    bench.feed(ToGranterMachine::Wake);
    let all = Ask::List { prefix: Prefix::default(), after: None, limit: 1_000 };
    let Answer::Page { mut entries, .. } = bench.ask(all) else { panic!("a page") };
    for entry in &mut entries {
        entry.leases.retain(|lease| !lease.remaining.is_zero());
    }
    entries.retain(|entry| !entry.leases.is_empty() || entry.waiters > 0);
    entries
}

fn is_request(input: &ToGranterMachine) -> bool {
    matches!(input, ToGranterMachine::Received { message: ToGranter::Request(_), .. })
}

/// Whether the only thing that came of it was a refusal.
fn only_refused(outputs: &[Output]) -> bool {
    let refusal = |output: &Output| {
        let reply = matches!(
            output,
            Output::Send { message: FromGranter::Reply { reply: Reply::Refused(_), .. }, .. }
        );
        reply || matches!(output, Output::WakeAt { .. })
    };
    !outputs.is_empty() && outputs.iter().all(refusal)
}

fn granter_input(rng: &mut Rng, known: &mut Known) -> ToGranterMachine {
    let peers = &mut known.peers;
    match rng.below(20) {
        0 | 1 => {
            *peers += 1;
            let rights = rng.pick(&[Rights::Holder, Rights::Operator]);
            ToGranterMachine::Connected { peer: Peer(*peers), rights }
        }
        2 => ToGranterMachine::Disconnected { peer: Peer(rng.between(1, *peers + 2)) },
        3 => ToGranterMachine::Wake,
        4 => ToGranterMachine::Persisted(PersistId(rng.below(1_000) + 500)),
        5 => ToGranterMachine::PersistFailed(PersistId(rng.below(1_000) + 500)),
        6 => {
            let peer = OPERATOR;
            let message = ToGranter::Ask { id: AskId(rng.below(3)), ask: ask(rng) };
            ToGranterMachine::Received { peer, message }
        }
        7..=14 if !known.open.is_empty() => {
            let (peer, epoch) = rng.pick(&known.open);
            known.last_id += 1;
            let id = RequestId(known.last_id);
            let op = believable(rng, &known.fences);
            let message = ToGranter::Request(Request { epoch, id, op });
            ToGranterMachine::Received { peer, message }
        }
        _ => {
            let peer = Peer(rng.between(1, *peers + 1));
            ToGranterMachine::Received { peer, message: message(rng) }
        }
    }
}

fn message(rng: &mut Rng) -> ToGranter {
    match rng.below(8) {
        0 | 1 => {
            let who = u8::try_from(rng.between(1, 4)).expect("small");
            let proof = if rng.chance(80) { who } else { 99 };
            ToGranter::Open { session: session_id(who), secret: secret_of(proof) }
        }
        2 => ToGranter::Ask { id: AskId(rng.below(3)), ask: ask(rng) },
        _ => {
            let epoch = Epoch { incarnation: incarnation(rng), opening: rng.below(8) };
            let id = RequestId(rng.pick(&[0, 1, 5, 900, u64::MAX >> 1, u64::MAX]));
            let id = if rng.chance(80) { RequestId(rng.below(1 << 10)) } else { id };
            ToGranter::Request(Request { epoch, id, op: op(rng) })
        }
    }
}

/// An operation whose fence was really given, mostly not long ago.
fn believable(rng: &mut Rng, fences: &[Fence]) -> Op {
    let real = fences.len().checked_sub(1).map(|last| fences[last.saturating_sub(small(rng))]);
    let mut op = op(rng);
    if let (
        Some(real),
        Op::Renew { fence, .. } | Op::Release { fence, .. } | Op::Downgrade { fence, .. },
    ) = (real, &mut op)
    {
        *fence = real;
    }
    op
}

fn small(rng: &mut Rng) -> usize {
    usize::try_from(rng.below(4)).expect("small")
}

fn op(rng: &mut Rng) -> Op {
    let (name, fence) = (name(rng), fence(rng));
    match rng.below(9) {
        0..=2 => Op::Acquire(acquire(rng)),
        3 => Op::Renew { name, fence, term: rng.chance(50).then(|| span(rng)) },
        4 => {
            let sum = u128::from(rng.next());
            Op::RenewAll { fingerprint: Fingerprint { count: rng.below(3), sum } }
        }
        5 => Op::Release { name, fence },
        6 => Op::Withdraw { name },
        7 => Op::Downgrade { name, fence },
        _ => Op::Reclaim(Box::new(Reclaim {
            name,
            mode: mode(rng),
            fence,
            term: span(rng),
            issued: incarnation(rng),
            tag: Tag([0; 16]),
            to: incarnation(rng),
            value: None,
        })),
    }
}

fn ask(rng: &mut Rng) -> Ask {
    let prefix = Prefix(rng.pick(&[&b""[..], b"a", b"zz"]).into());
    match rng.below(6) {
        0 => Ask::Get { name: name(rng) },
        1 => {
            let mark = rng.pick(&[0, 1, 4_095, u32::MAX]);
            let after = rng.chance(50).then_some(PageMark(mark));
            Ask::List { prefix, after, limit: rng.pick(&[0, 1, u32::MAX]) }
        }
        2 => {
            let sequence = rng.pick(&[0, 1, 7, u64::MAX]);
            let mark = EventMark { incarnation: incarnation(rng), sequence };
            Ask::Watch { prefix, after: rng.chance(50).then_some(mark) }
        }
        3 => Ask::Unwatch { watch: AskId(rng.below(3)) },
        4 => Ask::Status,
        _ => Ask::Recall { name: name(rng), grace: span(rng), force: force(rng) },
    }
}

fn acquire(rng: &mut Rng) -> Acquire {
    let wait = match rng.below(4) {
        0 => Wait::Try,
        1 => Wait::AtMost(span(rng)),
        _ => Wait::Unbounded,
    };
    let value = rng.chance(20).then(|| Value::new(b"host:1").expect("a short value"));
    Acquire { name: name(rng), mode: mode(rng), term: span(rng), wait, value }
}

#[test]
fn no_input_makes_a_holder_panic() {
    for seed in 0..sequences() {
        let mut rng = Rng::new(seed);
        let mut bench = holder::Bench::new();
        let mut last_handle = 0;
        for _ in 0..LENGTH {
            match rng.below(10) {
                0 => bench.segment = rng.below(3),
                1 => bench.now = rng.pick(&[0, 5, 7_000_000_000, u64::MAX]),
                _ => bench.now = bench.now.saturating_add(rng.below(1_000_000_000)),
            }
            let input = holder_input(&mut rng, &mut last_handle);
            bench.feed(input);
            for handle in 0..=last_handle {
                let now = bench.moment();
                let proved = bench.holder.held(Handle(handle), now).is_ok();
                let view = bench.holder.view(Handle(handle), now);
                let usable = view.is_some_and(|view| {
                    use tlease_core::holder::View;
                    matches!(view, View::Valid { .. } | View::Recalled { .. })
                });
                assert_eq!(proved, usable, "seed {seed}: a proof and a view agree");
            }
        }
    }
}

fn holder_input(rng: &mut Rng, last_handle: &mut u64) -> Input {
    let handle = Handle(rng.below(*last_handle + 2));
    match rng.below(16) {
        0 => Input::Connected,
        1 => Input::Disconnected,
        2 => {
            let epoch = Epoch { incarnation: incarnation(rng), opening: rng.below(9) };
            let (term_min, term_max) = (span(rng), span(rng));
            let wait_left = rng.chance(50).then(|| span(rng));
            let opened = Opened { epoch, wait_left, term_min, term_max };
            Input::Received(FromGranter::Opened(opened))
        }
        3..=5 => {
            *last_handle += 1;
            let renewal = rng.pick(&[Renewal::Automatic, Renewal::ByHand]);
            Input::Acquire { handle: Handle(*last_handle), acquire: acquire(rng), renewal }
        }
        6 => Input::Release { handle },
        7 => Input::Renew { handle, term: rng.chance(50).then(|| span(rng)) },
        8 => Input::Downgrade { handle },
        9 => Input::Forget { handle },
        10 => Input::Wake,
        11 => {
            let (name, fence, recall) = (name(rng), fence(rng), recall(rng));
            Input::Received(FromGranter::Recalled { name, fence, recall })
        }
        _ => {
            let id = RequestId(rng.below(40));
            let moved = rng.chance(30).then(|| span(rng));
            Input::Received(FromGranter::Reply { id, reply: reply(rng), moved })
        }
    }
}

fn reply(rng: &mut Rng) -> Reply {
    let grant = Grant { fence: fence(rng), term: span(rng), tag: Tag([1; 16]) };
    match rng.below(12) {
        0 | 1 => Reply::Granted(grant),
        2 | 3 => Reply::Offered { grant, life: span(rng) },
        4 => Reply::Queued { ahead: 3, wait_left: None },
        5 => Reply::Renewed(Renewed {
            term: span(rng),
            tag: rng.chance(50).then_some(Tag([2; 16])),
            recall: rng.chance(30).then(|| recall(rng)),
        }),
        6 => Reply::RenewedAll,
        7 => Reply::RenewedSome(RenewedSome { fences: vec![fence(rng)], more: rng.chance(50) }),
        8 if rng.chance(50) => Reply::Withdrawn,
        8 => Reply::Released { was_held: true },
        9 => Reply::Downgraded { tag: Tag([3; 16]) },
        10 => Reply::Reclaimed { tag: Tag([4; 16]) },
        _ => Reply::Refused(rng.pick(&[
            Refusal::NotHeldHere,
            Refusal::StaleEpoch,
            Refusal::NotReclaimable,
            Refusal::StoreUnavailable,
            Refusal::Stopping,
        ])),
    }
}

fn name(rng: &mut Rng) -> Name {
    rng.pick(&["a", "b", "a/long/name/that/needs/an/allocation"]).parse().expect("a good name")
}

fn fence(rng: &mut Rng) -> Fence {
    let number = rng.pick(&[1, 2, 3, 4, 5, 6, 7, 8, 1 << 20, u64::MAX >> 1]);
    Fence::new(number).expect("a fence")
}

fn span(rng: &mut Rng) -> Span {
    Span::from_nanos(rng.pick(&[0, 1, 10_000_000, 1_000_000_000, 5_000_000_000, u64::MAX]))
}

fn mode(rng: &mut Rng) -> Mode {
    rng.pick(&[Mode::Exclusive, Mode::Shared])
}

fn force(rng: &mut Rng) -> Force {
    rng.pick(&[Force::Grace, Force::Now])
}

fn recall(rng: &mut Rng) -> Recall {
    Recall { until: span(rng), force: force(rng) }
}

fn incarnation(rng: &mut Rng) -> Incarnation {
    Incarnation::new(rng.pick(&[1, 1, 1, 2, u64::MAX])).expect("not zero")
}
