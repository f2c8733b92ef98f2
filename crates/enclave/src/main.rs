//! T-Lease in an SGX enclave: a granter, or a holder with the guard, each with timekeepers of its own.
//!
//! - Promises: the granter frees a name, and the holder acts under a lease, by the clock of the
//!   profile `enclave` alone; a session exists only with an enclave that the measured policy names.
//! - Assumes: the target `x86_64-fortanix-unknown-sgx`, and what `measured/machine.toml` says of the
//!   processor (A2, A14, A15, A16). Elsewhere it compiles, and only says so.
//! - Never: unsafe; takes from the host a word of the time, or anything else that safety rests on.
//! - Start reading at `inside`; `cargo xtask sgx run` builds, measures and runs it.
#![forbid(unsafe_code)]

#[cfg_attr(
    not(target_env = "sgx"),
    allow(dead_code, reason = "it is tested here, and used in an enclave alone")
)]
mod config;
#[cfg_attr(
    not(target_env = "sgx"),
    allow(dead_code, reason = "it is tested here, and used in an enclave alone")
)]
mod course;
#[cfg(target_env = "sgx")]
mod inside;
#[cfg_attr(
    not(target_env = "sgx"),
    allow(dead_code, reason = "it is tested here, and used in an enclave alone")
)]
mod role;

fn main() {
    #[cfg(target_env = "sgx")]
    inside::main();
    #[cfg(not(target_env = "sgx"))]
    println!("built for {}, not for an enclave", std::env::consts::OS);
}
