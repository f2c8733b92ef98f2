//! DCAP quotes: real ones, judged at a time when their collateral was current (I30).
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

use std::os::unix::net::UnixStream;
use std::thread;

use proptest::prelude::*;
use tlease_attest::test_quotes::{self, QuotingEnclave};
use tlease_attest::test_root::TestRoot;
use tlease_attest::{
    Appraiser, Challenge, Enclave, Evidence, HandshakeError, Identity, Measured, Mrenclave,
    Mrsigner, Peer, Platform, PlatformFault, Policy, Proof, Quotes, Reason, Refusal, Register,
    ReportData, Target, TcbStatus, TrustDomain, UnixTime, accept, connect,
};

const SGX_QUOTE: &[u8] = include_bytes!("samples/sgx_quote");
const SGX_COLLATERAL: &str = include_str!("samples/sgx_quote_collateral.json");
const TDX_QUOTE: &[u8] = include_bytes!("samples/tdx_quote");
const TDX_COLLATERAL: &str = include_str!("samples/tdx_quote_collateral.json");

/// 21 June 2025.
const THEN: UnixTime = UnixTime(1_750_500_000);

const SGX_RULE: &str = "allow it \
    mrenclave=33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb\n";
const SGX_STATUS: &str = "accept-tcb ConfigurationAndSWHardeningNeeded\n";

fn quotes() -> Quotes {
    Quotes::new(&[TDX_COLLATERAL, SGX_COLLATERAL]).unwrap()
}

fn appraise(
    policy: &str,
    quotes: Quotes,
    quote: &[u8],
    data: &[u8],
    now: Option<UnixTime>,
) -> Result<Peer, Refusal> {
    let appraiser = Appraiser::new(policy.parse::<Policy>().unwrap()).with_quotes(quotes);
    let platform = TestRoot::new([0; 16]).enclave([0; 32]);
    let data = ReportData(data.try_into().unwrap());
    appraiser.appraise(&Evidence::Quote(quote.to_vec()), &data, &platform, now)
}

/// What the sample's enclave chose to say.
fn sgx_data() -> Vec<u8> {
    SGX_QUOTE[48 + 320..48 + 384].to_vec()
}

fn sgx(policy: &str) -> Result<Peer, Refusal> {
    appraise(policy, quotes(), SGX_QUOTE, &sgx_data(), Some(THEN))
}

#[test]
fn a_genuine_quote_of_an_enclave_on_the_list_is_accepted() {
    let peer = sgx(&format!("{SGX_RULE}{SGX_STATUS}accept-smt")).unwrap();
    assert_eq!(peer.rule, "it");
    let Proof::Quote { status, advisories } = peer.proof else { panic!("{:?}", peer.proof) };
    assert_eq!(status, TcbStatus::ConfigurationAndSwHardeningNeeded);
    assert_eq!(advisories, ["INTEL-SA-00289", "INTEL-SA-00615"]);
}

#[test]
fn its_signer_and_version_let_it_in_too_from_that_version_on() {
    let signer = |svn: u16| {
        let by = "815f42f11cf64430c30bab7816ba596a1da0130c3b028b673133a66cf9a3e0e6";
        sgx(&format!("allow it mrsigner={by} product=0 min-svn={svn}\n{SGX_STATUS}accept-smt"))
    };
    assert!(signer(0).is_ok());
    assert!(matches!(signer(1), Err(Refusal::NotAllowed { .. })));
}

