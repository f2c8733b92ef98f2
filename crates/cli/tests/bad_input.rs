//! Bad input: each with its exit code, and a sentence that says what to do.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use common::{Home, Serve, text};
use std::fs;
use std::net::TcpListener;

#[test]
fn commands_refuse_what_makes_no_sense() {
    let home = Home::new();
    let long = "n".repeat(256);
    let nowhere = format!("unix:{}", home.path().join("nobody").display());
    let table: [(&[&str], i32, &str); 20] = [
        (&["get", "nope"], 66, "nobody holds or wants 'nope'"),
        (&["recall", "nope"], 66, "nobody holds 'nope'"),
        (&["get", ""], 65, "no name of a lease"),
        (&["get", "a//b"], 65, "no name of a lease"),
        (&["acquire", &long], 65, "no name of a lease"),
        (&["acquire", "x", "--term", "0s"], 64, "a lease of no length"),
        (&["acquire", "x", "--term", "5"], 64, "a number and a unit"),
        (&["acquire", "x", "--term", "1ms"], 73, "gives at least 10ms"),
        (&["acquire", "x", "--term", "100h"], 73, "gives at most 86400s"),
        (&["acquire", "x", "--value", &"v".repeat(1025)], 65, "at most 1024 bytes"),
        (&["acquire", "x", "--try", "--wait", "1s"], 64, "cannot be used with"),
        (&["status", "--server", &nowhere], 69, "tlease serve"),
        (&["status", "--server", "tcp://127.0.0.1:1"], 69, "tlease serve"),
        (&["status", "--server", "http://x:1"], 65, "write tcp://HOST:PORT"),
        (&["status", "--server", "192.0.2.1:7420"], 65, "TLS is not in this version"),
        (&["status", "--server", "embedded:x"], 65, "cannot embed"),
        (&["run", "a//b", "--", "true"], 65, "no name of a lease"),
        (&["run", "x", "--server", &nowhere, "--", "true"], 69, "no granter"),
        (&["run", "x", "--server", "http://x:1", "--", "true"], 65, "write tcp://HOST:PORT"),
        (&["nonsense"], 64, "unrecognized subcommand"),
    ];
    for (arguments, code, says) in table {
        home.fails(arguments, code, says);
    }
    assert_eq!(home.json(&["status"])["leases"], 0, "and nothing came of it");
}

#[test]
fn a_server_that_is_no_granter_is_found_out() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let liar = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the client has read it and hung up.
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    home.fails(&["status", "--server", &address], 69, "no granter");
    liar.join().unwrap();
}

#[test]
fn only_the_operators_socket_recalls_by_force() {
    let home = Home::new();
    let operator = home.path().join("operator");
    let serve = Serve::start(&home, &["--operator-socket", text(&operator)]);
    let at = ["--server", &serve.address()];
    home.ok(&[&["acquire", "x", "--term", "1m"], &at[..]].concat());
    home.fails(&[&["recall", "x", "--force"], &at[..]].concat(), 73, "operator's socket");
    let operator = format!("unix:{}", operator.display());
    let told = home.json(&["recall", "x", "--force", "--server", &operator]);
    assert_eq!(told["holders"], 1);
}

#[test]
fn serve_refuses_what_it_cannot_do_safely() {
    let home = Home::new();
    let data = home.path().join("data");
    let serve = |more: &[&'static str]| [&["serve", "--data", text(&data)], more].concat();
    home.fails(&serve(&["--init", "--listen", "0.0.0.0:0"]), 78, "TLS is not in this version");
    home.fails(&serve(&["--init", "--listen", "embedded:x"]), 78, "listens nowhere");
    home.fails(&serve(&["--init", "--term-min", "2s", "--term-max", "1s"]), 64, "longer than");
    home.fails(&serve(&["--init", "--leases", "many"]), 64, "invalid digit");
    home.fails(&serve(&[]), 78, "start once with --init");
    assert!(!data.exists(), "none of these made anything");
    home.fails(&["serve", "--init"], 64, "--data");

    let careful = ["--init", "--require-continuity", "--vmclock", "/nowhere/at/all"];
    home.fails(&serve(&careful), 78, "continuity of time is required");

    let running = Serve::start(&home, &[]);
    let port = ["--listen", "tcp://127.0.0.1:0"];
    home.fails(&serve(&port), 78, "another granter");
    drop(running);
    home.fails(&serve(&[&["--init"], &port[..]].concat()), 78, "leave out --init");
    fs::write(data.join("state"), "garbage").unwrap();
    home.fails(&serve(&port), 78, "is damaged");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let other = home.path().join("other");
    let listen = ["serve", "--init", "--data", text(&other), "--listen", &taken];
    let _keep = TcpListener::bind(&taken);
    home.fails(&listen, 78, "cannot listen on");
}
