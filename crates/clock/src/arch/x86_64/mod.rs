//! x86-64: hardware transactions, restartable sequences, the time-stamp counter.

mod beat;
#[cfg(feature = "host")]
mod chain;
#[cfg(feature = "host")]
mod cpu;
#[cfg(feature = "emulated-transactions")]
mod emulated_mark;
#[cfg(feature = "host")]
mod host_gate;
#[cfg(feature = "host")]
mod marks;
#[cfg(feature = "host")]
mod publish;
#[cfg(feature = "host")]
mod rseq;
mod rtm;
mod stay_gate;

pub(crate) use beat::{Chain, counter, counter_early};
#[cfg(feature = "host")]
pub(crate) use chain::imul_chain_ticks;
#[cfg(feature = "host")]
pub(crate) use cpu::{Cpu, Tsc};
#[cfg(feature = "emulated-transactions")]
pub use emulated_mark::EmulatedMark;
#[cfg(feature = "host")]
pub(crate) use host_gate::{Gate, GateClocks};
#[cfg(feature = "host")]
pub(crate) use marks::Marks;
#[cfg(feature = "host")]
pub(crate) use publish::{Sequence, SequenceWords, Stored};
#[cfg(feature = "host")]
pub(crate) use rseq::{Mark, Rseq};
#[cfg(feature = "emulated-transactions")]
pub use rtm::assume_emulated_transactions;
pub(crate) use rtm::{Rtm, Tail, code_address};
#[cfg(target_env = "sgx")]
pub(crate) use stay_gate::{MARKS, MarkWord};
pub(crate) use stay_gate::{StayGate, StayMargin};
