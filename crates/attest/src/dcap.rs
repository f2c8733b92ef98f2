//! DCAP quotes of SGX and TDX, verified under Intel's root or one's own, without a network.

use core::fmt;

use dcap_qvl::policy::{PckCertFlag, QuoteClaims};
use dcap_qvl::quote::{Quote, Report, TDReport10};
use dcap_qvl::tcb_info::TcbStatus as IntelStatus;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteCollateralV3, QuotePolicy};

use crate::appraise::{Proof, Shown, UnixTime};
use crate::binding::ReportData;
use crate::hex;
use crate::measured::{Enclave, Measured, Mrenclave, Mrsigner, Register, TrustDomain};
use crate::policy::{Policy, TcbStatus};
use crate::refusal::Refusal;

/// What quotes are verified by: a root, and collateral for each kind of machine (FMSPC) that may
/// show one.
///
/// Collateral is signed and dated by Intel, so it may come over any network; the host fetches it,
/// not this crate. Who withholds new collateral gets at most until the old one expires.
pub struct Quotes {
    verifier: QuoteVerifier,
    collateral: Vec<Collateral>,
}

impl Quotes {
    /// Trusts Intel's root for production.
    ///
    /// # Errors
    /// [`BadCollateral`] if a text is no collateral.
    pub fn new(collateral: &[&str]) -> Result<Self, BadCollateral> {
        Self::under(QuoteVerifier::new_prod(), collateral)
    }

    /// Trusts this certificate, in DER, instead: for tests, or for a root of one's own.
    ///
    /// # Errors
    /// [`BadCollateral`] if a text is no collateral.
    pub fn assume_root(root: &[u8], collateral: &[&str]) -> Result<Self, BadCollateral> {
        Self::under(QuoteVerifier::new(root.to_vec()), collateral)
    }

    fn under(verifier: QuoteVerifier, texts: &[&str]) -> Result<Self, BadCollateral> {
        let read = |(index, text): (usize, &&str)| {
            Collateral::read(text).map_err(|source| BadCollateral { index, source })
        };
        let collateral = texts.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        // Debugging is refused by the policy, with a reason of its own.
        Ok(Self { verifier: verifier.allow_debug(true), collateral })
    }

    /// What a quote says, if it is authentic and its machine as the policy demands.
    pub(crate) fn verify(
        &self,
        quote: &[u8],
        UnixTime(now): UnixTime,
        policy: &Policy,
    ) -> Result<Shown, Refusal> {
        let parsed = Quote::parse(quote).map_err(bad_quote)?;
        let fmspc = dcap_qvl::intel::quote_fmspc(&parsed).map_err(bad_quote)?;
        let is_sgx = parsed.report.is_sgx();
        let fits = |of: &&Collateral| of.fmspc == fmspc && of.is_sgx == is_sgx;
        let collateral = self.collateral.iter().find(fits).ok_or_else(|| Refusal::BadQuote {
            why: format!("there is no collateral for machines of FMSPC {fmspc:02x?}"),
        })?;
        let claims = self
            .verifier
            .verify_with_policy(quote, &collateral.signed, now, &QuotePolicy::claims_only(now))
            .map_err(bad_quote)?;
        check_machine(&claims, policy)?;
        let (measured, data) = read_report(&claims.report);
        let status = status(claims.tcb.status);
        let proof = Proof::Quote { status, advisories: claims.tcb.advisory_ids };
        Ok(Shown { measured, data, proof })
    }
}

impl fmt::Debug for Quotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fmspcs: Vec<_> = self.collateral.iter().map(|of| of.fmspc).collect();
        f.debug_struct("Quotes").field("fmspcs", &fmspcs).finish_non_exhaustive()
    }
}

/// Intel's signed statements about one kind of machine.
struct Collateral {
    fmspc: [u8; 6],
    is_sgx: bool,
    signed: QuoteCollateralV3,
}

impl Collateral {
    /// The kind of machine is read here to find the collateral; the verifier compares it again.
    fn read(text: &str) -> Result<Self, serde_json::Error> {
        use serde::de::Error as _;

        let signed: QuoteCollateralV3 = serde_json::from_str(text)?;
        let info: serde_json::Value = serde_json::from_str(&signed.tcb_info)?;
        let fmspc = info["fmspc"].as_str().and_then(hex::read);
        let fmspc = fmspc.ok_or_else(|| serde_json::Error::custom("its TCB info has no FMSPC"))?;
        Ok(Self { fmspc, is_sgx: info["id"] == "SGX", signed })
    }
}

/// A text that is no collateral.
#[derive(Debug)]
pub struct BadCollateral {
    /// Which one, counted from 0.
    pub index: usize,
    source: serde_json::Error,
}

