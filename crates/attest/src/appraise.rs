//! Whether a peer's evidence lets it in (I30).

use crate::binding::ReportData;
use crate::challenge::Challenge;
#[cfg(feature = "dcap")]
use crate::dcap::Quotes;
use crate::evidence::Evidence;
use crate::measured::{Enclave, Measured};
use crate::platform::Platform;
use crate::policy::{Policy, TcbStatus};
use crate::refusal::Refusal;
use crate::report::LocalReport;

/// Decides whether evidence lets a peer in: by the [`Policy`], and by what it can verify.
#[derive(Debug)]
pub struct Appraiser {
    policy: Policy,
    #[cfg(feature = "dcap")]
    quotes: Option<Quotes>,
}

impl Appraiser {
    /// Verifies local reports alone.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            #[cfg(feature = "dcap")]
            quotes: None,
        }
    }

    /// Verifies quotes too.
    #[cfg(feature = "dcap")]
    #[must_use]
    pub fn with_quotes(mut self, quotes: Quotes) -> Self {
        self.quotes = Some(quotes);
        self
    }

    /// The policy that it decides by.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What evidence it can verify on this platform.
    #[must_use]
    pub fn challenge(&self, platform: &dyn Platform) -> Challenge {
        #[cfg(feature = "dcap")]
        let quotes = self.quotes.is_some();
        #[cfg(not(feature = "dcap"))]
        let quotes = false;
        Challenge { local: platform.target(), quotes }
    }

    /// Decides about one peer: its evidence must be authentic, carry `bound`, which ties it to the
    /// session and the key that the peer uses there, and be of a program that the policy names.
    ///
    /// # Timing
    /// `now` is what the collateral of quotes is judged by. Local reports need none: they are fresh
    /// because `bound` is.
    ///
    /// # Errors
    /// [`Refusal`], which says why.
    pub fn appraise(
        &self,
        evidence: &Evidence,
        bound: &ReportData,
        platform: &dyn Platform,
        now: Option<UnixTime>,
    ) -> Result<Peer, Refusal> {
        let shown = match evidence {
            Evidence::Local(report) => verify_local(report, platform)?,
            Evidence::Quote(quote) => self.verify_quote(quote, now)?,
        };
        self.judge(shown, bound, platform.own().as_ref())
    }

    /// Decides about what authentic evidence says.
    fn judge(
        &self,
        shown: Shown,
        bound: &ReportData,
        own: Option<&Enclave>,
    ) -> Result<Peer, Refusal> {
        if shown.data != *bound {
            return Err(Refusal::NotBound);
        }
        self.check_attributes(&shown.measured)?;
        match self.policy.admits(&shown.measured, own) {
            Some(rule) => {
                Ok(Peer { rule: rule.name.clone(), measured: shown.measured, proof: shown.proof })
            }
            None => Err(Refusal::NotAllowed { measured: shown.measured }),
        }
    }

    #[cfg(feature = "dcap")]
    fn verify_quote(&self, quote: &[u8], now: Option<UnixTime>) -> Result<Shown, Refusal> {
        let quotes = self.quotes.as_ref().ok_or(Refusal::NoQuotes)?;
        quotes.verify(quote, now.ok_or(Refusal::NoTime)?, &self.policy)
    }

    #[cfg(not(feature = "dcap"))]
    #[expect(clippy::unused_self, reason = "it has nothing to verify quotes by")]
    fn verify_quote(&self, _: &[u8], _: Option<UnixTime>) -> Result<Shown, Refusal> {
        Err(Refusal::NoQuotes)
    }

    /// MRENCLAVE covers no attribute: whoever signs the same enclave anew chooses them. So none may
    /// be set that this crate does not know to be harmless.
    fn check_attributes(&self, measured: &Measured) -> Result<(), Refusal> {
        let is_debug = match measured {
            Measured::Enclave(enclave) => {
                let fixed = Enclave::INIT | Enclave::MODE64BIT;
                if enclave.flags & !Enclave::DEBUG != fixed {
                    return Err(Refusal::Attributes { flags: enclave.flags });
                }
                enclave.is_debug()
            }
            Measured::TrustDomain(domain) => domain.is_debug,
        };
        if is_debug && !self.policy.accepts_debug {
            return Err(Refusal::Debug { measured: measured.clone() });
        }
        Ok(())
    }
}

/// Who is at the other end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The name of the rule that let it in.
    pub rule: String,
    /// What it is.
    pub measured: Measured,
    /// How that was shown.
    pub proof: Proof,
}

/// How a measurement was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// By a report of the processor that both run on.
    SameMachine,
    /// By a quote under the root that was configured.
    Quote {
        /// How up to date the machine was, by the collateral.
        status: TcbStatus,
        /// What is known about it.
        advisories: Vec<String>,
    },
}

/// Seconds since 1970, in UTC: what the validity of certificates and collateral is judged by. Never
/// compared with an instant of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(pub u64);

/// What authentic evidence says.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) measured: Measured,
    pub(crate) data: ReportData,
    pub(crate) proof: Proof,
}

fn verify_local(report: &LocalReport, platform: &dyn Platform) -> Result<Shown, Refusal> {
    let key = platform.report_key(&report.key_id()).map_err(Refusal::NoReportKey)?;
    if !report.is_tagged_by(&key) {
        return Err(Refusal::ForgedReport);
    }
    Ok(Shown {
        measured: Measured::Enclave(report.enclave()),
        data: report.data(),
        proof: Proof::SameMachine,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::{Register, TrustDomain};

    /// What becomes of an authentic quote of a trust domain that the policy names, if it can be debugged.
    fn judge(is_debug: bool, says: &str) -> Result<Peer, Refusal> {
        let registers = [[1; 48], [2; 48], [3; 48], [4; 48]].map(Register);
        let named = TrustDomain { mrtd: Register([9; 48]), rtmr: registers, is_debug: false };
        let rule = format!("allow vm {}\n{says}", Measured::TrustDomain(Box::new(named)));
        let shown = Measured::TrustDomain(Box::new(TrustDomain { is_debug, ..named }));
        let shown = Shown { measured: shown, data: ReportData([5; 64]), proof: Proof::SameMachine };
        let policy = rule.parse().expect("a policy");
        Appraiser::new(policy).judge(shown, &ReportData([5; 64]), None)
    }

    #[test]
    fn a_trust_domain_that_can_be_debugged_is_refused_unless_the_policy_accepts_that() {
        assert_eq!(judge(false, "").expect("named").rule, "vm");
        assert!(matches!(judge(true, ""), Err(Refusal::Debug { .. })));
        assert_eq!(judge(true, "accept-debug").expect("accepted").rule, "vm");
    }
}
