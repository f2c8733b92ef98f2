//! Judges by what the commands wrote and what the granter did, and by nothing that `tlease` says.

use super::granter::Grant;
use super::running::World;
use nix::unistd::Pid;
use tlease_cli::run::RawInstant;

/// One act of a command.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) fence: u64,
    pub(crate) at: RawInstant,
    pub(crate) kind: String,
    pub(crate) pid: Pid,
}

impl World {
    /// The acts so far, in the order in which they were written.
    pub(crate) fn acts(&self) -> Vec<Act> {
        let text = std::fs::read_to_string(self.stamps()).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(Act::parse).collect()
    }

    pub(crate) fn acts_of(&self, fence: u64, kind: &str) -> Vec<Act> {
        self.acts().into_iter().filter(|act| act.fence == fence && act.kind == kind).collect()
    }

    pub(crate) fn has_acted(&self, fence: u64, kind: &str) -> bool {
        !self.acts_of(fence, kind).is_empty()
    }

    /// The grant with this fence.
    pub(crate) fn grant(&self, fence: u64) -> Grant {
        let grants = self.granter.grants();
        *grants.iter().find(|grant| grant.fence == fence).expect("it was granted")
    }

    /// No act under a fence after its grant was over or freed, and none after the next fence's first.
    pub(crate) fn judge(&self) -> Result<(), String> {
        let acts = self.acts();
        for grant in self.granter.grants() {
            let own = || acts.iter().filter(|act| act.fence == grant.fence);
            let Some(last) = own().max_by_key(|act| act.at) else { continue };
            let over = grant.freed.map_or(grant.until, |(freed, _)| freed.min(grant.until));
            if last.at >= over {
                let late = last.at.since(over);
                return Err(format!("{last:?} acted {late:?} after its grant was over: {grant:?}"));
            }
            if let Some(next) = acts.iter().find(|act| act.fence > grant.fence && act.at <= last.at)
            {
                return Err(format!("{last:?} acted after {next:?}"));
            }
        }
        Ok(())
    }
}

impl Act {
    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [fence, stamp, kind, pid] = words[..] else { panic!("not a stamp: {line}") };
        Self {
            fence: fence.parse().unwrap(),
            at: RawInstant::from_nanos(stamp.parse().unwrap()),
            kind: kind.to_owned(),
            pid: Pid::from_raw(pid.parse().unwrap()),
        }
    }
}
