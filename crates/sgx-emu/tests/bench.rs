//! The measurements of an enclave run, and say what the benchmark reads. Their figures are nobody's to
//! judge here: a busy machine has none.

mod common;

use common::image;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use tlease_clock::machine::Survey;
use tlease_core::time::Span;

/// What the enclave under measurement says, or `None`, with a word, where no profile can be made.
fn said(words: &[&str]) -> Option<String> {
    let survey = Survey::take(Span::from_millis(200));
    let profile = match survey.map(|survey| survey.profile()) {
        Ok(Ok(profile)) => profile.to_string(),
        Ok(Err(why)) => {
            println!("skipped: {why}");
            return None;
        }
        Err(why) => {
            println!("skipped: {why}");
            return None;
        }
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlease-sgx-run"));
    command.args(["--emulate", "--exits", "250", "--random"]).arg(image("tlease-sgx-subject"));
    command.arg(profile).args(words).stdin(Stdio::null());
    Some(common::said(command))
}

#[test]
fn timekeepers_are_watched() {
    for count in ["1", "2"] {
        let Some(said) = said(&["gaps", count, "200", "100000"]) else { return };
        assert!(said.starts_with("watched "), "{said}");
        let exits = said.lines().filter(|line| line.starts_with("Exits")).count();
        assert_eq!(exits.to_string(), count, "{said}");
    }
}

#[test]
fn steps_are_measured_and_commits_where_transactions_are() {
    let Some(said) = said(&["cases", "5", "commit"]) else { return };
    let steps =
        ["handshake", "counter behind a fence", "check in a stay", "commit of one store in a stay"];
    for step in steps {
        assert!(said.contains(&format!("case {step}: ")), "{step}: {said}");
    }
}

#[test]
fn requests_are_served_from_memory_and_over_a_socket() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let client = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the enclave");
        let mut word = || {
            let mut bytes = [0; 8];
            stream.read_exact(&mut bytes).expect("a length");
            usize::try_from(u64::from_le_bytes(bytes)).expect("a short length")
        };
        let [all, batch, answer] = [word(), word(), word()];
        let (mut requests, mut answers) = (vec![0; all], vec![0; answer]);
        stream.read_exact(&mut requests).expect("requests");
        let mut found = 0;
        for batch in requests.chunks_exact(batch).cycle() {
            if stream.write_all(batch).is_err() || stream.read_exact(&mut answers).is_err() {
                break;
            }
            // Each answer begins with whether the key was there.
            found += answers.chunks(answer / 16).filter(|answer| answer[0] == 1).count();
        }
        found
    });
    let Some(over_a_socket) = said(&["serve", "3", &address]) else { return };
    assert!(over_a_socket.contains("serve lease by a timekeeper, "), "{over_a_socket}");
    assert_eq!(client.join().expect("it ends"), 3 * 5 * 20 * 16, "each request was answered once");
    let Some(from_memory) = said(&["serve", "3"]) else { return };
    assert!(from_memory.contains("Tally { answers: 120000,"), "{from_memory}");
}
