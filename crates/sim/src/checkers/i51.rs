//! I51: a report that clocks disagree is counted and answered, and nothing else comes of it. Drawn clocks
//! keep their promises and are never accused: the scenario `s20_crystal_slowed` makes reports.

use tlease_core::granter::{Input, Output};
use tlease_core::message::{FromGranter, Op, Reply, ToGranter};

use super::Claim;

pub(crate) const CLAIM: Claim = Claim::new("I51", "a report is counted and changes nothing else");

pub(crate) fn check(input: &Input, outputs: &[Output]) -> Result<(), String> {
    let Input::Received { message: ToGranter::Request(request), .. } = input else { return Ok(()) };
    let Op::Report(_) = request.op else { return Ok(()) };
    let counted = |output: &Output| match output {
        Output::Reported { .. } | Output::WakeAt { .. } => true,
        Output::Send { message: FromGranter::Reply { id, reply, .. }, .. } => {
            *id == request.id && matches!(reply, Reply::Noted | Reply::Refused(_))
        }
        Output::Send { .. }
        | Output::Persist { .. }
        | Output::Close { .. }
        | Output::Stopped { .. } => false,
    };
    match outputs.iter().find(|output| !counted(output)) {
        Some(other) => Err(format!("a report made {other:?}")),
        None => Ok(()),
    }
}
