//! Frames of the right shape with a meaningless value: refused, and the field is named.
//!
//! The frames are written by hand here, field by field, as another language's client might.
#![allow(clippy::unwrap_used, reason = "a test; only its attributed functions are exempt")]

use tlease_wire::{BadFrame, read_from_granter, read_to_granter};

#[test]
fn each_meaningless_field_of_a_client_is_named() {
    let epoch = message(1, &[number(1, 1), number(2, 1)]);
    let operation = |op: Vec<u8>| [epoch.clone(), message(3, &[number(1, 9), op])].concat();
    let question = |ask: Vec<u8>| message(4, &[number(1, 9), ask]);
    let acquire = |fields: &[Vec<u8>]| operation(message(2, fields));
    let name = bytes(1, b"a");
    let sixteen = [0; 16];

    for (frame, says) in [
        (message(2, &[bytes(1, &sixteen)]), "Open.secret has 0 bytes instead of 16"),
        (message(2, &[bytes(1, &[0; 15])]), "Open.session has 15 bytes instead of 16"),
        (
            message(3, &[number(1, 9), message(6, std::slice::from_ref(&name))]),
            "ToGranter.epoch is missing",
        ),
        (
            [message(1, &[number(2, 1)]), operation(vec![])[6..].to_vec()].concat(),
            "Epoch.incarnation is 0, out of its range",
        ),
        (
            [message(1, &[number(1, 1)]), operation(vec![])[6..].to_vec()].concat(),
            "Epoch.opening is 0, out of its range",
        ),
        (operation(vec![]), "Operation.op is missing"),
        (acquire(&[]), "Acquire.name is no name: a name needs at least one byte"),
        (acquire(&[bytes(1, b"a//b")]), "Acquire.name is no name: a name must not begin or end"),
        (acquire(std::slice::from_ref(&name)), "Acquire.mode is unspecified"),
        (acquire(&[name.clone(), number(2, 3)]), "Acquire.mode has the unknown value 3"),
        (acquire(&[name.clone(), number(2, 1)]), "Acquire.wait is missing"),
        (
            acquire(&[name.clone(), number(2, 1), message(4, &[]), bytes(7, &[0; 1025])]),
            "Acquire.value is no value: a value has at most 1024 bytes",
        ),
        (operation(message(3, std::slice::from_ref(&name))), "Renew.fence is 0, out of its range"),
        (
            operation(message(3, &[name.clone(), number(2, 1 << 63)])),
            "Renew.fence is 9223372036854775808, out of its range",
        ),
        (operation(message(4, &[])), "RenewAll.sum has 0 bytes instead of 16"),
        (operation(message(5, &[])), "Release.name is no name"),
        (operation(message(6, &[bytes(1, &[b'a'; 256])])), "a name has at most 255 bytes"),
        (
            operation(message(7, std::slice::from_ref(&name))),
            "Downgrade.fence is 0, out of its range",
        ),
        (
            operation(message(8, &[name.clone(), number(2, 1), number(3, 1)])),
            "Reclaim.issued is 0, out of its range",
        ),
        (question(vec![]), "Question.ask is missing"),
        (
            question(message(3, &[bytes(1, &[b'a'; 256])])),
            "List.prefix has 256 bytes; at most 255 go",
        ),
        (question(message(4, &[message(2, &[])])), "EventMark.incarnation is 0, out of its range"),
        (question(message(7, std::slice::from_ref(&name))), "RecallName.force is unspecified"),
    ] {
        let mut received = Vec::new();
        let refused = full(&read_to_granter(&frame, &mut received).unwrap_err());
        assert!(refused.starts_with(says) || refused.contains(says), "{refused}; not {says}");
        assert!(received.is_empty(), "nothing of a bad frame is taken");
    }
}

#[test]
fn each_meaningless_field_of_a_granter_is_named() {
    let said = |field: u8, fields: &[Vec<u8>]| message(1, &[message(field, fields)]);
    let reply = |reply: Vec<u8>| said(3, &[number(1, 9), reply]);
    let answer = |answer: Vec<u8>| said(4, &[number(1, 9), answer]);
    let lease = |fields: &[Vec<u8>]| {
        let entry = message(1, &[bytes(1, b"a"), message(2, fields)]);
        answer(message(2, &[entry]))
    };
    let session = bytes(1, &[0; 16]);

    for (frame, says) in [
        (message(1, &[]), "Message.message is missing"),
        (said(1, &[]), "Opened.epoch is missing"),
        (said(2, &[]), "Refusal.refusal is missing"),
        (said(2, &[number(17, 0)]), "Refusal.wrong_incarnation_this is 0"),
        (reply(vec![]), "Reply.reply is missing"),
        (reply(message(2, &[])), "Grant.fence is 0"),
        (reply(message(2, &[number(1, 1)])), "Grant.tag has 0 bytes instead of 16"),
        (reply(message(4, &[])), "Offered.grant is missing"),
        (reply(message(5, &[bytes(2, &[])])), "Renewed.tag has 0 bytes instead of 16"),
        (reply(message(5, &[message(3, &[])])), "Recall.force is unspecified"),
        (reply(message(7, &[])), "RenewedSome.continuation is unspecified"),
        (reply(message(7, &[number(1, 0), number(2, 1)])), "RenewedSome.fences is 0"),
        (reply(message(8, &[])), "Released.lease is unspecified"),
        (reply(message(10, &[])), "Tagged.tag has 0 bytes"),
        (answer(vec![]), "Answer.answer is missing"),
        (answer(message(4, &[])), "Watching.from is missing"),
        (answer(message(6, &[number(1, 1)])), "Status.store is unspecified"),
        (lease(&[]), "EntryLease.session has 0 bytes"),
        (lease(&[session.clone(), number(2, 1), number(3, 1)]), "EntryLease.state is unspecified"),
        (said(5, &[bytes(1, b"a"), number(2, 1)]), "Recalled.recall is missing"),
        (said(6, &[]), "Happened.event is missing"),
        (said(6, &[message(2, &[])]), "Event.mark is missing"),
        (message(2, &[]), "Goodbye.reason is unspecified"),
    ] {
        let mut received = Vec::new();
        let refused = full(&read_from_granter(&frame, &mut received).unwrap_err());
        assert!(refused.contains(says), "{refused}; not {says}");
        assert!(received.is_empty(), "nothing of a bad frame is taken");
    }
}

#[test]
fn bytes_of_another_shape_say_so() {
    // Field 3, announced as a number instead of a message.
    let refused = read_to_granter(&[3 << 3, 1], &mut Vec::new()).unwrap_err();
    assert!(matches!(refused, BadFrame::Syntax(_)));
    assert!(full(&refused).starts_with("the frame is not of the protocol's shape: "));
}

#[test]
fn unknown_fields_are_skipped() {
    let frame = [bytes(15, b"from a later version"), message(4, &[message(6, &[])])].concat();
    let mut received = Vec::new();
    assert_eq!(read_to_granter(&frame, &mut received), Ok(()));
    assert_eq!(received.len(), 1);
}

/// An error and its causes.
fn full(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", full(source)),
        None => error.to_string(),
    }
}

fn number(field: u8, value: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    prost::encoding::encode_varint(u64::from(field) << 3, &mut encoded);
    prost::encoding::encode_varint(value, &mut encoded);
    encoded
}

fn bytes(field: u8, body: &[u8]) -> Vec<u8> {
    let mut encoded = vec![field << 3 | 2];
    prost::encoding::encode_varint(body.len().try_into().unwrap(), &mut encoded);
    encoded.extend_from_slice(body);
    encoded
}

fn message(field: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    bytes(field, &fields.concat())
}
