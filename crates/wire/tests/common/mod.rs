//! Draws any message of the protocol.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tlease_core::fence::{Fence, Mode};
use tlease_core::identity::{AskId, Epoch, Incarnation, RequestId, Secret, SessionId};
use tlease_core::message::{
    Acquire, Answer, Ask, Entry, EntryLease, EntryState, Event, EventMark, EventReason,
    Fingerprint, Force, FromGranter, Grant, Op, Opened, PageMark, Prefix, Recall, Reclaim, Renewed,
    RenewedSome, Reply, Request, Status, StoreHealth, Tag, ToGranter, Wait,
};
use tlease_core::name::{NAME_MAX, Name, VALUE_MAX, Value};
use tlease_core::refusal::{Bound, Refusal};
use tlease_core::time::Span;

pub(crate) fn to_granter() -> impl Strategy<Value = ToGranter> {
    prop_oneof![
        (session(), any::<[u8; 16]>())
            .prop_map(|(session, secret)| ToGranter::Open { session, secret: Secret(secret) }),
        (epoch(), any::<u64>(), op()).prop_map(|(epoch, id, op)| ToGranter::Request(Request {
            epoch,
            id: RequestId(id),
            op
        })),
        (any::<u64>(), ask()).prop_map(|(id, ask)| ToGranter::Ask { id: AskId(id), ask }),
    ]
}

