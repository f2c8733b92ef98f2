//! What the appraiser makes of local reports, field by field (I30).
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

mod common;

use common::{GRANTER, HOLDER, appraiser, machine, with_flags};
use tlease_attest::{
    Appraiser, Challenge, Enclave, Evidence, LocalReport, Measured, Mrenclave, Mrsigner, Peer,
    Platform, PlatformFault, Refusal, ReportData, Target,
};

const DATA: ReportData = ReportData([0x44; 64]);

/// What the granter makes of this enclave.
fn judge(appraiser: &Appraiser, enclave: &impl Platform) -> Result<Peer, Refusal> {
    let granter = machine().enclave(GRANTER);
    let evidence = enclave.attest(&appraiser.challenge(&granter), &DATA).unwrap();
    appraiser.appraise(&evidence, &DATA, &granter, None)
}

fn judge_report(report: LocalReport) -> Result<Peer, Refusal> {
    let evidence = Evidence::Local(Box::new(report));
    common::only(HOLDER).appraise(&evidence, &DATA, &machine().enclave(GRANTER), None)
}

#[test]
fn attributes_that_no_measurement_covers_are_refused() {
    let trusting = appraiser(&format!("allow it mrenclave={}\naccept-debug", "11".repeat(32)));
    let is_harmless = [Enclave::INIT, Enclave::MODE64BIT, Enclave::DEBUG];
    for flag in (0..64).map(|bit| 1 << bit) {
        let verdict = judge(&trusting, &with_flags(HOLDER, flag));
        match verdict {
            Ok(_) => assert!(is_harmless.contains(&flag), "{flag:#x}"),
            Err(refusal) => {
                assert!(!is_harmless.contains(&flag), "{flag:#x}");
                assert!(matches!(refusal, Refusal::Attributes { .. }), "{refusal:?}");
            }
        }
    }
}

#[test]
fn a_report_that_was_changed_at_any_byte_is_refused() {
    let granter = machine().enclave(GRANTER);
    let report = machine().enclave(HOLDER).report(&granter.target().unwrap(), &DATA);
    assert!(judge_report(report.clone()).is_ok());
    for at in 0..LocalReport::LEN {
        for bit in [0, 7] {
            let mut bytes = *report.as_bytes();
            bytes[at] ^= 1 << bit;
            let verdict = judge_report(LocalReport::from_bytes(bytes));
            assert_eq!(verdict, Err(Refusal::ForgedReport), "byte {at}");
        }
    }
}

#[test]
fn a_report_for_another_enclave_of_the_machine_is_refused() {
    let other = machine().enclave([0x33; 32]).target().unwrap();
    let report = machine().enclave(HOLDER).report(&other, &DATA);
    assert_eq!(judge_report(report), Err(Refusal::ForgedReport));

    let debugged = with_flags(GRANTER, Enclave::DEBUG).target().unwrap();
    let report = machine().enclave(HOLDER).report(&debugged, &DATA);
    assert_eq!(judge_report(report), Err(Refusal::ForgedReport), "a twin with other attributes");
}

