//! The granter's process is killed at random points, again and again: no fence comes twice or goes
//! back, no name is granted while an earlier grant of it may be in use, and a holder that reclaims
//! keeps its lease.
//!
//! 15 kills, or 100 with `TLEASE_FULL=1`.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what is not expected fails the test")]

mod common;

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Client, Home, acquire, clock, name, now, until};
use tlease_core::fence::{Fence, Mode};
use tlease_core::granter::Exit;
use tlease_core::identity::{Incarnation, Rights};
use tlease_core::message::{Grant, Op, Reclaim, Reply, Tag};
use tlease_core::time::Span;
use tlease_daemon::store::Init;
use tlease_daemon::{Config, Listen, Server};
use tlease_wire::Goodbye;

#[test]
fn a_granter_killed_at_random_points_neither_repeats_a_fence_nor_grants_too_early() {
    let kills = if env::var_os("TLEASE_FULL").is_some() { 100 } else { 15 };
    let home = Home::new();
    let world = World::new(home.socket());
    let mut granter = Process::start(home.path());
    std::thread::scope(|scope| {
        let _end = EndOnDrop(&world.over);
        let world = &world;
        scope.spawn(|| keep(world, 1));
        for session in 2..=4 {
            scope.spawn(move || contend(world, session));
        }
        let mut incarnation = granter.incarnation;
        let mut draw = 7_u64;
        for _ in 0..kills {
            // Sometimes at once, sometimes after many replies: within the restart wait and after it.
            draw = draw
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let replies = (draw >> 40) & ((1 << (draw >> 60)) - 1);
            let heard = world.replies.load(Ordering::Relaxed);
            until("replies", || world.replies.load(Ordering::Relaxed) >= heard + replies);
            drop(granter);
            granter = Process::start(home.path());
            assert!(granter.incarnation > incarnation, "{} again", granter.incarnation);
            incarnation = granter.incarnation;
        }
        // The last life still grants, and goes on with what was reclaimed.
        let grants = world.grants.load(Ordering::Relaxed);
        until("grants in the last life", || world.grants.load(Ordering::Relaxed) > grants + 100);
    });
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{kills} kills: {} replies, {} grants, {} reclaims, {} reclaims too late",
        read(&world.replies),
        read(&world.grants),
        read(&world.reclaims),
        read(&world.too_late),
    );
    assert!(read(&world.reclaims) > 0, "nothing was ever reclaimed");
}

/// What all clients of the test see.
struct World {
    socket: PathBuf,
    over: AtomicBool,
    replies: AtomicU64,
    grants: AtomicU64,
    reclaims: AtomicU64,
    too_late: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    highest: Option<Fence>,
    /// Until when each name is in use, by which session, on that session's own view.
    in_use: BTreeMap<&'static str, (u8, Instant)>,
}

