//! T-Lease in an SGX enclave.
//!
//! - Promises: nothing yet: it says hello, so that the way from source to a measured image that runs
//!   can be tested.
//! - Assumes: the target `x86_64-fortanix-unknown-sgx`; elsewhere it compiles, and only says so.
//! - Never: unsafe.
//! - Start reading at [`main`]; `cargo xtask sgx` builds, measures and runs it.
#![forbid(unsafe_code)]

fn main() {
    if cfg!(target_env = "sgx") {
        println!("hello from the enclave");
    } else {
        println!("built for {}, not for an enclave", std::env::consts::OS);
    }
}