#[test]
fn the_first_rule_that_fits_lets_in_and_all_of_it_must_fit() {
    let enclave = |mrenclave, mrsigner, product, svn| {
        machine().enclave_with(Enclave {
            mrenclave: Mrenclave(mrenclave),
            mrsigner: Mrsigner(mrsigner),
            product,
            svn,
            flags: Enclave::INIT | Enclave::MODE64BIT,
        })
    };
    let appraiser = appraiser(&format!(
        "allow twins self\nallow image mrenclave={}\nallow signed mrsigner={} product=7 min-svn=3",
        "11".repeat(32),
        "55".repeat(32)
    ));
    let other = [0x99; 32];
    for (mrenclave, mrsigner, product, svn, rule) in [
        (GRANTER, other, 0, 0, Some("twins")),
        (HOLDER, other, 0, 0, Some("image")),
        (HOLDER, [0x55; 32], 7, 3, Some("image")),
        (other, [0x55; 32], 7, 3, Some("signed")),
        (other, [0x55; 32], 7, 4, Some("signed")),
        (other, [0x55; 32], 7, 2, None),
        (other, [0x55; 32], 8, 3, None),
        (other, [0x55; 32], 6, 3, None),
        ([0x55; 32], HOLDER, 7, 3, None),
        (other, other, 7, 3, None),
    ] {
        let verdict = judge(&appraiser, &enclave(mrenclave, mrsigner, product, svn));
        match (verdict, rule) {
            (Ok(peer), Some(rule)) => assert_eq!(peer.rule, rule),
            (Err(Refusal::NotAllowed { measured: Measured::Enclave(it) }), None) => {
                assert_eq!(it.mrenclave.0, mrenclave);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A machine without enclaves.
struct Plain;

impl Platform for Plain {
    fn own(&self) -> Option<Enclave> {
        None
    }

    fn target(&self) -> Option<Target> {
        None
    }

    fn attest(&self, _: &Challenge, _: &ReportData) -> Result<Evidence, PlatformFault> {
        Err(PlatformFault::NothingToShow)
    }

    fn report_key(&self, _: &[u8; 32]) -> Result<[u8; 16], PlatformFault> {
        Err(PlatformFault::NoReportKey)
    }
}

#[test]
fn outside_an_enclave_there_is_neither_a_self_nor_a_report_to_verify() {
    let appraiser = appraiser("allow twins self");
    assert_eq!(appraiser.challenge(&Plain), Challenge { local: None, quotes: false });
    let report = machine().enclave(HOLDER).report(&Target::from_bytes([0; 128]), &DATA);
    let evidence = Evidence::Local(Box::new(report));
    let refusal = appraiser.appraise(&evidence, &DATA, &Plain, None).unwrap_err();
    assert_eq!(refusal, Refusal::NoReportKey(PlatformFault::NoReportKey));
}

#[test]
fn an_enclave_that_is_asked_for_quotes_alone_has_nothing_to_show() {
    let challenge = Challenge { local: None, quotes: true };
    let verdict = machine().enclave(HOLDER).attest(&challenge, &DATA);
    assert_eq!(verdict, Err(PlatformFault::NothingToShow));
}

/// Intel's structures as another crate has them.
#[test]
fn reports_and_targets_lie_as_sgx_isa_lays_them() {
    let bytes: [u8; LocalReport::LEN] =
        core::array::from_fn(|at| u8::try_from(at * 7 % 251).unwrap());
    let ours = LocalReport::from_bytes(bytes);
    let theirs = sgx_isa::Report::try_copy_from(&bytes).unwrap();
    let enclave = ours.enclave();
    assert_eq!(enclave.mrenclave.0, theirs.mrenclave);
    assert_eq!(enclave.mrsigner.0, theirs.mrsigner);
    assert_eq!((enclave.product, enclave.svn), (theirs.isvprodid, theirs.isvsvn));
    assert_eq!(enclave.flags, theirs.attributes.flags.bits());
    assert_eq!(ours.data().0, theirs.reportdata);
    assert_eq!(ours.key_id(), theirs.keyid);

    let target = Target::of(&ours);
    let at = |offset: usize, len: usize| target.as_bytes()[offset..][..len].to_vec();
    let info = sgx_isa::Targetinfo::from(theirs);
    let info: &[u8] = info.as_ref();
    assert_eq!(at(0, 48), info[..48], "the measurement and the attributes");
    assert_eq!(at(52, 4), info[52..56], "MISCSELECT");
    // What sgx-isa has among its reserved bytes, by the manual.
    assert_eq!(at(48, 4), [bytes[20], 0, bytes[260], bytes[261]], "CET, and CONFIGSVN");
    assert_eq!(at(56, 8), [0; 8]);
    assert_eq!(at(64, 64), bytes[192..256], "CONFIGID");
}
