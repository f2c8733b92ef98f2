//! Who may connect. Each program named is trusted with its own keys (A21): a list is as good as the
//! worst program on it.
//!
//! ```text
//! # One line for each program that may. Its name is for logs.
//! allow twins    self
//! allow granter  mrenclave=83f9...(64 digits)
//! allow holders  mrsigner=1b2c...(64 digits) product=7 min-svn=3
//! allow machines mrtd=...(96 digits) rtmr0=... rtmr1=... rtmr2=... rtmr3=...
//!
//! # What quotes may say about the machine, beside that it is up to date.
//! accept-tcb SWHardeningNeeded
//! accept-smt
//! refuse-advisory INTEL-SA-00615
//!
//! # For tests alone: whoever runs such an enclave can read its memory.
//! accept-debug
//! ```

mod parse;
mod tcb;

use crate::measured::{Enclave, Measured, Mrenclave, Mrsigner, TrustDomain};

pub use parse::{BadPolicy, Problem, RULES_MAX};
pub use tcb::TcbStatus;

/// Who may connect, and what their machines may be like. Read from text by [`str::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) rules: Vec<Rule>,
    pub(crate) accepts_debug: bool,
    pub(crate) accepted_tcb: Vec<TcbStatus>,
    pub(crate) accepts_smt: bool,
    pub(crate) accepts_dynamic_platform: bool,
    pub(crate) accepts_cached_keys: bool,
    pub(crate) refused_advisories: Vec<String>,
}

impl Policy {
    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether enclaves are let in whose memory their host can read and write.
    #[must_use]
    pub const fn accepts_debug(&self) -> bool {
        self.accepts_debug
    }

    /// What an operator must be told when this policy comes into force: one sentence each.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let debug = self.accepts_debug.then(|| {
            "INSECURE: the policy says accept-debug, so whoever runs a peer can read and change \
             its memory; for tests alone"
                .to_owned()
        });
        let tcb = self.accepted_tcb.iter().filter(|status| status.is_stale()).map(|status| {
            format!("the policy accepts machines that are {status}: known attacks on them work")
        });
        debug.into_iter().chain(tcb)
    }

    /// The first rule that lets this program in.
    pub(crate) fn admits(&self, measured: &Measured, own: Option<&Enclave>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.who.is(measured, own))
    }
}

/// A line of a policy that lets somebody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What logs call it.
    pub name: String,
    /// Whom it lets in.
    pub who: Who,
}

/// Whom a rule lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The very enclave that asks, in another instance.
    Itself,
    /// One enclave.
    Image(Mrenclave),
    /// What a signer signed as one of its products, from a security version on.
    Signed {
        /// The hash of the signer's key.
        by: Mrsigner,
        /// The product.
        product: u16,
        /// The lowest security version that may connect.
        min_svn: u16,
    },
    /// One trust domain, up to what it measured while it ran. Its field `is_debug` does not count.
    TrustDomain(Box<TrustDomain>),
}

impl Who {
    fn is(&self, measured: &Measured, own: Option<&Enclave>) -> bool {
        match (self, measured) {
            (Self::Itself, Measured::Enclave(it)) => {
                own.is_some_and(|own| own.mrenclave == it.mrenclave)
            }
            (Self::Image(image), Measured::Enclave(it)) => *image == it.mrenclave,
            (Self::Signed { by, product, min_svn }, Measured::Enclave(it)) => {
                *by == it.mrsigner && *product == it.product && it.svn >= *min_svn
            }
            (Self::TrustDomain(domain), Measured::TrustDomain(it)) => {
                domain.mrtd == it.mrtd && domain.rtmr == it.rtmr
            }
            (Self::TrustDomain(_), Measured::Enclave(_))
            | (Self::Itself | Self::Image(_) | Self::Signed { .. }, Measured::TrustDomain(_)) => {
                false
            }
        }
    }
}
