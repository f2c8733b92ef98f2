//! Fuzz targets: any bytes are an input, and a target panics if what comes of it breaks a claim.
//!
//! - Promises: a target does the same for the same bytes, on every machine.
//! - Assumes: nothing of the bytes.
//! - Never: does IO, reads a clock, or runs for long: what it takes from the bytes is bounded.
//! - Start reading at [`TARGETS`]; then [`granter`] and [`holder`].
//!
//! `corpus/` has, for each target, inputs that together reach what a long run has reached: one to a
//! line, in hexadecimal. `cargo xtask fuzz` looks for more of them, guided by coverage. The test
//! `corpus` feeds them, and changes of them that are drawn from a seed, to the targets.
#![forbid(unsafe_code)]

mod choices;
pub mod corpus;
pub mod granter;
pub mod holder;
pub mod wire;

/// What is fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its file in `corpus/`, too.
    pub name: &'static str,
    /// Takes one input.
    ///
    /// # Panics
    /// If a claim is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "to_granter", run: wire::to_granter },
    Target { name: "from_granter", run: wire::from_granter },
    Target { name: "granter", run: granter::run },
    Target { name: "holder", run: holder::run },
];

/// The target of this name.
#[must_use]
pub fn named(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
