//! Who gets a session, and who does not (I30).

mod common;

use std::net::{TcpListener, TcpStream};
use std::thread;

use common::{GRANTER, HOLDER, Outcome, appraiser, machine, meet, only, with_flags};
use tlease_attest::test_root::TestRoot;
use tlease_attest::{
    Enclave, HandshakeError, Measured, Platform, Proof, Reason, Refusal, accept, connect,
};

/// The side that is refused hears so, with this reason; the side that refuses says why.
fn refusal_of(refused: Outcome, refusing: Outcome, reason: Reason) -> Refusal {
    match refused {
        Err(HandshakeError::RefusedByPeer(heard)) => assert_eq!(heard, reason),
        other => panic!("{other:?}"),
    }
    match refusing {
        Err(HandshakeError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_enclaves_on_each_others_lists_get_a_session_over_loopback() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let machine = machine();
    let holder = common::identity(machine.enclave(HOLDER));
    let granter = common::identity(machine.enclave(GRANTER));
    thread::scope(|scope| {
        let connecting = scope.spawn(|| {
            connect(TcpStream::connect(address).unwrap(), &holder, &only(GRANTER), None).unwrap()
        });
        let (stream, _) = listener.accept().unwrap();
        let accepted = accept(stream, &granter, &only(HOLDER), None).unwrap();
        let connected = connecting.join().unwrap();
        for (session, enclave, key) in
            [(&accepted, HOLDER, holder.key()), (&connected, GRANTER, granter.key())]
        {
            assert_eq!(session.peer_key(), key);
            assert_eq!(session.peer().proof, Proof::SameMachine);
            match &session.peer().measured {
                Measured::Enclave(it) => assert_eq!(it.mrenclave.0, enclave),
                other @ Measured::TrustDomain(_) => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn an_enclave_that_is_on_no_list_gets_no_session() {
    let machine = machine();
    let other = [0x33; 32];
    let (holder, granter) =
        meet((machine.enclave(other), &only(GRANTER)), (machine.enclave(GRANTER), &only(HOLDER)));
    let refusal = refusal_of(holder, granter, Reason::NotAllowed);
    assert!(matches!(refusal, Refusal::NotAllowed { .. }), "{refusal:?}");
    let digits = "33".repeat(32);
    assert_eq!(
        refusal.to_string(),
        format!("no rule lets the peer in; to do so, add `allow NAME mrenclave={digits}`")
    );
}

#[test]
fn a_granter_that_is_on_no_list_gets_no_holder() {
    let machine = machine();
    let (holder, granter) = meet(
        (machine.enclave(HOLDER), &only([0x33; 32])),
        (machine.enclave(GRANTER), &only(HOLDER)),
    );
    let refusal = refusal_of(granter, holder, Reason::NotAllowed);
    assert!(matches!(refusal, Refusal::NotAllowed { .. }), "{refusal:?}");
}

#[test]
fn an_enclave_of_another_machine_gets_no_session_though_its_measurement_is_on_the_list() {
    let (holder, granter) = meet(
        (TestRoot::new([8; 16]).enclave(HOLDER), &only(GRANTER)),
        (machine().enclave(GRANTER), &only(HOLDER)),
    );
    assert_eq!(refusal_of(holder, granter, Reason::BadEvidence), Refusal::ForgedReport);
}

#[test]
fn an_enclave_that_can_be_debugged_needs_the_word_of_both_policies() {
    let twins = appraiser("allow twins self");
    let (holder, granter) =
        meet((with_flags(HOLDER, Enclave::DEBUG), &twins), (with_flags(HOLDER, 0), &twins));
    let refusal = refusal_of(holder, granter, Reason::Debug);
    assert!(matches!(refusal, Refusal::Debug { .. }), "{refusal:?}");

    let trusting = appraiser("allow twins self\naccept-debug");
    assert!(trusting.policy().warnings().any(|warning| warning.starts_with("INSECURE")));
    let (holder, granter) =
        meet((with_flags(HOLDER, Enclave::DEBUG), &twins), (with_flags(HOLDER, 0), &trusting));
    holder.unwrap();
    granter.unwrap();
}

#[test]
fn an_enclave_that_was_never_finished_is_refused() {
    let machine = machine();
    let mut unfinished = machine.enclave(HOLDER).own().unwrap();
    unfinished.flags = Enclave::MODE64BIT;
    let (holder, granter) = meet(
        (machine.enclave_with(unfinished), &only(GRANTER)),
        (machine.enclave(GRANTER), &only(HOLDER)),
    );
    let refusal = refusal_of(holder, granter, Reason::NotAllowed);
    assert!(matches!(refusal, Refusal::Attributes { .. }), "{refusal:?}");
}
