//! An enclave to be measured: how long timekeepers go on, and what a lease costs an application.
//!
//! - Promises: what it prints it has measured, by the counter; the code under measurement is what ships.
//! - Assumes: the target `x86_64-fortanix-unknown-sgx`; elsewhere it compiles, and only says so. A counter
//!   that nobody lies about: these are figures for people.
//! - Never: is part of T-Lease; takes part in a lease.
//! - Start reading at `inside`; `cargo xtask sgx bench` builds and runs it.

#[cfg(target_env = "sgx")]
mod inside;
#[cfg_attr(
    not(target_env = "sgx"),
    allow(dead_code, reason = "it is tested here, and used in an enclave alone")
)]
mod slices;
#[cfg_attr(
    not(target_env = "sgx"),
    allow(dead_code, reason = "it is tested here, and used in an enclave alone")
)]
mod store;
#[cfg_attr(
    not(target_env = "sgx"),
    allow(dead_code, reason = "it is tested here, and used in an enclave alone")
)]
mod stretches;

fn main() {
    #[cfg(target_env = "sgx")]
    inside::main();
    #[cfg(not(target_env = "sgx"))]
    println!("built for {}, not for an enclave", std::env::consts::OS);
}
