//! Bytes that are damaged on their way: a message that is drawn for it is written as the client or the
//! granter that ships writes it, damaged, and read by the decoder that ships. From then on the whole
//! direction of that connection goes by bytes, since what was damaged may be a length.
//!
//! No transport of T-Lease lets this happen (assumption A18): Unix sockets and loopback keep bytes, an
//! attested session checks them. What is refused ends its connection. What is *not* noticed is as good as
//! a lie of that peer, or to it: whoever it concerns is judged no more ([`Node::deceived`]), and every
//! claim is checked for everybody else.
//!
//! [`Node::deceived`]: super::node::Node::deceived

use tlease_core::granter;
use tlease_core::holder;
use tlease_core::message::{FromGranter, ToGranter};
use tlease_wire::{
    FrameDecoder, FromGranterFrames, HELLO, ToGranterFrames, read_from_granter, read_to_granter,
};

use super::World;
use crate::checkers::i17;
use crate::rng::Rng;

/// What comes out of damaged bytes, in their order, and whether what followed could be read.
struct Read<M> {
    messages: Vec<M>,
    refused: bool,
    /// Whether it is what was written.
    right: bool,
}

/// The bytes of one direction, from the first damage on.
#[derive(Debug)]
pub(crate) struct Bytes(FrameDecoder);

impl Bytes {
    fn greeted() -> Self {
        let mut decoder = FrameDecoder::default();
        decoder.push(HELLO);
        Self(decoder)
    }
}

impl World {
    /// A message comes to the granter over this connection.
    pub(super) fn arrives_at_granter(&mut self, conn: usize, message: ToGranter) {
        let peer = self.conns[conn].peer();
        let damaged = self.is_damaged();
        if !damaged && self.conns[conn].to_granter_bytes.is_none() {
            return self.feed_granter(granter::Input::Received { peer, message });
        }
        let mut bytes = to_granter(&message);
        if damaged {
            damage(&mut bytes, &mut self.draws.damage);
        }
        let through = self.conns[conn].to_granter_bytes.get_or_insert_with(Bytes::greeted);
        let mut read =
            read(through, &bytes, |frame, messages| read_to_granter(frame, messages).is_ok());
        read.right = read.messages.iter().map(to_granter).eq([to_granter(&message)]);
        let node = self.conns[conn].node();
        self.note_damage(node, &read);
        for message in read.messages {
            if self.conns[conn].is_open_at_granter() && self.granter.is_some() {
                self.feed_granter(granter::Input::Received { peer, message });
            }
        }
        if read.refused {
            if !planted!(self.planted, BadFrameForgiven) {
                self.granter_hangs_up(conn);
            }
            let ended = i17::ended(self.conns[conn].is_open_at_granter());
            self.judge(i17::CLAIM, ended);
        }
    }

    /// A message comes to a holder over this connection.
    pub(super) fn arrives_at_holder(&mut self, conn: usize, message: FromGranter) {
        let node = self.conns[conn].node();
        let damaged = self.is_damaged();
        if !damaged && self.conns[conn].to_holder_bytes.is_none() {
            return self.feed(node, holder::Input::Received(message));
        }
        let mut bytes = from_granter(&message);
        if damaged {
            damage(&mut bytes, &mut self.draws.damage);
        }
        let through = self.conns[conn].to_holder_bytes.get_or_insert_with(Bytes::greeted);
        let mut read = read(through, &bytes, |frame, messages| {
            read_from_granter(frame, messages).is_ok_and(|goodbye| goodbye.is_none())
        });
        read.right = read.messages.iter().map(from_granter).eq([from_granter(&message)]);
        self.note_damage(node, &read);
        for message in read.messages {
            if self.nodes[node].conn == Some(conn) {
                self.feed(node, holder::Input::Received(message));
            }
        }
        if read.refused {
            self.break_conn(conn);
        }
    }

    /// What was damaged may be a length, which would swallow what comes now.
    pub(super) fn end_damaged_connections(&mut self) {
        for conn in 0..self.conns.len() {
            let known = &self.conns[conn];
            if known.to_granter_bytes.is_some() || known.to_holder_bytes.is_some() {
                self.conn_is_gone(conn);
            }
        }
    }

    fn is_damaged(&mut self) -> bool {
        let damaged = self.options.damaged;
        damaged > 0 && !self.healed && self.draws.damage.below(1_000) < damaged
    }

    fn note_damage<M>(&mut self, node: usize, read: &Read<M>) {
        if read.refused {
            self.count("damage refused", 1);
        } else if read.messages.is_empty() {
            self.count("damage that leaves a frame unfinished", 1);
        } else if !read.right {
            self.count("damage not noticed", 1);
        }
        self.nodes[node].deceived |= !read.right && !read.messages.is_empty();
    }
}

/// Reads whatever is whole, until something cannot be read.
fn read<M>(
    through: &mut Bytes,
    bytes: &[u8],
    mut one: impl FnMut(&[u8], &mut Vec<M>) -> bool,
) -> Read<M> {
    let mut read = Read { messages: Vec::new(), refused: false, right: false };
    through.0.push(bytes);
    while !read.refused {
        match through.0.next_frame() {
            Ok(Some(frame)) => read.refused = !one(frame, &mut read.messages),
            Ok(None) => break,
            Err(_) => read.refused = true,
        }
    }
    read
}

fn to_granter(message: &ToGranter) -> Vec<u8> {
    let mut frames = ToGranterFrames::default();
    frames.push(message).expect("what machines say fits into a frame");
    frames.unsent().to_vec()
}

fn from_granter(message: &FromGranter) -> Vec<u8> {
    let mut frames = FromGranterFrames::default();
    frames.push(message).expect("what machines say fits into a frame");
    frames.unsent().to_vec()
}

/// Bits flip, an end is missing, a part comes twice, or is not what it was.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let mut place =
        |bytes: &[u8]| usize::try_from(rng.below(bytes.len() as u64)).expect("an index");
    let (one, other) = (place(bytes), place(bytes));
    let (from, to) = (one.min(other), one.max(other));
    match rng.below(10) {
        0..=4 => bytes[one] ^= 1 << rng.below(8),
        5 => {
            bytes[one] ^= 1 << rng.below(8);
            bytes[other] ^= 1 << rng.below(8);
        }
        6 => bytes.truncate(one),
        7 => drop(bytes.drain(from..to)),
        8 => {
            let again = bytes[from..to].to_vec();
            bytes.splice(to..to, again);
        }
        _ => {
            let drawn = rng.next().to_le_bytes();
            for (byte, drawn) in bytes[one..].iter_mut().zip(drawn) {
                *byte = drawn;
            }
        }
    }
}
