//! What stands in the way of a start is said, and what to do about it; and a store that fails later
//! ends nothing that is durable.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]

mod common;

use std::fs;
use std::os::unix::net::UnixListener;

use common::{Home, Running, SECOND, acquire, clock, name};
use tlease_core::identity::Rights;
use tlease_core::message::{Answer, Ask, Op, Reply, StoreHealth};
use tlease_core::refusal::Refusal;
use tlease_core::time::Span;
use tlease_daemon::store::{Init, StoreError};
use tlease_daemon::{BadListen, Config, Listen, RunError, Server, StartError};

#[test]
fn two_granters_on_one_directory_are_one_too_many() {
    let home = Home::new();
    let granter = home.start();
    let refused = Server::open(Config::new(home.data(), Init::IfNew), clock()).unwrap_err();
    assert!(matches!(refused, StartError::Store(StoreError::InUse { .. })), "{refused}");
    let mut client = granter.session(1);
    client.take("job", SECOND);
    granter.stop();
    Server::open(Config::new(home.data(), Init::IfNew), clock()).unwrap();
}

#[test]
fn an_address_that_others_could_reach_is_refused() {
    let home = Home::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.7:7420"] {
        let config =
            Config::new(home.data(), Init::IfNew).listen(Listen::Tcp(address.parse().unwrap()));
        let refused = Server::open(config, clock()).unwrap_err();
        assert!(matches!(refused, StartError::Listen(BadListen::NotLoopback { .. })), "{refused}");
        assert!(refused.to_string().contains("TLS is not in this version"), "{refused}");
    }
}

#[test]
fn a_place_where_another_listens_is_refused() {
    let home = Home::new();
    let _other = UnixListener::bind(home.socket()).unwrap();
    let listen = Listen::Unix { path: home.socket(), rights: Rights::Holder };
    let config = Config::new(home.data(), Init::IfNew).listen(listen);
    let refused = Server::open(config, clock()).unwrap_err();
    assert!(matches!(refused, StartError::Bind { .. }), "{refused}");
}

#[test]
fn a_granter_whose_first_record_cannot_be_written_says_so_and_serves_nobody() {
    let home = Home::new();
    home.start().stop();
    fs::create_dir(home.data().join("state.new")).unwrap();
    let server = Server::open(home.config(), clock()).unwrap();
    let refused = server.run(|_| unreachable!("it is not ready")).unwrap_err();
    let RunError::NotBegun(StoreError::Io { path, .. }) = refused else { panic!("{refused}") };
    assert_eq!(path, home.data().join("state.new"));
}

#[test]
fn a_store_that_fails_later_refuses_new_grants_until_it_works_again() {
    let home = Home::new();
    let granter = home.start();
    let mut client = granter.session(1);
    let kept = client.take("kept", Span::from_secs(60));

    fs::create_dir(home.data().join("state.new")).unwrap();
    // A term that no earlier record covers needs a new one.
    let longer = Span::from_secs(3600);
    let refused = Reply::Refused(Refusal::StoreUnavailable);
    assert_eq!(client.call(acquire("longer", longer)), refused);
    let Answer::Status(status) = client.answer(Ask::Status) else { panic!("no status") };
    assert_eq!(status.store, StoreHealth::Failing);
    assert!(matches!(client.renew("kept", kept.fence), Reply::Renewed(_)));
    assert!(matches!(client.call(acquire("short", SECOND)), Reply::Granted(_)));

    fs::remove_dir(home.data().join("state.new")).unwrap();
    common::until("the store works again", || {
        matches!(client.call(acquire("longer", longer)), Reply::Granted(_))
    });
    let counts = granter.metrics.snapshot();
    assert!(counts.persist_failed >= 1, "{counts:?}");
}

#[test]
fn a_granter_that_only_this_machine_reaches_needs_no_listener() {
    let home = Home::new();
    let granter = Running::start(Config::new(home.data(), Init::IfNew));
    assert!(granter.ready.addresses.is_empty());
    let stream = granter.control.connect(Rights::Operator).unwrap();
    let mut client = common::Client::over_unix(stream);
    client.open(1);
    let fence = client.take("job", SECOND).fence;
    client.call(Op::Release { name: name("job"), fence });
}

#[test]
fn bounds_that_leave_no_term_are_refused() {
    let home = Home::new();
    for (min, max) in [(Span::ZERO, SECOND), (SECOND, Span::from_millis(999))] {
        let mut config = home.config();
        (config.limits.term_min, config.limits.term_max) = (min, max);
        let refused = Server::open(config, clock()).unwrap_err();
        assert!(matches!(refused, StartError::Terms { .. }), "{refused}");
    }
    assert!(!home.data().exists());
}
