//! The emulator against what the manual says of a processor, by an enclave that looks.

mod common;

use common::{image, numbers, probe, said};

#[test]
fn an_enclave_reports_what_was_measured() {
    let sgxs = std::fs::read(image("tlease-sgx-probe")).unwrap();
    let measured = tlease_sgx_emu::image::measure(&sgxs).unwrap();
    assert_eq!(said(probe("", "report")), format!("mrenclave {measured}\n"));
}

#[test]
fn a_changed_image_is_not_loaded() {
    let folder = std::env::temp_dir().join(format!("tlease-sgx-changed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (sgxs, copy) = (image("tlease-sgx-probe"), folder.join("changed.sgxs"));
    let mut bytes = std::fs::read(&sgxs).unwrap();
    // Contents: what stands beside them in the stream is a loader's, and no processor sees it.
    let extend = bytes.windows(8).position(|bytes| bytes == b"EEXTEND\0").expect("a measured page");
    bytes[extend + HEADER] ^= 1;
    std::fs::write(&copy, bytes).unwrap();
    std::fs::copy(sgxs.with_extension("sig"), copy.with_extension("sig")).unwrap();
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_tlease-sgx-run"));
    let output = run.arg("--emulate").arg(&copy).arg("report").output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "nothing of it ran");
}

#[test]
fn exits_at_random_leave_every_register_as_it_was() {
    let said = said(probe("--exits 5000 --random", "registers 3000"));
    assert_eq!(said, "registers wrong 0 of 3000\n");
}

#[test]
fn every_exit_wipes_the_mark_and_nothing_else_does() {
    let output = probe("--exits 2000 --count", "mark 200000").output().unwrap();
    let lost = numbers(&String::from_utf8_lossy(&output.stdout))[0];
    let stderr = String::from_utf8_lossy(&output.stderr);
    let counted = stderr.lines().find(|line| line.contains("exits;")).unwrap();
    let exits = numbers(counted)[0];
    assert!(lost > 0, "{stderr}");
    assert!(lost <= exits, "{lost} marks lost in {exits} exits");
}

#[test]
fn the_counter_moves_as_the_host_wants_during_an_exit() {
    let back = |options| numbers(&said(probe(options, "counter 100000")))[0];
    let leap = |options| numbers(&said(probe(options, "counter 100000")))[1];
    assert_eq!(back("--exits 200 --trap-tsc"), 0);
    assert!(back("--exits 200 --do tsc:-1000000000000") > 900_000_000_000);
    assert!(leap("--exits 200 --do tsc:1000000000000") >= 1_000_000_000_000);
}

/// Bytes of a record of the stream, before the contents that it is about.
const HEADER: usize = 64;
