//! The measurements. Each is named by the arguments, after the machine profile in the notation of
//! `tlease doctor --emit-profile`.

mod cases;
mod clock;
mod gaps;
mod serve;

use crate::slices::Slices;
use core::arch::x86_64::{_mm_lfence, _rdtsc};
use std::fmt::Display;
use std::io::{Read, Write};
use std::net::TcpStream;
use tlease_clock::enclave::MachineProfile;

pub(crate) fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((profile, rest)) = words.split_first() else { return end("which machine?") };
    let machine: MachineProfile = match profile.parse() {
        Ok(machine) => machine,
        Err(why) => return end(why),
    };
    match *rest {
        ["gaps", keepers, millis, round_trip] => {
            gaps::watch(&machine, number(keepers), number(millis), number(round_trip));
        }
        ["cases", rounds] => cases::run(&machine, number(rounds), false),
        ["cases", rounds, "commit"] => cases::run(&machine, number(rounds), true),
        ["serve", rounds] => serve::from_memory(&machine, number(rounds)),
        ["serve", rounds, client] => serve::over_a_socket(&machine, number(rounds), client),
        ["echo", rounds, server] => echo(&machine, number(rounds), server),
        _ => end("no such measurement"),
    }
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}

/// Says why nothing is measured.
fn end(why: impl Display) {
    println!("{why}");
    std::process::exit(1);
}

/// How long a message to the host and back takes, without timekeepers.
fn echo(machine: &MachineProfile, rounds: u64, server: &str) {
    let mut stream = TcpStream::connect(server).expect("the server of the benchmark");
    stream.set_nodelay(true).expect("a socket");
    let mut trips = Slices::default();
    let mut message = [7; 64];
    for _ in 0..rounds {
        let begin = counter();
        stream.write_all(&message).expect("the server lives");
        stream.read_exact(&mut message).expect("the server lives");
        trips.add(counter() - begin, 1, true);
    }
    let ticks = trips.median().expect("some rounds");
    println!("trip {ticks:.0} {:.1}", micros(machine, ticks));
}

/// The counter, behind a fence: below this no reading of time is that is ordered with what came before.
fn counter() -> u64 {
    // WHY: the intrinsic is unsafe only for processors without SSE2.
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_lfence() };
    // WHY: there is no safe form.
    // SAFETY: RDTSC is part of enclaves since SGX2.
    unsafe { _rdtsc() }
}

/// Ticks as microseconds, at the middle of the admitted rates.
fn micros(machine: &MachineProfile, ticks: f64) -> f64 {
    let (min, max) = (machine.tsc_hz().min().get(), machine.tsc_hz().max().get());
    ticks / ((min + max) as f64 / 2.0) * 1e6
}
