//! The committed Rust of the contract is what its generator makes of it.
//!
//! After a change of `proto/tlease.proto`: `TLEASE_REGENERATE=1 cargo test -p tlease-wire --test
//! generated`, and commit both.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]

use std::path::Path;

#[test]
fn the_committed_rust_is_what_the_contract_generates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/generated.rs");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let generated = generate(&root.join("proto"), out);

    if std::env::var_os("TLEASE_REGENERATE").is_some() {
        std::fs::write(&committed, &generated).unwrap();
    }
    assert!(
        std::fs::read_to_string(&committed).unwrap() == generated,
        "src/generated.rs is not what proto/tlease.proto generates: run this test with \
         TLEASE_REGENERATE=1 and commit the result"
    );
}

fn generate(protos: &Path, out: &Path) -> String {
    let contract = protox::compile([protos.join("tlease.proto")], [protos]).unwrap();
    prost_build::Config::new()
        .out_dir(out)
        // It holds a secret: its `Debug` is written by hand.
        .skip_debug(["tlease.v1.Open"])
        .compile_fds(contract)
        .unwrap();
    let rust = std::fs::read_to_string(out.join("tlease.v1.rs")).unwrap();
    format!("// Generated from proto/tlease.proto by tests/generated.rs. Do not edit.\n{rust}")
}
