//! Two enclaves of one machine, and what an attacker does between them.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, reason = "tests; only attributed functions are exempt")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use snow::{Builder, HandshakeState, StatelessTransportState};
use tlease_attest::test_root::{TestEnclave, TestRoot};
use tlease_attest::{
    Appraiser, Challenge, Enclave, HELLO, HandshakeError, Identity, Mrenclave, Mrsigner, NOISE,
    Reader, Session, Target, Writer, accept, connect,
};

pub(crate) const HOLDER: [u8; 32] = [0x11; 32];
pub(crate) const GRANTER: [u8; 32] = [0x22; 32];

pub(crate) fn machine() -> TestRoot {
    TestRoot::new([7; 16])
}

/// An enclave with these flags beside the usual ones.
pub(crate) fn with_flags(mrenclave: [u8; 32], flags: u64) -> TestEnclave {
    machine().enclave_with(Enclave {
        mrenclave: Mrenclave(mrenclave),
        mrsigner: Mrsigner([0xee; 32]),
        product: 7,
        svn: 3,
        flags: Enclave::INIT | Enclave::MODE64BIT | flags,
    })
}

pub(crate) fn identity(enclave: TestEnclave) -> Identity {
    Identity::new(enclave).unwrap()
}

pub(crate) fn appraiser(policy: &str) -> Appraiser {
    Appraiser::new(policy.parse().unwrap())
}

/// A policy of one line that lets in one image.
pub(crate) fn only(mrenclave: [u8; 32]) -> Appraiser {
    let digits: String = mrenclave.iter().map(|byte| format!("{byte:02x}")).collect();
    appraiser(&format!("allow it mrenclave={digits}"))
}

pub(crate) type Outcome = Result<Session<UnixStream>, HandshakeError>;

/// Lets a holder connect to a granter: what each of them got.
pub(crate) fn meet(
    (holder, lets_in): (TestEnclave, &Appraiser),
    (granter, and_lets_in): (TestEnclave, &Appraiser),
) -> (Outcome, Outcome) {
    let (near, far) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let holder = scope.spawn(|| connect(near, &identity(holder), lets_in, None));
        let accepted = accept(far, &identity(granter), and_lets_in, None);
        (holder.join().unwrap(), accepted)
    })
}

/// Two sessions that trust each other.
pub(crate) fn pair() -> (Session<UnixStream>, Session<UnixStream>) {
    let machine = machine();
    let (holder, granter) =
        meet((machine.enclave(HOLDER), &only(GRANTER)), (machine.enclave(GRANTER), &only(HOLDER)));
    (holder.unwrap(), granter.unwrap())
}

/// The holder's end of a session, of which the test carries every frame itself.
pub(crate) struct Tap {
    pub(crate) reader: Reader<UnixStream>,
    pub(crate) writer: Writer<UnixStream>,
    written: UnixStream,
    to_peer: UnixStream,
}

/// Cuts the wire between the writer and its peer.
pub(crate) fn tap(session: Session<UnixStream>) -> Tap {
    let to_peer = session.stream().try_clone().unwrap();
    let (end, written) = UnixStream::pair().unwrap();
    let (reader, writer) = session.split(end);
    Tap { reader, writer, written, to_peer }
}

impl Tap {
    /// The next frame that was written.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        take(&mut self.written)
    }

    /// Lets the peer have a frame.
    pub(crate) fn inject(&mut self, frame: &[u8]) {
        put(&mut self.to_peer, frame);
    }
}

/// Somebody who speaks the protocol, and shows whatever he likes.
pub(crate) struct Stranger {
    pub(crate) stream: UnixStream,
    pub(crate) hash: [u8; 32],
    pub(crate) key: [u8; 32],
    /// Whom the peer wants local reports made for.
    pub(crate) peers_target: Target,
    ciphers: Arc<StatelessTransportState>,
    sent: u64,
    received: u64,
}

impl Stranger {
    /// Makes the channel as initiator, up to where evidence is due.
    pub(crate) fn connect(mut stream: UnixStream) -> Self {
        let (mut noise, key) = noise(true);
        let challenge = Challenge { local: Some(Target::from_bytes([0; 128])), quotes: false };
        stream.write_all(HELLO).unwrap();
        say(&mut stream, &mut noise, &challenge.to_bytes());
        take_hello(&mut stream);
        let theirs = Challenge::read(&hear(&mut stream, &mut noise)).unwrap();
        say(&mut stream, &mut noise, &[]);
        Self::over(stream, noise, key, theirs)
    }

    /// The same as responder.
    pub(crate) fn accept(mut stream: UnixStream, challenge: &Challenge) -> Self {
        let (mut noise, key) = noise(false);
        take_hello(&mut stream);
        let theirs = Challenge::read(&hear(&mut stream, &mut noise)).unwrap();
        stream.write_all(HELLO).unwrap();
        say(&mut stream, &mut noise, &challenge.to_bytes());
        hear(&mut stream, &mut noise);
        Self::over(stream, noise, key, theirs)
    }

    fn over(stream: UnixStream, noise: HandshakeState, key: [u8; 32], theirs: Challenge) -> Self {
        let hash = noise.get_handshake_hash().try_into().unwrap();
        let ciphers = Arc::new(noise.into_stateless_transport_mode().unwrap());
        let peers_target = theirs.local.unwrap();
        Self { stream, hash, key, peers_target, ciphers, sent: 0, received: 0 }
    }

    pub(crate) fn send(&mut self, content: u8, payload: &[u8]) {
        let plain = [&[content], payload].concat();
        let mut sealed = vec![0; plain.len() + 16];
        self.ciphers.write_message(self.sent, &plain, &mut sealed).unwrap();
        self.sent += 1;
        put(&mut self.stream, &sealed);
    }

    pub(crate) fn receive(&mut self) -> Vec<u8> {
        let sealed = take(&mut self.stream);
        let mut plain = vec![0; sealed.len()];
        let len = self.ciphers.read_message(self.received, &sealed, &mut plain).unwrap();
        self.received += 1;
        plain.truncate(len);
        plain
    }
}

/// A side of the channel, and its public key.
pub(crate) fn noise(is_initiator: bool) -> (HandshakeState, [u8; 32]) {
    let pair = Builder::new(NOISE.parse().unwrap()).generate_keypair().unwrap();
    let builder = Builder::new(NOISE.parse().unwrap()).local_private_key(&pair.private).unwrap();
    let builder = builder.prologue(HELLO).unwrap();
    let noise = if is_initiator { builder.build_initiator() } else { builder.build_responder() };
    (noise.unwrap(), pair.public.try_into().unwrap())
}

pub(crate) fn say(stream: &mut UnixStream, noise: &mut HandshakeState, payload: &[u8]) {
    let mut message = vec![0; payload.len() + 96];
    let len = noise.write_message(payload, &mut message).unwrap();
    put(stream, &message[..len]);
}

pub(crate) fn hear(stream: &mut UnixStream, noise: &mut HandshakeState) -> Vec<u8> {
    let message = take(stream);
    let mut payload = vec![0; message.len()];
    let len = noise.read_message(&message, &mut payload).unwrap();
    payload.truncate(len);
    payload
}

fn take_hello(stream: &mut UnixStream) {
    let mut hello = [0; HELLO.len()];
    stream.read_exact(&mut hello).unwrap();
    assert_eq!(hello, *HELLO);
}

/// Writes one frame.
pub(crate) fn put(stream: &mut impl Write, body: &[u8]) {
    stream.write_all(&u16::try_from(body.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

/// Reads one frame.
pub(crate) fn take(stream: &mut impl Read) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut body).unwrap();
    body
}
