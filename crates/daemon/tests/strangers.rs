//! A process of another user is turned away, even if the socket's mode lets it in.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]

mod common;

use std::env;
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use common::{Client, Home};

#[test]
fn a_process_of_another_user_is_turned_away() {
    let home = Home::new();
    let granter = home.start();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(home.socket(), Permissions::from_mode(0o666)).unwrap();
    let stranger = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_stranger_for_the_test_above", "--ignored"])
        .env(SOCKET, home.socket())
        .uid(NOBODY)
        .status();
    match stranger {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) => return println!("skipped: cannot run as another user ({error})"),
    }
    let counts = granter.metrics.snapshot();
    assert_eq!((counts.turned_away, counts.messages_in), (1, 0));
    // Its own user is welcome.
    Client::at(&home.socket()).open(1);
}

#[test]
#[ignore = "run by the test above, as another user"]
fn a_stranger_for_the_test_above() {
    let Some(socket) = env::var_os(SOCKET) else { return };
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"", "not even the hello");
}

const SOCKET: &str = "TLEASE_TEST_SOCKET";

/// By custom, the user that owns nothing.
const NOBODY: u32 = 65534;
