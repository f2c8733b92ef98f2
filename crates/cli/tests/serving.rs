//! `tlease serve`: what it says, what it does on signals, and that a kill harms nobody.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use common::{Ended, Home, Serve, now, text, until};
use nix::sys::signal::Signal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tlease::Fence;
use tlease::blocking::{Client, Lease};

#[test]
fn it_says_where_it_listens_and_stops_in_good_order() {
    let home = Home::new();
    let serve = Serve::start(&home, &["--listen", "tcp://127.0.0.1:0"]);
    let addresses = serve.ready["addresses"].as_array().unwrap().clone();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    let tcp = addresses[1].as_str().unwrap();
    assert!(!tcp.ends_with(":0"), "the real port: {tcp}");
    assert_eq!(serve.ready["incarnation"], 1);
    assert!(serve.ready["wait_ms"].is_null());
    assert!(serve.ready["profile"].as_str().unwrap().starts_with("host"));
    home.ok(&["status", "--server", tcp]);

    // As a user sets it, for all commands.
    let mut by_environment = home.command(&["status", "--json"]);
    by_environment.env("TLEASE_SERVER", tcp);
    assert_eq!(Ended::of(by_environment).code, 0);
    assert!(home.granter().is_none());

    serve.signal(Signal::SIGTERM);
    let (said, code) = serve.end();
    let said = said.expect("it says how it stopped");
    assert_eq!((said["event"].as_str(), code), (Some("stopped"), Some(0)));
    assert!(said["next_wait_ms"].is_null(), "nothing was held: {said}");
    let again = Serve::start(&home, &[]);
    assert_eq!(again.ready["incarnation"], 2);
    assert!(again.ready["wait_ms"].is_null(), "no wait after that: {}", again.ready);
}

#[test]
fn stopped_with_leases_live_it_says_how_long_the_next_start_waits() {
    let home = Home::new();
    let serve = Serve::start(&home, &[]);
    home.ok(&["acquire", "x", "--term", "1m", "--server", &serve.address()]);
    serve.signal(Signal::SIGINT);
    let (said, code) = serve.end();
    let wait = said.expect("it says how it stopped")["next_wait_ms"].as_u64().unwrap();
    assert!((60_000..120_000).contains(&wait), "{wait}");
    assert_eq!(code, Some(0));
    let again = Serve::start(&home, &[]);
    assert!(again.ready["wait_ms"].as_u64().unwrap() >= 60_000, "{}", again.ready);
    home.fails(&["acquire", "y", "--try", "--server", &again.address()], 75, "restarted");
}

