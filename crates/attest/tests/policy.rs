//! Policies: what they say, and what is said about those that are none.

use tlease_attest::{
    BadPolicy, Enclave, Measured, Mrenclave, Mrsigner, Policy, Problem, RULES_MAX, Register, Rule,
    TrustDomain, Who,
};

fn digits(byte: &str, bytes: usize) -> String {
    byte.repeat(bytes)
}

fn problem(text: &str) -> (usize, Problem) {
    let BadPolicy { line, problem } = text.parse::<Policy>().expect_err(text);
    (line, problem)
}

#[test]
fn every_statement_is_read() {
    let text = format!(
        "# Who may connect.\n\
         allow twins self\n\
         \n\
         \tallow granter  mrenclave={e}   # the build of June\n\
         allow holders mrsigner={s} product=7 min-svn=65535\r\n\
         allow vm.1 mrtd={d} rtmr0={r} rtmr1={r} rtmr2={r} rtmr3={d}\n\
         accept-tcb SWHardeningNeeded\n\
         accept-tcb OutOfDate\n\
         accept-smt\naccept-dynamic-platform\naccept-cached-keys\n\
         refuse-advisory INTEL-SA-00615\n\
         accept-debug",
        e = digits("aB", 32),
        s = digits("02", 32),
        d = digits("03", 48),
        r = digits("04", 48),
    );
    let policy: Policy = text.parse().unwrap();
    let domain = TrustDomain {
        mrtd: Register([3; 48]),
        rtmr: [[4; 48], [4; 48], [4; 48], [3; 48]].map(Register),
        is_debug: false,
    };
    let rule = |name: &str, who| Rule { name: name.into(), who };
    assert_eq!(
        policy.rules(),
        [
            rule("twins", Who::Itself),
            rule("granter", Who::Image(Mrenclave([0xab; 32]))),
            rule("holders", Who::Signed { by: Mrsigner([2; 32]), product: 7, min_svn: 65535 }),
            rule("vm.1", Who::TrustDomain(Box::new(domain))),
        ]
    );
    assert!(policy.accepts_debug());
    assert_eq!(policy.warnings().count(), 2, "debugging, and a machine that is out of date");
    assert_eq!("allow a self".parse::<Policy>().unwrap().warnings().count(), 0);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let who = format!("mrenclave={}", digits("01", 32));
    let signer = format!("mrsigner={}", digits("01", 32));
    let word = |word: &str| word.to_owned();
    let key = |key| Problem::MissingKey { key };
    for (text, line, want) in [
        ("", 0, Problem::AllowsNobody),
        ("# nothing\naccept-smt\n", 2, Problem::AllowsNobody),
        ("allow a self\nalow b self", 2, Problem::UnknownStatement { word: word("alow") }),
        ("Allow a self", 1, Problem::UnknownStatement { word: word("Allow") }),
        ("allow", 1, Problem::MissingName),
        ("allow a/b self", 1, Problem::BadName { name: word("a/b") }),
        ("allow a self\nallow a self", 2, Problem::RepeatedName { name: word("a") }),
        ("\n\nallow a", 3, Problem::MissingMeasurement),
        ("allow a anybody", 1, Problem::UnknownMeasurement { word: word("anybody") }),
        ("allow a *", 1, Problem::UnknownMeasurement { word: word("*") }),
        ("allow self", 1, Problem::MissingMeasurement),
        ("allow a self too", 1, Problem::ExtraWord { word: word("too") }),
        (&format!("allow a {who} {who}"), 1, Problem::ExtraWord { word: who[..64].into() }),
        (&format!("allow a {who}0"), 1, Problem::BadDigits { key: "mrenclave", want: 64 }),
        ("allow a mrenclave=", 1, Problem::BadDigits { key: "mrenclave", want: 64 }),
        (
            &format!("allow a mrenclave={}", digits("0g", 32)),
            1,
            Problem::BadDigits { key: "mrenclave", want: 64 },
        ),
        (&format!("allow a {signer}"), 1, key("product")),
        (&format!("allow a {signer} product=1"), 1, key("min-svn")),
        (&format!("allow a {signer} min-svn=1 product=1"), 1, key("product")),
        (&format!("allow a {signer} product"), 1, key("product")),
        (&format!("allow a {signer} product=+1"), 1, Problem::BadNumber { key: "product" }),
        (&format!("allow a {signer} product=65536"), 1, Problem::BadNumber { key: "product" }),
        (&format!("allow a {signer} product=1 min-svn="), 1, Problem::BadNumber { key: "min-svn" }),
        (&format!("allow a mrtd={}", digits("00", 48)), 1, key("rtmr0")),
        (
            &format!("allow a mrtd={}", digits("00", 32)),
            1,
            Problem::BadDigits { key: "mrtd", want: 96 },
        ),
        ("accept-tcb", 1, Problem::MissingStatus),
        ("accept-tcb uptodate", 1, Problem::UnknownStatus { word: word("uptodate") }),
        ("accept-tcb Revoked", 1, Problem::Revoked),
        ("refuse-advisory # one", 1, Problem::MissingAdvisory),
        ("accept-debug yes", 1, Problem::ExtraWord { word: word("yes") }),
    ] {
        assert_eq!(problem(text), (line, want), "{text}");
    }
    let long = "a".repeat(65);
    let (_, bad) = problem(&format!("allow {long} self"));
    assert_eq!(bad, Problem::BadName { name: "a".repeat(64) }, "as much as is shown");
}

#[test]
fn rules_have_a_bound() {
    let rules = |count| (0..count).map(|i| format!("allow r{i} self\n")).collect::<String>();
    assert_eq!(rules(RULES_MAX).parse::<Policy>().unwrap().rules().len(), RULES_MAX);
    assert_eq!(problem(&rules(RULES_MAX + 1)), (RULES_MAX + 1, Problem::TooManyRules));
}

#[test]
fn what_a_refusal_shows_can_be_copied_into_a_policy() {
    let enclave = Enclave {
        mrenclave: Mrenclave([0xc3; 32]),
        mrsigner: Mrsigner([1; 32]),
        product: 0,
        svn: 0,
        flags: 5,
    };
    let registers = [[1; 48], [2; 48], [3; 48], [4; 48]].map(Register);
    let domain = TrustDomain { mrtd: Register([9; 48]), rtmr: registers, is_debug: false };
    for (measured, want) in [
        (Measured::Enclave(enclave), Who::Image(enclave.mrenclave)),
        (Measured::TrustDomain(Box::new(domain)), Who::TrustDomain(Box::new(domain))),
    ] {
        let policy: Policy = format!("allow it {measured}").parse().unwrap();
        assert_eq!(policy.rules()[0].who, want);
    }
}