#[test]
fn a_genuine_quote_of_a_trust_domain_is_accepted_with_all_of_its_registers() {
    let domain = &TDX_QUOTE[48..];
    let hex = |at: usize| -> String {
        domain[at..at + 48].iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let rule = |rtmr2: &str| {
        format!(
            "allow vm mrtd={} rtmr0={} rtmr1={} rtmr2={rtmr2} rtmr3={}\naccept-smt\n",
            hex(136),
            hex(328),
            hex(376),
            hex(472)
        )
    };
    let judge = |policy: &str| appraise(policy, quotes(), TDX_QUOTE, &domain[520..584], Some(THEN));
    let accepted = format!("{}accept-dynamic-platform\naccept-cached-keys", rule(&hex(424)));
    let peer = judge(&accepted).unwrap();
    assert!(matches!(peer.measured, Measured::TrustDomain(_)));
    assert!(matches!(peer.proof, Proof::Quote { status: TcbStatus::UpToDate, .. }));

    // Its machine is of both kinds: either statement alone is not enough.
    for (said, statement) in [
        ("accept-cached-keys", "accept-dynamic-platform"),
        ("accept-dynamic-platform", "accept-cached-keys"),
        ("", "accept-dynamic-platform"),
    ] {
        let refusal = judge(&format!("{}{said}", rule(&hex(424)))).unwrap_err();
        assert_eq!(refusal, Refusal::Machine { statement }, "{said}");
    }

    let other = format!("{}accept-dynamic-platform\naccept-cached-keys", rule(&"00".repeat(48)));
    assert!(matches!(judge(&other), Err(Refusal::NotAllowed { .. })));
}

#[test]
fn what_the_policy_does_not_mention_is_refused() {
    let refusal = sgx(SGX_RULE).unwrap_err();
    let Refusal::Tcb { status, .. } = &refusal else { panic!("{refusal:?}") };
    assert_eq!(*status, TcbStatus::ConfigurationAndSwHardeningNeeded);
    assert!(refusal.to_string().contains(SGX_STATUS.trim()), "{refusal}");

    let refusal = sgx(&format!("{SGX_RULE}{SGX_STATUS}")).unwrap_err();
    assert_eq!(refusal, Refusal::Machine { statement: "accept-smt" });

    let advisory = "accept-smt\nrefuse-advisory INTEL-SA-00615";
    let refusal = sgx(&format!("{SGX_RULE}{SGX_STATUS}{advisory}")).unwrap_err();
    assert_eq!(refusal, Refusal::Advisory { id: "INTEL-SA-00615".into() });

    let other = format!("allow it mrenclave={}\n{SGX_STATUS}accept-smt", "34".repeat(32));
    assert!(matches!(sgx(&other), Err(Refusal::NotAllowed { .. })));
}

fn good() -> String {
    format!("{SGX_RULE}{SGX_STATUS}accept-smt")
}

#[test]
fn a_quote_that_is_bound_to_something_else_is_refused() {
    for bit in [0, 7, 511] {
        let mut data = sgx_data();
        data[bit / 8] ^= 1 << (bit % 8);
        let refusal = appraise(&good(), quotes(), SGX_QUOTE, &data, Some(THEN)).unwrap_err();
        assert_eq!(refusal, Refusal::NotBound);
    }
}

#[test]
fn a_quote_is_refused_wherever_it_was_changed() {
    // The header, the report and its signature lie in front of the chain of certificates, whose
    // text has parts that mean nothing. Two bytes say how long what follows may be.
    let signed = 48 + 384;
    let lengths = signed..signed + 4;
    for at in (0..signed + 4 + 64).step_by(11).filter(|at| !lengths.contains(at)) {
        let mut quote = SGX_QUOTE.to_vec();
        quote[at] ^= 1;
        let result = appraise(&good(), quotes(), &quote, &sgx_data(), Some(THEN));
        assert!(matches!(result, Err(Refusal::BadQuote { .. })), "byte {at}: {result:?}");
    }
}

#[test]
fn a_quote_that_was_cut_short_is_refused() {
    for len in (0..SGX_QUOTE.len()).step_by(97) {
        let result = appraise(&good(), quotes(), &SGX_QUOTE[..len], &sgx_data(), Some(THEN));
        assert!(matches!(result, Err(Refusal::BadQuote { .. })), "{len} bytes: {result:?}");
    }
}

#[test]
fn collateral_counts_neither_before_nor_after_its_time() {
    for now in [1_700_000_000, 1_760_000_000, u64::MAX] {
        let now = Some(UnixTime(now));
        let result = appraise(&good(), quotes(), SGX_QUOTE, &sgx_data(), now);
        assert!(matches!(result, Err(Refusal::BadQuote { .. })), "{now:?}: {result:?}");
    }
    let result = appraise(&good(), quotes(), SGX_QUOTE, &sgx_data(), None);
    assert_eq!(result, Err(Refusal::NoTime));
}

#[test]
fn a_quote_counts_under_its_own_root_alone() {
    let judge = |root: &[u8]| {
        let quotes = Quotes::assume_root(root, &[SGX_COLLATERAL]).unwrap();
        appraise(&good(), quotes, SGX_QUOTE, &sgx_data(), Some(THEN))
    };
    assert!(judge(include_bytes!("samples/intel_root.der")).is_ok());
    for root in [&include_bytes!("samples/other_root.der")[..], &[]] {
        let result = judge(root);
        assert!(matches!(result, Err(Refusal::BadQuote { .. })), "{result:?}");
    }
}

#[test]
fn collateral_counts_for_the_kind_of_machine_that_it_is_about() {
    let quotes = Quotes::new(&[TDX_COLLATERAL]).unwrap();
    let result = appraise(&good(), quotes, SGX_QUOTE, &sgx_data(), Some(THEN));
    let Err(Refusal::BadQuote { why }) = result else { panic!("{result:?}") };
    assert!(why.contains("no collateral"), "{why}");

    // Relabelled, it is chosen; but Intel has signed what it is about.
    let relabelled = TDX_COLLATERAL.replace("B0C06F000000", "00A067110000");
    assert_ne!(relabelled, TDX_COLLATERAL);
    let relabelled = relabelled.replace(r#"\"id\":\"TDX\""#, r#"\"id\":\"SGX\""#);
    let quotes = Quotes::new(&[&relabelled]).unwrap();
    let result = appraise(&good(), quotes, SGX_QUOTE, &sgx_data(), Some(THEN));
    let Err(Refusal::BadQuote { why }) = result else { panic!("{result:?}") };
    assert!(!why.contains("no collateral"), "{why}");
}

#[test]
fn what_is_no_collateral_is_told_by_its_place() {
    for text in ["", "{}", r#"{"tcb_info": 3}"#, &SGX_COLLATERAL.replace("fmspc", "fmspd")] {
        let bad = Quotes::new(&[SGX_COLLATERAL, text]).unwrap_err();
        assert_eq!(bad.index, 1, "{text:.40}");
    }
}

/// Shows one quote to everybody.
struct Replayer;

impl Platform for Replayer {
    fn own(&self) -> Option<Enclave> {
        None
    }

    fn target(&self) -> Option<Target> {
        None
    }

    fn attest(&self, challenge: &Challenge, _: &ReportData) -> Result<Evidence, PlatformFault> {
        assert!(challenge.quotes, "a side with collateral says so");
        Ok(Evidence::Quote(SGX_QUOTE.to_vec()))
    }

    fn report_key(&self, _: &[u8; 32]) -> Result<[u8; 16], PlatformFault> {
        Err(PlatformFault::NoReportKey)
    }
}

#[test]
fn a_genuine_quote_that_was_not_made_for_the_session_opens_none() {
    let (near, far) = UnixStream::pair().unwrap();
    let judge = || Appraiser::new(good().parse().unwrap()).with_quotes(quotes());
    let (connected, accepted) = thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            connect(near, &Identity::new(Replayer).unwrap(), &judge(), Some(THEN)).map(drop)
        });
        let identity = Identity::new(Replayer).unwrap();
        let accepted = accept(far, &identity, &judge(), Some(THEN)).map(drop);
        (connecting.join().unwrap(), accepted)
    });
    assert!(matches!(accepted, Err(HandshakeError::Refused(Refusal::NotBound))), "{accepted:?}");
    let Err(HandshakeError::RefusedByPeer(Reason::NotBound)) = connected else {
        panic!("{connected:?}")
    };
}

