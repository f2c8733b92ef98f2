//! An enclave that tests what runs it, a processor or its emulation.
//!
//! - Promises: says on its output what it saw of exits, of the counter and of transactions.
//! - Assumes: the target `x86_64-fortanix-unknown-sgx`; elsewhere it compiles, and only says so.
//! - Never: is part of T-Lease. Its guard is a miniature, to test the attacks on guards.
//! - Start reading at `inside`.
#![cfg_attr(target_env = "sgx", feature(sgx_platform))]

#[cfg(target_env = "sgx")]
mod inside;

fn main() {
    #[cfg(target_env = "sgx")]
    inside::main();
    #[cfg(not(target_env = "sgx"))]
    println!("built for {}, not for an enclave", std::env::consts::OS);
}
