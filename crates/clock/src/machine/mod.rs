//! What this machine offers, found and measured: the facts behind `tlease doctor`.

mod costs;
mod cycles;
pub(crate) mod facts;
mod gaps;
mod mark;
mod model;
mod outlook;
mod report;
mod survey;
mod usable;

pub use crate::enclave::CpuModel;
pub use costs::Costs;
pub use cycles::CycleRatio;
pub use facts::TrustedHardware;
pub use gaps::Gaps;
pub use mark::MarkSight;
pub use outlook::{Outlook, Serving};
pub use report::{MachineReport, Transactions};
pub use survey::Survey;
pub use usable::Usable;