impl fmt::Display for BadCollateral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "collateral {} is none; fetch it again", self.index)
    }
}

impl core::error::Error for BadCollateral {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Whether the policy accepts the state of the machine. What it does not mention is refused.
fn check_machine(claims: &QuoteClaims, policy: &Policy) -> Result<(), Refusal> {
    let status = status(claims.tcb.status);
    if status != TcbStatus::UpToDate && !policy.accepted_tcb.contains(&status) {
        let advisories = claims.tcb.advisory_ids.clone();
        return Err(Refusal::Tcb { status, advisories });
    }
    let refused = |id: &&String| policy.refused_advisories.contains(id);
    if let Some(id) = claims.tcb.advisory_ids.iter().find(refused) {
        return Err(Refusal::Advisory { id: id.clone() });
    }
    let pck = &claims.platform.pck;
    let statement = if pck.smt_enabled != PckCertFlag::False && !policy.accepts_smt {
        "accept-smt"
    } else if pck.dynamic_platform == PckCertFlag::True && !policy.accepts_dynamic_platform {
        "accept-dynamic-platform"
    } else if pck.cached_keys == PckCertFlag::True && !policy.accepts_cached_keys {
        "accept-cached-keys"
    } else {
        return Ok(());
    };
    Err(Refusal::Machine { statement })
}

fn read_report(report: &Report) -> (Measured, ReportData) {
    match report {
        Report::SgxEnclave(enclave) => {
            let mut flags = [0; 8];
            flags.copy_from_slice(&enclave.attributes[..8]);
            let measured = Measured::Enclave(Enclave {
                mrenclave: Mrenclave(enclave.mr_enclave),
                mrsigner: Mrsigner(enclave.mr_signer),
                product: enclave.isv_prod_id,
                svn: enclave.isv_svn,
                flags: u64::from_le_bytes(flags),
            });
            (measured, ReportData(enclave.report_data))
        }
        Report::TD10(domain) => read_domain(domain),
        Report::TD15(domain) => read_domain(&domain.base),
        Report::TD15Ex(domain) => read_domain(&domain.base.base),
    }
}

fn read_domain(domain: &TDReport10) -> (Measured, ReportData) {
    let measured = Measured::TrustDomain(Box::new(TrustDomain {
        mrtd: Register(domain.mr_td),
        rtmr: [domain.rt_mr0, domain.rt_mr1, domain.rt_mr2, domain.rt_mr3].map(Register),
        // Its first byte is what makes a domain untrusted, whichever bit of it.
        is_debug: domain.td_attributes[0] != 0,
    }));
    (measured, ReportData(domain.report_data))
}

const fn status(status: IntelStatus) -> TcbStatus {
    match status {
        IntelStatus::UpToDate => TcbStatus::UpToDate,
        IntelStatus::SWHardeningNeeded => TcbStatus::SwHardeningNeeded,
        IntelStatus::ConfigurationNeeded => TcbStatus::ConfigurationNeeded,
        IntelStatus::ConfigurationAndSWHardeningNeeded => {
            TcbStatus::ConfigurationAndSwHardeningNeeded
        }
        IntelStatus::OutOfDate => TcbStatus::OutOfDate,
        IntelStatus::OutOfDateConfigurationNeeded => TcbStatus::OutOfDateConfigurationNeeded,
        IntelStatus::TDRelaunchAdvised => TcbStatus::TdRelaunchAdvised,
        IntelStatus::TDRelaunchAdvisedConfigurationNeeded => {
            TcbStatus::TdRelaunchAdvisedConfigurationNeeded
        }
        IntelStatus::Revoked => TcbStatus::Revoked,
    }
}

/// With all that the verifier says, outermost first.
fn bad_quote(error: impl fmt::Display) -> Refusal {
    Refusal::BadQuote { why: format!("{error:#}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_bit_makes_a_trust_domain_untrusted_it_is_read_as_one_that_can_be_debugged() {
        let sample = include_bytes!("../tests/samples/tdx_quote");
        let is_debug = |bit: usize| {
            let mut quote = sample.to_vec();
            quote[TD_ATTRIBUTES + bit / 8] ^= 1 << (bit % 8);
            let quote = Quote::parse(&quote).expect("a quote, though not a signed one");
            match read_report(&quote.report) {
                (Measured::TrustDomain(domain), _) => domain.is_debug,
                (Measured::Enclave(_), _) => panic!("a quote of a trust domain"),
            }
        };
        assert_eq!(sample[TD_ATTRIBUTES], 0, "the sample itself is of none");
        for bit in 0..64 {
            assert_eq!(is_debug(bit), bit < 8, "bit {bit}");
        }
    }

    /// Behind the quote's header, and four fields of the report.
    const TD_ATTRIBUTES: usize = 48 + 16 + 48 + 48 + 8;
}
