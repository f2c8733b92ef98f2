//! A two-way channel between two processes of `tlease run`, over a pair of packet sockets.
//!
//! One packet is one message, so nothing is ever read by halves, and the death of the other side is
//! seen at once, whatever it died of. Nothing here allocates, but for text.

use super::message::{Message, Words};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One end of a channel.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
}

/// What came out of a channel.
#[derive(Debug)]
pub(super) enum Received<M> {
    /// A message, with the descriptor that came with it.
    Message(M, Option<OwnedFd>),
    /// Nothing for the moment.
    Nothing,
    /// The other side is gone, or speaks gibberish, which is as good as gone.
    Closed,
}

/// Whether to wait for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until there is one.
    Wait,
    /// Not at all.
    Look,
}

impl Channel {
    /// A channel: one end to keep, the other for a process that is yet to be started.
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let (here, there) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { socket: here }, Self { socket: there }))
    }

    /// The end that this process was started with, as its standard input.
    pub(super) fn from_stdin() -> io::Result<Self> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self { socket })
    }

    /// The end that arrived through another channel.
    pub(super) const fn from_fd(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Sends a message, without waiting.
    pub(super) fn send<M: Message>(&self, message: &M) -> io::Result<()> {
        self.send_packet(message.words(), &[], None)
    }

    /// Sends a message with a descriptor.
    pub(super) fn send_with_fd<M: Message>(
        &self,
        message: &M,
        fd: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.send_packet(message.words(), &[], Some(fd))
    }

    /// Sends a message with a text, of which at most [`TEXT_MAX`] bytes are kept.
    pub(super) fn send_with_text<M: Message>(&self, message: &M, text: &str) -> io::Result<()> {
        let end = text.floor_char_boundary(TEXT_MAX);
        self.send_packet(message.words(), &text.as_bytes()[..end], None)
    }

    /// Receives a message.
    pub(super) fn receive<M: Message>(&self, patience: Patience) -> io::Result<Received<M>> {
        self.receive_packet(patience, &mut []).map(|(received, _)| received)
    }

    /// Receives a message and the text that came with it.
    pub(super) fn receive_text<M: Message>(&self) -> io::Result<(Received<M>, String)> {
        let mut text = [0; TEXT_MAX];
        let (received, length) = self.receive_packet(Patience::Look, &mut text)?;
        Ok((received, String::from_utf8_lossy(&text[..length]).into_owned()))
    }

    fn send_packet(&self, words: Words, text: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = to_bytes(words);
        let parts = [IoSlice::new(&bytes), IoSlice::new(text)];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = fd.as_slice();
        if !fds.is_empty() {
            let fits = ancillary.push(SendAncillaryMessage::ScmRights(fds));
            assert!(fits, "the space was made for one descriptor");
        }
        // A full channel is an error, not a wait: the watchdog waits for nobody.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(&self.socket, &parts, &mut ancillary, flags)?;
        Ok(())
    }

    fn receive_packet<M: Message>(
        &self,
        patience: Patience,
        text: &mut [u8],
    ) -> io::Result<(Received<M>, usize)> {
        let mut bytes = [0; size_of::<Words>()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut flags = RecvFlags::CMSG_CLOEXEC;
        if patience == Patience::Look {
            flags |= RecvFlags::DONTWAIT;
        }
        let length = loop {
            let mut parts = [IoSliceMut::new(&mut bytes), IoSliceMut::new(text)];
            match recvmsg(&self.socket, &mut parts, &mut ancillary, flags) {
                Ok(message) => break message.bytes,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok((Received::Nothing, 0)),
                Err(Errno::CONNRESET) => return Ok((Received::Closed, 0)),
                Err(errno) => return Err(errno.into()),
            }
        };
        let Some(text_length) = length.checked_sub(bytes.len()) else {
            return Ok((Received::Closed, 0));
        };
        let fd = ancillary.drain().find_map(|message| {
            let RecvAncillaryMessage::ScmRights(mut fds) = message else { return None };
            fds.next()
        });
        Ok(match M::from_words(from_bytes(bytes)) {
            Some(message) => (Received::Message(message, fd), text_length),
            None => (Received::Closed, 0),
        })
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.socket
    }
}

/// The longest text beside a message: a sentence or two.
const TEXT_MAX: usize = 1024;

fn to_bytes(words: Words) -> [u8; size_of::<Words>()] {
    let mut bytes = [0; size_of::<Words>()];
    for (chunk, word) in bytes.chunks_exact_mut(size_of::<u64>()).zip(words) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

fn from_bytes(bytes: [u8; size_of::<Words>()]) -> Words {
    let mut words = Words::default();
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*chunk);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::message::{Order, Word};
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn messages_arrive_one_by_one_and_in_order() {
        let (here, there) = Channel::pair().unwrap();
        here.send(&Order::Lost).unwrap();
        here.send(&Order::Start { fence: 5 }).unwrap();
        assert!(matches!(
            there.receive(Patience::Look).unwrap(),
            Received::Message(Order::Lost, None)
        ));
        assert!(matches!(
            there.receive(Patience::Wait).unwrap(),
            Received::Message(Order::Start { fence: 5 }, None)
        ));
        assert!(matches!(there.receive::<Order>(Patience::Look).unwrap(), Received::Nothing));
    }

    #[test]
    fn a_dead_peer_is_seen_after_its_last_message() {
        let (here, there) = Channel::pair().unwrap();
        here.send(&Order::Lost).unwrap();
        drop(here);
        assert!(matches!(
            there.receive(Patience::Look).unwrap(),
            Received::Message(Order::Lost, None)
        ));
        assert!(matches!(there.receive::<Order>(Patience::Look).unwrap(), Received::Closed));
    }

    #[test]
    fn a_descriptor_travels_with_its_message() {
        let (here, there) = Channel::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        here.send_with_fd(&Order::Take, writer.as_fd()).unwrap();
        drop(writer);
        let Received::Message(Order::Take, Some(fd)) = there.receive(Patience::Wait).unwrap()
        else {
            panic!("the descriptor was lost");
        };
        std::fs::File::from(fd).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn texts_are_cut_at_a_character_and_gibberish_is_closed() {
        let (here, there) = Channel::pair().unwrap();
        here.send_with_text(&Word::Note, &"é".repeat(TEXT_MAX)).unwrap();
        let (received, text) = there.receive_text().unwrap();
        assert!(matches!(received, Received::Message(Word::Note, None)));
        assert_eq!(text.chars().count(), TEXT_MAX / 2);
        here.send_packet([77; 9], &[], None).unwrap();
        assert!(matches!(there.receive::<Order>(Patience::Look).unwrap(), Received::Closed));
    }
}
