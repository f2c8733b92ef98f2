//! What a desk does about leases that are suspect all the time, and in a copy of its machine.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use tlease_clock::Profile;
use tlease_core::Mode;
use tlease_core::holder::Renewal;
use tlease_core::identity::{Epoch, Incarnation, RequestId};
use tlease_core::message::{Acquire, Grant, Renewed, Reply, Tag, Wait as Waiting};
use tlease_core::time::Span;

use super::*;
use crate::driver::command::NotAnswered;
use crate::session::Looked;

const TERM: Span = Span::from_secs(600);

/// A desk, and a hypervisor that disrupts its clock.
struct Bench {
    desk: Desk,
    page: tempfile::NamedTempFile,
    mark: u64,
}

impl Bench {
    /// With one lease, granted in reply to request 1.
    fn holding() -> Self {
        let mut page = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = [0_u8; 4096];
        bytes[..4].copy_from_slice(b"VCLK");
        bytes[4..8].copy_from_slice(&4096_u32.to_le_bytes());
        bytes[8..10].copy_from_slice(&1_u16.to_le_bytes());
        // It keeps a generation counter.
        bytes[24..32].copy_from_slice(&(1_u64 << 8).to_le_bytes());
        page.write_all(&bytes).unwrap();
        let profile = Profile::host().vmclock_at(page.path()).require_continuity();
        let clock = Clock::open(&profile.into()).unwrap();
        let tenure = Arc::new(Tenure::new(&clock).unwrap());
        let identity = Identity::draw(&clock).unwrap();
        let desk = Desk::new(clock, identity);
        let mut bench = Self { desk, page, mark: 0 };
        bench.desk.connected();
        bench.receive(FromGranter::Opened(Opened {
            epoch: Epoch { incarnation: Incarnation::new(1).unwrap(), opening: 1 },
            wait_left: None,
            term_min: Span::from_millis(10),
            term_max: TERM,
        }));
        let (handle, renewal) = (Handle(1), Renewal::Automatic);
        let name = "jobs".parse().unwrap();
        let (mode, wait) = (Mode::Exclusive, Waiting::Unbounded);
        let acquire = Acquire { name, mode, term: TERM, wait, value: None };
        bench.desk.obey(&mut vec![Command::Acquire { handle, acquire, renewal, tenure }]);
        bench.reply(
            1,
            Reply::Granted(Grant {
                fence: tlease_core::Fence::FIRST,
                term: TERM,
                tag: Tag([0; 16]),
            }),
        );
        assert!(bench.tenure().check().is_ok());
        bench.sends();
        bench
    }

    fn tenure(&self) -> &Tenure {
        self.desk.effects.tenures.get(&Handle(1)).unwrap()
    }

    /// From now on nothing that was read before says anything.
    fn disrupt(&mut self) {
        self.write(16);
    }

    /// A value that was never used before.
    fn write(&mut self, at: u64) {
        self.mark += 1;
        let page = File::options().write(true).open(self.page.path()).unwrap();
        page.write_all_at(&self.mark.to_le_bytes(), at).unwrap();
    }

    /// From now on this may be a copy.
    fn copy(&mut self) {
        self.write(104);
    }

    fn receive(&mut self, message: FromGranter) {
        self.desk.received(&mut vec![message]);
    }

    fn reply(&mut self, id: u64, reply: Reply) {
        self.receive(FromGranter::Reply { id: RequestId(id), reply, moved: None });
    }

    fn renewed(&mut self, id: u64) {
        self.reply(id, Reply::Renewed(Renewed { term: TERM, tag: None, recall: None }));
    }

    /// A user who saw that it is suspect.
    fn look(&mut self) {
        self.desk.obey(&mut vec![Command::Look(Looked::by_nobody())]);
    }

    /// Whether there is something to be sent; it is sent.
    fn sends(&mut self) -> bool {
        let outgoing = self.desk.outgoing();
        let count = outgoing.unsent().len();
        outgoing.sent(count);
        count > 0
    }
}

#[test]
fn looks_do_not_shorten_the_pause_between_renewals_in_vain() {
    let mut bench = Bench::holding();
    bench.disrupt();
    assert_eq!(bench.tenure().check(), Err(crate::NotValid::Suspect));
    bench.look();
    assert!(bench.sends(), "the first is asked for at once");
    bench.disrupt();
    bench.renewed(2);
    assert!(bench.sends(), "once in vain is chance");
    bench.disrupt();
    bench.renewed(3);
    assert!(!bench.sends(), "twice is followed by a pause");
    let pause = bench.desk.wake_at().expect("which ends by itself");
    for _ in 0..3 {
        bench.disrupt();
        bench.look();
        assert!(!bench.sends(), "and by nothing else");
    }
    assert_eq!(bench.desk.wake_at(), Some(pause));
    bench.desk.woken();
    assert!(bench.sends());
    bench.renewed(4);
    assert!(bench.tenure().check().is_ok());
    // It helped: the next one is asked for at once.
    bench.disrupt();
    bench.look();
    assert!(bench.sends());
}

#[test]
fn a_copy_says_nothing_more_under_the_session_that_it_was_made_with() {
    let mut bench = Bench::holding();
    let session = bench.desk.session();
    let (answer, mut answered) = oneshot::channel();
    let renew = || Command::Renew { handle: Handle(1), term: None, answer };
    bench.desk.obey(&mut vec![renew()]);
    bench.copy();
    // The renewal was in flight; its answer, the first thing that the copy takes in, helps nothing.
    bench.renewed(2);
    assert!(!bench.sends(), "nor does anything leave that was not sent by then");
    assert_eq!(bench.desk.link(), Link::GivenUp);
    let over = crate::NotValid::Over(Loss::Copied);
    assert_eq!(bench.tenure().check(), Err(over));
    let told = answered.try_recv().expect("whoever waited for it is told");
    assert!(matches!(told, Err(NotAnswered::Over(Loss::Copied))), "{told:?}");
    let drawn = bench.desk.session();
    assert_ne!(drawn, session);
    // Once is enough.
    bench.desk.disconnected();
    bench.desk.connected();
    assert_eq!(bench.desk.session(), drawn);
    assert!(bench.sends(), "its opening");
}

#[test]
fn a_session_is_given_up_too_if_the_copy_was_made_just_after_it_was_drawn() {
    let mut bench = Bench::holding();
    let drawn_before = Identity::draw(&bench.desk.clock).unwrap();
    bench.copy();
    let session = drawn_before.session;
    let mut desk = Desk::new(bench.desk.clock.clone(), drawn_before);
    desk.connected();
    assert_ne!(desk.session(), session);
}