#[test]
fn for_people_it_says_the_same_in_sentences() {
    let home = Home::new();
    let data = home.path().join("data");
    let socket = format!("unix:{}", home.path().join("s").display());
    let arguments = ["serve", "--init", "--data", text(&data), "--listen", &socket];
    let mut child = home.command(&arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    for _ in 0..3 {
        std::io::BufRead::read_line(&mut out, &mut said).unwrap();
    }
    let ready = [format!("ready on {socket}"), "life 1 of".into(), "trusts the kernel".into()];
    for part in ready {
        assert!(said.contains(&part), "{part}: {said}");
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)
        .unwrap();
    std::io::Read::read_to_string(&mut out, &mut said).unwrap();
    assert!(said.contains("the next start grants at once"), "{said}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn reading_commands_print_tables_and_json() {
    let home = Home::new();
    let serve = Serve::start(&home, &[]);
    let address = serve.address();
    let at = |arguments: &[&str]| home.ok(&[arguments, &["--server", &address]].concat());
    assert_eq!(at(&["ls"]), "");
    let before = at(&["watch", "--count", "0", "--json"]);
    let from: serde_json::Value = serde_json::from_str(&before).unwrap();
    let token = at(&["acquire", "a/x", "--term", "1m", "--value", "me"]);
    at(&["acquire", "b/y", "--term", "1m"]);
    let table = at(&["ls"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.lines().nth(1).unwrap().starts_with("a/x   exclusive"), "{table}");
    assert_eq!(at(&["ls", "b/", "--json"]).lines().count(), 1);
    let told: serde_json::Value = serde_json::from_str(&at(&["recall", "a/x", "--json"])).unwrap();
    assert_eq!(told["holders"], 1);
    at(&["release", &token]);

    // Everything that happened, from where the watch began.
    let mark = from["from"].as_str().unwrap();
    let events = at(&["watch", "a/", "--after", mark, "--count", "3", "--json"]);
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reasons: Vec<_> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(reasons, ["watching", "granted", "recalled", "released"]);
    assert_eq!(events[0]["gap"], false);
}

#[test]
fn a_watch_goes_on_across_a_kill() {
    let home = Home::new();
    let mut serve = Serve::start(&home, &[]);
    let address = serve.address();
    let arguments = ["watch", "--json", "--count", "2", "--server", &address];
    let mut watch = home.command(&arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(watch.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    assert_eq!(next()["event"], "watching");
    home.ok(&["acquire", "x", "--term", "50ms", "--server", &address]);
    assert_eq!(next()["event"], "granted");
    serve.kill_and_restart(&home);
    let again = next();
    // The expiry may have come before the kill; if not, it belongs to a life whose log is gone.
    if again["event"] != "expired" {
        assert_eq!(
            (again["event"].as_str(), again["gap"].as_bool()),
            (Some("watching"), Some(true))
        );
        home.ok(&["acquire", "y", "--wait", "30s", "--server", &address]);
        assert_eq!(next()["name"], "y");
    }
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

/// Killed at random points, again and again: 10 kills, or 100 with `TLEASE_FULL=1`.
#[test]
fn killed_again_and_again_it_neither_repeats_a_fence_nor_grants_too_early() {
    let kills = if std::env::var_os("TLEASE_FULL").is_some() { 100 } else { 10 };
    let home = Home::new();
    let mut serve = Serve::start(&home, &[]);
    let world = World { address: serve.address(), ..World::default() };
    thread::scope(|scope| {
        let _end = EndOnDrop(&world.over);
        let world = &world;
        scope.spawn(|| keep(world));
        for _ in 0..3 {
            scope.spawn(|| contend(world));
        }
        let mut incarnation = 1;
        let mut draw = 11_u64;
        for _ in 0..kills {
            // Sometimes at once, within the restart wait; sometimes after a few or many grants.
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            let grants = (draw >> 40) & ((1 << (draw >> 61)) - 1);
            let seen = world.grants.load(Ordering::Relaxed);
            until("grants", || world.grants.load(Ordering::Relaxed) >= seen + grants);
            serve.kill_and_restart(&home);
            let this = serve.ready["incarnation"].as_u64().unwrap();
            assert!(this > incarnation, "life {this} again");
            incarnation = this;
        }
        let seen = world.grants.load(Ordering::Relaxed);
        until("grants in the last life", || world.grants.load(Ordering::Relaxed) > seen + 20);
    });
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let survived = read(&world.survived);
    println!("{kills} kills: {} grants, {survived} lives kept", read(&world.grants));
    assert!(survived > 0, "no lease ever outlived a granter");
}

/// What the holders of the test share.
#[derive(Default)]
struct World {
    address: String,
    over: AtomicBool,
    grants: AtomicU64,
    /// How often a kept lease was valid in another life than the one that granted it.
    survived: AtomicU64,
    holding: Mutex<Holding>,
}

#[derive(Default)]
struct Holding {
    highest: Option<Fence>,
    shop: Option<Lease>,
    kept: Option<Lease>,
}

impl World {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// A grant of a name was heard, of a request before which `before` was the highest fence.
    fn granted(
        &self,
        lease: &Lease,
        before: Option<Fence>,
        name: impl Fn(&mut Holding) -> &mut Option<Lease>,
    ) {
        self.grants.fetch_add(1, Ordering::Relaxed);
        let mut holding = self.holding.lock().unwrap();
        assert!(Some(lease.fence()) > before, "{} after {before:?}", lease.fence());
        holding.highest = holding.highest.max(Some(lease.fence()));
        let earlier = name(&mut holding).replace(lease.clone());
        if let Some(earlier) = earlier {
            assert!(earlier.check().is_err(), "granted while {} is valid", earlier.fence());
        }
    }

    fn highest(&self) -> Option<Fence> {
        self.holding.lock().unwrap().highest
    }
}

/// Holds one name for as long as it can, across lives of the granter.
fn keep(world: &World) {
    let client = Client::connect(&world.address).unwrap();
    while !world.is_over() {
        let before = world.highest();
        let wish = client.acquire("kept").term(TERM).wait_at_most(TERM);
        let Ok(lease) = wish.wait() else { continue };
        world.granted(&lease, before, |holding| &mut holding.kept);
        let granted_in = client.status().map(|status| status.incarnation);
        while !world.is_over() && lease.check().is_ok() {
            common::moment();
            let now_in = client.status().map(|status| status.incarnation);
            if let (Ok(then), Ok(now)) = (&granted_in, now_in)
                && *then < now
                && lease.renew(None).is_ok()
            {
                world.survived.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        world.holding.lock().unwrap().kept = None;
        drop(lease);
    }
}

/// Takes and gives back a name for ever, and tries for the kept one.
fn contend(world: &World) {
    let client = Client::connect(&world.address).unwrap();
    while !world.is_over() {
        let before = world.highest();
        if let Ok(lease) = client.acquire("shop").term(TERM).wait_at_most(TERM).wait() {
            world.granted(&lease, before, |holding| &mut holding.shop);
            world.holding.lock().unwrap().shop = None;
            let _ = lease.release();
        }
        let before = world.highest();
        if let Ok(lease) = client.acquire("kept").term(TERM).try_now().wait() {
            world.granted(&lease, before, |holding| &mut holding.kept);
            world.holding.lock().unwrap().kept = None;
            let _ = lease.release();
        }
    }
}

/// Long enough to be reclaimed on a busy machine, short enough to be waited out a hundred times.
const TERM: Duration = Duration::from_millis(500);

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = Home::new();
    let serve = Serve::start(&home, &[]);
    // It may have stopped in good order before the second one comes: either way it ends.
    serve.signal(Signal::SIGTERM);
    let start = now();
    serve.signal(Signal::SIGTERM);
    let (_, code) = serve.end();
    assert!(matches!(code, Some(0 | 143)), "{code:?}");
    assert!(now().saturating_duration_since(start) < Duration::from_secs(30));
}
