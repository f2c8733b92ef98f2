//! The bytes of the hello and of one of each message, pinned in `golden.txt`: a change there is a
//! change of the protocol that running clients speak.
//!
//! After a compatible addition: `TLEASE_REGENERATE=1 cargo test -p tlease-wire --test golden`, and
//! see that only lines were added.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]

use std::fmt::Write as _;
use std::path::Path;

use tlease_core::Disagreement;
use tlease_core::fence::{Fence, Mode};
use tlease_core::identity::{AskId, Epoch, Incarnation, RequestId, Secret, SessionId};
use tlease_core::message::{
    Acquire, Answer, Ask, Entry, EntryLease, EntryState, Event, EventMark, EventReason,
    Fingerprint, Force, FromGranter, Grant, Op, Opened, PageMark, Prefix, Recall, Reclaim, Renewed,
    RenewedSome, Reply, Request, Status, StoreHealth, Tag, ToGranter, Wait,
};
use tlease_core::name::{Name, Value};
use tlease_core::refusal::{Bound, Refusal};
use tlease_core::time::Span;
use tlease_wire::{
    FromGranterFrames, Goodbye, GoodbyeReason, HELLO, ToGranterFrames, read_from_granter,
    read_to_granter,
};

#[test]
fn the_format_has_not_drifted() {
    let mut text = format!("{} hello\n", hex(HELLO));
    for message in to_granter() {
        let mut frames = ToGranterFrames::default();
        frames.push(&message).unwrap();
        let line = frames.unsent().to_vec();
        let mut read = Vec::new();
        read_to_granter(&line[4..], &mut read).unwrap();
        assert_eq!(format!("{read:?}"), format!("[{message:?}]"));
        writeln!(text, "{} {message:?}", hex(&line)).unwrap();
    }
    for message in from_granter() {
        let mut frames = FromGranterFrames::default();
        frames.push(&message).unwrap();
        let line = frames.unsent().to_vec();
        let mut read = Vec::new();
        read_from_granter(&line[4..], &mut read).unwrap();
        assert_eq!(read, std::slice::from_ref(&message));
        writeln!(text, "{} {message:?}", hex(&line)).unwrap();
    }
    for reason in [
        GoodbyeReason::NotUnderstood,
        GoodbyeReason::Superseded,
        GoodbyeReason::Unwelcome,
        GoodbyeReason::NotServing,
        GoodbyeReason::Full,
        GoodbyeReason::TooSlow,
    ] {
        let mut frames = FromGranterFrames::default();
        frames.push_goodbye(&Goodbye { reason, detail: "so".into() });
        writeln!(text, "{} {reason:?}", hex(frames.unsent())).unwrap();
    }

    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt");
    if std::env::var_os("TLEASE_REGENERATE").is_some() {
        std::fs::write(&pinned, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&pinned).unwrap();
    for (line, (is, was)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, was, "golden.txt, line {}", line + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count());
}

fn to_granter() -> Vec<ToGranter> {
    let epoch = Epoch { incarnation: incarnation(3), opening: 2 };
    let request = |op| ToGranter::Request(Request { epoch, id: RequestId(300), op });
    let acquire = |mode, wait, value| {
        let term = Span::from_secs(5);
        request(Op::Acquire(Acquire { name: name(), mode, term, wait, value }))
    };
    let ask = |ask| ToGranter::Ask { id: AskId(9), ask };
    let prefix = || Prefix((*b"jobs/").into());
    let mark = EventMark { incarnation: incarnation(3), sequence: 44 };
    vec![
        ToGranter::Open { session: SessionId([0xaa; 16]), secret: Secret([0xbb; 16]) },
        acquire(Mode::Exclusive, Wait::Try, None),
        acquire(Mode::Shared, Wait::AtMost(Span::from_secs(1)), Some(value())),
        acquire(Mode::Shared, Wait::Unbounded, None),
        request(Op::Renew { name: name(), fence: fence(7), term: None }),
        request(Op::Renew { name: name(), fence: Fence::LAST, term: Some(Span::MAX) }),
        request(Op::RenewAll { fingerprint: Fingerprint { count: 2, sum: 0x0102 << 112 } }),
        request(Op::Release { name: name(), fence: fence(7) }),
        request(Op::Withdraw { name: name() }),
        request(Op::Downgrade { name: name(), fence: fence(7) }),
        request(Op::Reclaim(Box::new(Reclaim {
            name: name(),
            mode: Mode::Shared,
            fence: fence(7),
            term: Span::from_secs(5),
            issued: incarnation(2),
            tag: Tag([0xcc; 16]),
            to: incarnation(3),
            value: Some(value()),
        }))),
        request(Op::Report(Disagreement {
            granter: Span::from_secs(1),
            holder: Span::from_millis(999),
        })),
        ask(Ask::Get { name: name() }),
        ask(Ask::List { prefix: Prefix::default(), after: None, limit: 100 }),
        ask(Ask::List { prefix: prefix(), after: Some(PageMark(0)), limit: 100 }),
        ask(Ask::Watch { prefix: prefix(), after: None }),
        ask(Ask::Watch { prefix: prefix(), after: Some(mark) }),
        ask(Ask::Unwatch { watch: AskId(8) }),
        ask(Ask::Status),
        ask(Ask::Recall { name: name(), grace: Span::from_secs(1), force: Force::Grace }),
        ask(Ask::Recall { name: name(), grace: Span::ZERO, force: Force::Now }),
    ]
}

fn from_granter() -> Vec<FromGranter> {
    let epoch = Epoch { incarnation: incarnation(3), opening: 2 };
    let recall = Recall { until: Span::from_millis(1500), force: Force::Grace };
    let opened = |wait_left| {
        let (term_min, term_max) = (Span::from_millis(10), Span::from_secs(60));
        FromGranter::Opened(Opened { epoch, wait_left, term_min, term_max })
    };
    let mut messages = vec![opened(None), opened(Some(Span::from_secs(4)))];
    messages.push(FromGranter::NotOpened(Refusal::WrongSecret));
    let reply = |reply, moved| FromGranter::Reply { id: RequestId(300), reply, moved };
    messages.extend(replies().map(|body| reply(body, None)));
    messages.push(reply(Reply::RenewedAll, Some(Span::ZERO)));
    messages.push(reply(Reply::Noted, Some(Span::from_secs(3600))));
    messages.extend(
        answers().map(|answer| FromGranter::Answer { id: AskId(9), answer: Box::new(answer) }),
    );
    messages.push(FromGranter::Recalled { name: name(), fence: fence(7), recall });
    messages.extend(reasons().map(|reason| FromGranter::Happened {
        watch: AskId(9),
        event: Box::new(Event {
            mark: EventMark { incarnation: incarnation(3), sequence: 45 },
            name: name(),
            fence: fence(7),
            reason,
        }),
    }));
    messages
}

fn replies() -> impl Iterator<Item = Reply> {
    let tag = Tag([0xcc; 16]);
    let grant = Grant { fence: fence(7), term: Span::from_secs(5), tag };
    let recall = Recall { until: Span::from_millis(1500), force: Force::Now };
    let replies = [
        Reply::Granted(grant),
        Reply::Queued { ahead: 2, wait_left: None },
        Reply::Queued { ahead: 0, wait_left: Some(Span::from_secs(4)) },
        Reply::Offered { grant, life: Span::from_secs(1) },
        Reply::Renewed(Renewed { term: Span::from_secs(5), tag: None, recall: None }),
        Reply::Renewed(Renewed { term: Span::from_secs(5), tag: Some(tag), recall: Some(recall) }),
        Reply::RenewedAll,
        Reply::RenewedSome(RenewedSome { fences: vec![fence(7), fence(300)], more: true }),
        Reply::RenewedSome(RenewedSome { fences: vec![], more: false }),
        Reply::Released { was_held: true },
        Reply::Released { was_held: false },
        Reply::Withdrawn,
        Reply::Downgraded { tag },
        Reply::Reclaimed { tag },
    ];
    replies.into_iter().chain(refusals().map(Reply::Refused))
}

fn refusals() -> impl Iterator<Item = Refusal> {
    let second = Span::from_secs(1);
    [
        Refusal::Held { waiters: 1 },
        Refusal::WaitedOut,
        Refusal::QueueFull { limit: 1024 },
        Refusal::AlreadyHeld,
        Refusal::NoUpgrade,
        Refusal::NotHeldHere,
        Refusal::TermTooShort { min: second },
        Refusal::TermTooLong { max: second },
        Refusal::RestartWait { left: second },
        Refusal::StoreUnavailable,
        Refusal::Stopping,
        Refusal::NoSession,
        Refusal::WrongSecret,
        Refusal::StaleEpoch,
        Refusal::UsedId,
        Refusal::BadTag,
        Refusal::WrongIncarnation { this: incarnation(3) },
        Refusal::NotReclaimable,
        Refusal::Superseded,
        Refusal::Full(Bound::Leases { limit: 10 }),
        Refusal::Full(Bound::Sessions { limit: 10 }),
        Refusal::Full(Bound::Parked { limit: 10 }),
        Refusal::Full(Bound::Watches { limit: 10 }),
        Refusal::Full(Bound::Fences),
        Refusal::NotOperator,
    ]
    .into_iter()
}

fn answers() -> impl Iterator<Item = Answer> {
    let lease = |state, mode, value| EntryLease {
        session: SessionId([0xaa; 16]),
        fence: fence(7),
        mode,
        term: Span::from_secs(5),
        remaining: Span::from_secs(2),
        state,
        value,
    };
    let entry = Entry {
        name: name(),
        leases: vec![
            lease(EntryState::Held, Mode::Shared, Some(value())),
            lease(EntryState::Recalled, Mode::Shared, None),
        ],
        waiters: 1,
    };
    let offered = lease(EntryState::Offered, Mode::Exclusive, None);
    let other = Entry { name: name(), leases: vec![offered], waiters: 0 };
    let status = |store, wait_left| Status {
        incarnation: incarnation(3),
        wait_left,
        sessions: 1,
        leases: 2,
        waiters: 3,
        peers: 4,
        store,
        longest_promise: Span::from_secs(5),
        clock_breaks: 6,
        disagreements: 7,
    };
    let from = EventMark { incarnation: incarnation(3), sequence: 0 };
    [
        Answer::Entry(None),
        Answer::Entry(Some(entry.clone())),
        Answer::Page { entries: vec![entry, other], next: Some(PageMark(1)) },
        Answer::Page { entries: vec![], next: None },
        Answer::Watching { from, gap: true },
        Answer::Watching { from, gap: false },
        Answer::Unwatched,
        Answer::Status(status(StoreHealth::Working, None)),
        Answer::Status(status(StoreHealth::Failing, Some(Span::ZERO))),
        Answer::Recalling { holders: 2 },
        Answer::Refused(Refusal::NotOperator),
    ]
    .into_iter()
}

fn reasons() -> impl Iterator<Item = EventReason> {
    [
        EventReason::Granted,
        EventReason::Offered,
        EventReason::Lapsed,
        EventReason::RenewedLate,
        EventReason::Reclaimed,
        EventReason::Downgraded,
        EventReason::Released,
        EventReason::Expired,
        EventReason::Recalled,
        EventReason::Forced,
    ]
    .into_iter()
}

fn name() -> Name {
    "jobs/nightly".parse().unwrap()
}

fn value() -> Value {
    Value::new(b"host-7:8080").unwrap()
}

fn fence(number: u64) -> Fence {
    Fence::new(number).unwrap()
}

fn incarnation(number: u64) -> Incarnation {
    Incarnation::new(number).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