fn enclave(mrenclave: u8, flags: u64) -> Enclave {
    Enclave {
        mrenclave: Mrenclave([mrenclave; 32]),
        mrsigner: Mrsigner([0xee; 32]),
        product: 0,
        svn: 0,
        flags: Enclave::INIT | Enclave::MODE64BIT | flags,
    }
}

/// Lets two enclaves on machines with quotes meet; both have this policy.
fn meet(holder: Enclave, granter: Enclave, policy: &str) -> [Result<Peer, HandshakeError>; 2] {
    let (near, far) = UnixStream::pair().unwrap();
    let side = |enclave| {
        let appraiser = Appraiser::new(policy.parse().unwrap()).with_quotes(test_quotes::quotes());
        (Identity::new(QuotingEnclave::new(enclave)).unwrap(), appraiser)
    };
    let now = Some(UnixTime(1_800_000_000));
    thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            let (identity, appraiser) = side(holder);
            connect(near, &identity, &appraiser, now).map(|session| session.peer().clone())
        });
        let (identity, appraiser) = side(granter);
        let accepted = accept(far, &identity, &appraiser, now);
        [connecting.join().unwrap(), accepted.map(|session| session.peer().clone())]
    })
}

#[test]
fn two_enclaves_on_machines_with_quotes_get_a_session() {
    let policy = format!(
        "allow holder mrenclave={}\nallow granter mrenclave={}",
        "01".repeat(32),
        "02".repeat(32)
    );
    let peers = meet(enclave(1, 0), enclave(2, 0), &policy).map(Result::unwrap);
    assert_eq!([&*peers[0].rule, &peers[1].rule], ["granter", "holder"]);
    let fresh = Proof::Quote { status: TcbStatus::UpToDate, advisories: vec![] };
    assert!(peers.iter().all(|peer| peer.proof == fresh), "{peers:?}");

    let [_, refused] = meet(enclave(3, 0), enclave(2, 0), &policy);
    let Err(HandshakeError::Refused(Refusal::NotAllowed { .. })) = refused else {
        panic!("{refused:?}")
    };
    let [_, refused] = meet(enclave(1, Enclave::DEBUG), enclave(2, 0), &policy);
    let Err(HandshakeError::Refused(Refusal::Debug { .. })) = refused else {
        panic!("{refused:?}")
    };
}