impl World {
    fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            over: AtomicBool::new(false),
            replies: AtomicU64::new(0),
            grants: AtomicU64::new(0),
            reclaims: AtomicU64::new(0),
            too_late: AtomicU64::new(0),
            seen: Mutex::new(Seen::default()),
        }
    }

    fn highest(&self) -> Option<Fence> {
        self.seen.lock().unwrap().highest
    }

    /// A grant was heard: of a request before whose sending `before` was the highest fence heard.
    fn granted(&self, session: u8, name: &'static str, before: Option<Fence>, fence: Fence) {
        self.grants.fetch_add(1, Ordering::Relaxed);
        let heard = now();
        let mut seen = self.seen.lock().unwrap();
        assert!(Some(fence) > before, "fence {fence} came after {before:?}");
        seen.highest = seen.highest.max(Some(fence));
        if let Some((other, until)) = seen.in_use.get(name)
            && *other != session
        {
            assert!(heard >= *until, "{name} was granted {:?} too early", *until - heard);
        }
    }

    fn uses(&self, session: u8, name: &'static str, until: Instant) {
        self.seen.lock().unwrap().in_use.insert(name, (session, until));
    }

    fn gives_back(&self, session: u8, name: &'static str) {
        self.seen.lock().unwrap().in_use.retain(|used, (by, _)| *used != name || *by != session);
    }

    fn call(&self, client: &mut Client, op: Op) -> Result<Reply, Gone> {
        let reply = client.try_call(op)?;
        self.replies.fetch_add(1, Ordering::Relaxed);
        Ok(reply)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// The granter was killed.
struct Gone;

impl From<Option<Goodbye>> for Gone {
    fn from(_: Option<Goodbye>) -> Self {
        Self
    }
}

/// Takes and gives back names for ever.
fn contend(world: &World, session: u8) {
    let mut last_id = 0;
    while !world.is_over() {
        let Ok(stream) = UnixStream::connect(&world.socket) else { continue };
        let mut client = Client::over_unix(stream);
        if client.try_open(session, last_id).is_ok() {
            while !world.is_over() && contend_once(world, session, &mut client).is_ok() {}
        }
        last_id = client.last_id();
    }
}

fn contend_once(world: &World, session: u8, client: &mut Client) -> Result<(), Gone> {
    for name in ["kept", "shop", "shop"] {
        let (before, sent) = (world.highest(), now());
        let Reply::Granted(grant) = world.call(client, acquire(name, TERM))? else { continue };
        world.granted(session, name, before, grant.fence);
        world.uses(session, name, sent + Duration::from(TERM));
        world.gives_back(session, name);
        let release = Op::Release { name: common::name(name), fence: grant.fence };
        world.call(client, release)?;
    }
    Ok(())
}

/// Holds one name for as long as it can, across lives of the granter.
fn keep(world: &World, session: u8) {
    let mut last_id = 0;
    let mut held = None;
    while !world.is_over() {
        let Ok(stream) = UnixStream::connect(&world.socket) else { continue };
        let mut client = Client::over_unix(stream);
        if let Ok(opened) = client.try_open(session, last_id) {
            let to = opened.epoch.incarnation;
            let _ = keep_while_it_lives(world, session, &mut client, to, &mut held);
        }
        last_id = client.last_id();
    }
}

/// A lease, its holder's own deadline, and what proves it after a restart.
struct Kept {
    fence: Fence,
    until: Instant,
    tag: Tag,
    issued: Incarnation,
}

fn keep_while_it_lives(
    world: &World,
    session: u8,
    client: &mut Client,
    this: Incarnation,
    held: &mut Option<Kept>,
) -> Result<(), Gone> {
    if let Some(kept) = held.take_if(|kept| kept.issued != this) {
        *held = reclaim(world, session, client, this, &kept)?;
    }
    while !world.is_over() {
        let (before, sent) = (world.highest(), now());
        let until = sent + Duration::from(TERM);
        match held {
            None => {
                if let Reply::Granted(grant) = world.call(client, acquire("kept", TERM))? {
                    world.granted(session, "kept", before, grant.fence);
                    world.uses(session, "kept", until);
                    let Grant { fence, tag, .. } = grant;
                    *held = Some(Kept { fence, until, tag, issued: this });
                }
            }
            Some(kept) => {
                let renew = Op::Renew { name: name("kept"), fence: kept.fence, term: None };
                match world.call(client, renew)? {
                    Reply::Renewed(_) => {
                        kept.until = until;
                        world.uses(session, "kept", until);
                    }
                    Reply::Refused(_) => *held = None,
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    Ok(())
}

fn reclaim(
    world: &World,
    session: u8,
    client: &mut Client,
    to: Incarnation,
    kept: &Kept,
) -> Result<Option<Kept>, Gone> {
    let sent = now();
    if sent >= kept.until {
        world.too_late.fetch_add(1, Ordering::Relaxed);
        return Ok(None);
    }
    let Kept { fence, tag, issued, .. } = *kept;
    let reclaim = Reclaim {
        name: name("kept"),
        mode: Mode::Exclusive,
        fence,
        term: TERM,
        issued,
        tag,
        to,
        value: None,
    };
    match world.call(client, Op::Reclaim(reclaim.into()))? {
        Reply::Reclaimed { tag } => {
            world.reclaims.fetch_add(1, Ordering::Relaxed);
            let until = sent + Duration::from(TERM);
            world.uses(session, "kept", until);
            Ok(Some(Kept { fence, until, tag, issued: to }))
        }
        // The wait ended while the claim was on its way.
        Reply::Refused(_) => Ok(None),
        other => panic!("{other:?}"),
    }
}

/// Long enough to be reclaimed on a busy machine, short enough to be waited out a hundred times.
const TERM: Span = Span::from_millis(300);

/// A granter in a process of its own; killed when dropped.
struct Process {
    child: Child,
    incarnation: u64,
}

impl Process {
    /// Runs this very test program with the one test that is a granter.
    fn start(home: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_granter_for_the_test_above", "--ignored", "--nocapture"])
            .env(HOME, home)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let incarnation = said.lines().find_map(|line| {
            line.unwrap().strip_prefix("incarnation ").map(|number| number.parse().unwrap())
        });
        Self { child, incarnation: incarnation.expect("the granter is ready") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
#[ignore = "run by the test above, in a process that it kills"]
fn a_granter_for_the_test_above() {
    let Some(home) = env::var_os(HOME).map(PathBuf::from) else { return };
    let unix = Listen::Unix { path: home.join("socket"), rights: Rights::Holder };
    // TCP beside it, so that holders count as being anywhere.
    let config = Config::new(home.join("data"), Init::IfNew)
        .listen(unix)
        .listen(Listen::Tcp(([127, 0, 0, 1], 0).into()));
    let server = Server::open(config, clock()).unwrap();
    let exit: Exit = server.run(|ready| println!("\nincarnation {}", ready.incarnation)).unwrap();
    unreachable!("nobody stops it: {exit:?}");
}

const HOME: &str = "TLEASE_TEST_HOME";

/// Lets the clients end also when the test fails.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