pub(crate) fn from_granter() -> impl Strategy<Value = FromGranter> {
    prop_oneof![
        (epoch(), of(span()), span(), span()).prop_map(|(epoch, wait_left, term_min, term_max)| {
            FromGranter::Opened(Opened { epoch, wait_left, term_min, term_max })
        }),
        refusal().prop_map(FromGranter::NotOpened),
        (any::<u64>(), reply(), of(span())).prop_map(|(id, reply, moved)| FromGranter::Reply {
            id: RequestId(id),
            reply,
            moved
        }),
        (any::<u64>(), answer())
            .prop_map(|(id, answer)| FromGranter::Answer { id: AskId(id), answer: answer.into() }),
        (name(), fence(), recall()).prop_map(|(name, fence, recall)| FromGranter::Recalled {
            name,
            fence,
            recall
        }),
        (any::<u64>(), event()).prop_map(|(id, event)| FromGranter::Happened {
            watch: AskId(id),
            event: event.into()
        }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (name(), mode(), span(), wait(), of(value())).prop_map(
            |(name, mode, term, wait, value)| {
                Op::Acquire(Acquire { name, mode, term, wait, value })
            }
        ),
        (name(), fence(), of(span())).prop_map(|(name, fence, term)| Op::Renew {
            name,
            fence,
            term
        }),
        (any::<u64>(), any::<u128>())
            .prop_map(|(count, sum)| Op::RenewAll { fingerprint: Fingerprint { count, sum } }),
        (name(), fence()).prop_map(|(name, fence)| Op::Release { name, fence }),
        name().prop_map(|name| Op::Withdraw { name }),
        (name(), fence()).prop_map(|(name, fence)| Op::Downgrade { name, fence }),
        ((name(), mode(), fence(), span()), (incarnation(), tag(), incarnation(), of(value())),)
            .prop_map(|((name, mode, fence, term), (issued, tag, to, value))| {
                let reclaim = Reclaim { name, mode, fence, term, issued, tag, to, value };
                Op::Reclaim(reclaim.into())
            }),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        name().prop_map(|name| Ask::Get { name }),
        (prefix(), of(any::<u32>().prop_map(PageMark)), any::<u32>())
            .prop_map(|(prefix, after, limit)| Ask::List { prefix, after, limit }),
        (prefix(), of(mark())).prop_map(|(prefix, after)| Ask::Watch { prefix, after }),
        any::<u64>().prop_map(|watch| Ask::Unwatch { watch: AskId(watch) }),
        Just(Ask::Status),
        (name(), span(), force()).prop_map(|(name, grace, force)| Ask::Recall {
            name,
            grace,
            force
        }),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        grant().prop_map(Reply::Granted),
        (any::<u32>(), of(span()))
            .prop_map(|(ahead, wait_left)| Reply::Queued { ahead, wait_left }),
        (grant(), span()).prop_map(|(grant, life)| Reply::Offered { grant, life }),
        (span(), of(tag()), of(recall())).prop_map(|(term, tag, recall)| Reply::Renewed(Renewed {
            term,
            tag,
            recall
        })),
        Just(Reply::RenewedAll),
        (vec(fence(), 0..20), any::<bool>())
            .prop_map(|(fences, more)| Reply::RenewedSome(RenewedSome { fences, more })),
        any::<bool>().prop_map(|was_held| Reply::Released { was_held }),
        Just(Reply::Withdrawn),
        tag().prop_map(|tag| Reply::Downgraded { tag }),
        tag().prop_map(|tag| Reply::Reclaimed { tag }),
        Just(Reply::Noted),
        refusal().prop_map(Reply::Refused),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        of(entry()).prop_map(Answer::Entry),
        (vec(entry(), 0..4), of(any::<u32>().prop_map(PageMark)))
            .prop_map(|(entries, next)| Answer::Page { entries, next }),
        (mark(), any::<bool>()).prop_map(|(from, gap)| Answer::Watching { from, gap }),
        Just(Answer::Unwatched),
        status().prop_map(Answer::Status),
        any::<u32>().prop_map(|holders| Answer::Recalling { holders }),
        refusal().prop_map(Answer::Refused),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        any::<u32>().prop_map(|waiters| Refusal::Held { waiters }),
        Just(Refusal::WaitedOut),
        any::<u32>().prop_map(|limit| Refusal::QueueFull { limit }),
        Just(Refusal::AlreadyHeld),
        Just(Refusal::NoUpgrade),
        Just(Refusal::NotHeldHere),
        span().prop_map(|min| Refusal::TermTooShort { min }),
        span().prop_map(|max| Refusal::TermTooLong { max }),
        span().prop_map(|left| Refusal::RestartWait { left }),
        Just(Refusal::StoreUnavailable),
        Just(Refusal::Stopping),
        Just(Refusal::NoSession),
        Just(Refusal::WrongSecret),
        Just(Refusal::StaleEpoch),
        Just(Refusal::UsedId),
        Just(Refusal::BadTag),
        incarnation().prop_map(|this| Refusal::WrongIncarnation { this }),
        Just(Refusal::NotReclaimable),
        Just(Refusal::Superseded),
        bound().prop_map(Refusal::Full),
        Just(Refusal::NotOperator),
    ]
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        any::<u32>().prop_map(|limit| Bound::Leases { limit }),
        any::<u32>().prop_map(|limit| Bound::Sessions { limit }),
        any::<u32>().prop_map(|limit| Bound::Parked { limit }),
        any::<u32>().prop_map(|limit| Bound::Watches { limit }),
        Just(Bound::Fences),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    (name(), vec(entry_lease(), 0..3), any::<u32>()).prop_map(|(name, leases, waiters)| Entry {
        name,
        leases,
        waiters,
    })
}

fn entry_lease() -> impl Strategy<Value = EntryLease> {
    let state =
        prop_oneof![Just(EntryState::Offered), Just(EntryState::Held), Just(EntryState::Recalled),];
    (session(), fence(), mode(), span(), span(), state, of(value())).prop_map(
        |(session, fence, mode, term, remaining, state, value)| EntryLease {
            session,
            fence,
            mode,
            term,
            remaining,
            state,
            value,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let reason = prop_oneof![
        Just(EventReason::Granted),
        Just(EventReason::Offered),
        Just(EventReason::Lapsed),
        Just(EventReason::RenewedLate),
        Just(EventReason::Reclaimed),
        Just(EventReason::Downgraded),
        Just(EventReason::Released),
        Just(EventReason::Expired),
        Just(EventReason::Recalled),
        Just(EventReason::Forced),
    ];
    (mark(), name(), fence(), reason).prop_map(|(mark, name, fence, reason)| Event {
        mark,
        name,
        fence,
        reason,
    })
}

fn status() -> impl Strategy<Value = Status> {
    let store = prop_oneof![Just(StoreHealth::Working), Just(StoreHealth::Failing)];
    ((incarnation(), of(span()), span(), store), any::<[u64; 6]>()).prop_map(
        |((incarnation, wait_left, longest_promise, store), numbers)| {
            let [sessions, leases, waiters, peers, clock_breaks, disagreements] = numbers;
            Status {
                incarnation,
                wait_left,
                sessions,
                leases,
                waiters,
                peers,
                store,
                longest_promise,
                clock_breaks,
                disagreements,
            }
        },
    )
}

fn grant() -> impl Strategy<Value = Grant> {
    (fence(), span(), tag()).prop_map(|(fence, term, tag)| Grant { fence, term, tag })
}

fn recall() -> impl Strategy<Value = Recall> {
    (span(), force()).prop_map(|(until, force)| Recall { until, force })
}

fn force() -> impl Strategy<Value = Force> {
    prop_oneof![Just(Force::Grace), Just(Force::Now)]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Exclusive), Just(Mode::Shared)]
}

fn wait() -> impl Strategy<Value = Wait> {
    prop_oneof![Just(Wait::Try), span().prop_map(Wait::AtMost), Just(Wait::Unbounded)]
}

fn mark() -> impl Strategy<Value = EventMark> {
    (incarnation(), any::<u64>())
        .prop_map(|(incarnation, sequence)| EventMark { incarnation, sequence })
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (incarnation(), 1..=u64::MAX).prop_map(|(incarnation, opening)| Epoch { incarnation, opening })
}

fn session() -> impl Strategy<Value = SessionId> {
    any::<[u8; 16]>().prop_map(SessionId)
}

fn tag() -> impl Strategy<Value = Tag> {
    any::<[u8; 16]>().prop_map(Tag)
}

fn incarnation() -> impl Strategy<Value = Incarnation> {
    (1..=u64::MAX).prop_map(|number| Incarnation::new(number).unwrap())
}

fn fence() -> impl Strategy<Value = Fence> {
    (1..=Fence::LAST.get()).prop_map(|number| Fence::new(number).unwrap())
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![Just(Span::ZERO), Just(Span::MAX), any::<u64>().prop_map(Span::from_nanos)]
}

fn name() -> impl Strategy<Value = Name> {
    let byte = prop_oneof![9 => b'a'..=b'z', 1 => 0x80_u8..=0xff];
    vec(vec(byte, 1..60), 1..=4).prop_map(|parts| Name::new(&parts.join(&b'/')).unwrap())
}

fn value() -> impl Strategy<Value = Value> {
    vec(any::<u8>(), 0..=VALUE_MAX).prop_map(|bytes| Value::new(&bytes).unwrap())
}

fn prefix() -> impl Strategy<Value = Prefix> {
    vec(any::<u8>(), 0..=NAME_MAX).prop_map(|bytes| Prefix(bytes.into()))
}
