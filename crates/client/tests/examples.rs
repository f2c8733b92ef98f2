//! Every example runs offline and ends well.
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

use std::path::Path;
use std::process::Command;

#[test]
fn every_example_runs() {
    let program = std::env::current_exe().unwrap();
    let built = program.parent().and_then(Path::parent).unwrap().join("examples");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut run = 0;
    for source in std::fs::read_dir(sources).unwrap() {
        let example = built.join(source.unwrap().path().file_stem().unwrap());
        if !example.exists() {
            println!("skipped: {} is not built; `cargo test` builds it", example.display());
            continue;
        }
        let output = Command::new(&example).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", example.display());
        run += 1;
    }
    println!("{run} examples ran");
}