#[test]
fn a_trust_domain_that_is_being_debugged_is_refused_though_its_quote_is_authentic() {
    let data = ReportData([4; 64]);
    let registers = [1, 2, 3, 4].map(|number| Register([number; 48]));
    let judge = |is_debug, says: &str| {
        let domain = TrustDomain { mrtd: Register([9; 48]), rtmr: registers, is_debug };
        let quote = test_quotes::domain_quote(&domain, &data);
        let policy = format!("allow vm {domain}\n{says}");
        appraise(&policy, test_quotes::quotes(), &quote, &data.0, Some(UnixTime(1_800_000_000)))
    };
    let peer = judge(false, "").unwrap();
    assert!(matches!(peer.measured, Measured::TrustDomain(domain) if !domain.is_debug));
    let refused = judge(true, "");
    assert!(matches!(refused, Err(Refusal::Debug { .. })), "{refused:?}");
    let peer = judge(true, "accept-debug").unwrap();
    assert!(matches!(peer.measured, Measured::TrustDomain(domain) if domain.is_debug));
}

#[test]
fn nobody_else_believes_the_test_root() {
    let data = ReportData([3; 64]);
    let quote = QuotingEnclave::new(enclave(1, 0)).quote(&data);
    let policy = format!("allow it mrenclave={}", "01".repeat(32));
    let now = Some(UnixTime(1_800_000_000));
    assert!(appraise(&policy, test_quotes::quotes(), &quote, &data.0, now).is_ok());
    let collateral = include_str!("../src/platform/test_quotes/collateral.json");
    let intel = Quotes::new(&[collateral]).unwrap();
    let result = appraise(&policy, intel, &quote, &data.0, now);
    assert!(matches!(result, Err(Refusal::BadQuote { .. })), "{result:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_but_a_quote_are_one(
        changes in prop::collection::vec((0..SGX_QUOTE.len(), any::<u8>()), 1..8),
        len in prop_oneof![Just(SGX_QUOTE.len()), 0..SGX_QUOTE.len()],
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut quote = SGX_QUOTE[..len].to_vec();
        for (at, byte) in changes {
            if let Some(there) = quote.get_mut(at) {
                *there = byte;
            }
        }
        for bytes in [quote, bytes] {
            let result = appraise(&good(), quotes(), &bytes, &sgx_data(), Some(THEN));
            // A change within the text of certificates may mean nothing.
            if result.is_ok() {
                prop_assert_eq!(&bytes[..432], &SGX_QUOTE[..432]);
            }
        }
    }
}
