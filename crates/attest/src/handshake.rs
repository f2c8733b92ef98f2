//! The handshake: a channel first, then who is at its ends (I30).
//!
//! ```text
//! initiator                                        responder
//!   HELLO, Noise XX 1: its challenge        ->
//!                                           <-       HELLO, Noise XX 2: its challenge
//!   Noise XX 3                              ->
//!   evidence (bound to the handshake)       ->       appraises it
//!                                           <-       evidence, or why not
//!   appraises it
//!   accepted, or why not                    ->
//! ```
//! Noise XX gives both sides the same hash of all that was said, which nobody else can have: it
//! covers two fresh ephemeral keys and both static keys. Evidence carries it ([`ReportData::bind`]).
//! So evidence is of use in one session alone, between the two who made its keys.

use core::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use snow::{HandshakeState, StatelessTransportState};

use crate::appraise::{Appraiser, Peer, UnixTime};
use crate::binding::{ReportData, Role};
use crate::challenge::{BadChallenge, Challenge};
use crate::evidence::Evidence;
use crate::frame::{Broken, FRAME_MAX, Frames, framed};
use crate::identity::Identity;
use crate::platform::PlatformFault;
use crate::refusal::{Reason, Refusal};
use crate::session::{Content, Fault, Receiver, Sender, Session, Unread};

/// What each side sends first, and what both mix into the handshake.
pub const HELLO: &[u8] = b"tlease-attest/1\n";

/// The channel, as the Noise framework names it.
pub const NOISE: &str = "Noise_XX_25519_ChaChaPoly_SHA256";

/// Connects over `stream`: proves what this side is, and demands the same of the other.
///
/// Blocks as the stream does; set timeouts there. `now` is for quotes, see [`Appraiser::appraise`].
///
/// # Errors
/// [`HandshakeError`]; the stream is of no further use then.
pub fn connect<S: Read + Write>(
    stream: S,
    identity: &Identity,
    appraiser: &Appraiser,
    now: Option<UnixTime>,
) -> Result<Session<S>, HandshakeError> {
    let mut opening = Opening::new(Role::Initiator, stream, identity, appraiser)?;
    opening.say_hello()?;
    opening.say(&opening.challenge().to_bytes())?;
    opening.expect_hello()?;
    let challenge = Challenge::read(&opening.hear()?)?;
    opening.say(&[])?;

    let mut proving = opening.prove()?;
    proving.show(&challenge)?;
    let peer = proving.judge(now)?;
    proving.say(Content::Accepted, &[])?;
    Ok(proving.into_session(peer))
}

/// Accepts whoever connected over `stream`, if it proves to be on the list, and proves the same to it.
///
/// Blocks as the stream does; set timeouts there, or a silent peer holds the thread. `now` is for
/// quotes, see [`Appraiser::appraise`].
///
/// # Errors
/// [`HandshakeError`]; the stream is of no further use then.
pub fn accept<S: Read + Write>(
    stream: S,
    identity: &Identity,
    appraiser: &Appraiser,
    now: Option<UnixTime>,
) -> Result<Session<S>, HandshakeError> {
    let mut opening = Opening::new(Role::Responder, stream, identity, appraiser)?;
    opening.expect_hello()?;
    let challenge = Challenge::read(&opening.hear()?)?;
    opening.say_hello()?;
    opening.say(&opening.challenge().to_bytes())?;
    if !opening.hear()?.is_empty() {
        return Err(Fault::Unexpected.into());
    }

    let mut proving = opening.prove()?;
    // Whoever may not connect learns nothing about this side, and costs it no report.
    let peer = proving.judge(now)?;
    proving.show(&challenge)?;
    match proving.hear()? {
        (Content::Accepted, _) => Ok(proving.into_session(peer)),
        (Content::Data | Content::Close | Content::Evidence | Content::Refused, _) => {
            Err(Fault::Unexpected.into())
        }
    }
}

/// The first half: the channel is being made.
struct Opening<'a, S> {
    role: Role,
    stream: S,
    identity: &'a Identity,
    appraiser: &'a Appraiser,
    noise: HandshakeState,
    frames: Frames,
}

impl<'a, S: Read + Write> Opening<'a, S> {
    fn new(
        role: Role,
        stream: S,
        identity: &'a Identity,
        appraiser: &'a Appraiser,
    ) -> Result<Self, HandshakeError> {
        let noise = identity.handshake(role).map_err(HandshakeError::Channel)?;
        Ok(Self { role, stream, identity, appraiser, noise, frames: Frames::default() })
    }

    fn challenge(&self) -> Challenge {
        self.appraiser.challenge(self.identity.platform())
    }

    fn say_hello(&mut self) -> Result<(), HandshakeError> {
        Ok(self.stream.write_all(HELLO)?)
    }

    /// Byte by byte, so that a peer which says something shorter is not waited for.
    fn expect_hello(&mut self) -> Result<(), HandshakeError> {
        for want in HELLO {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            if byte != [*want] {
                return Err(HandshakeError::OtherProtocol);
            }
        }
        Ok(())
    }

    fn say(&mut self, payload: &[u8]) -> Result<(), HandshakeError> {
        let mut message = vec![0; payload.len() + NOISE_OVERHEAD];
        let len =
            self.noise.write_message(payload, &mut message).map_err(HandshakeError::Channel)?;
        self.stream.write_all(&framed(&message[..len]))?;
        Ok(self.stream.flush()?)
    }

    fn hear(&mut self) -> Result<Vec<u8>, HandshakeError> {
        let message = self.frames.next(&mut self.stream)?;
        let mut payload = vec![0; message.len()];
        let len =
            self.noise.read_message(&message, &mut payload).map_err(HandshakeError::Channel)?;
        payload.truncate(len);
        Ok(payload)
    }

    /// The channel is made: nobody else reads what follows, and all of it is of this session.
    fn prove(self) -> Result<Proving<'a, S>, HandshakeError> {
        let hash = <[u8; 32]>::try_from(self.noise.get_handshake_hash());
        let hash = hash.expect("the hash of this channel has 32 bytes");
        let peer_key = self.noise.get_remote_static().map(<[u8; 32]>::try_from);
        let peer_key = peer_key.and_then(Result::ok).expect("both sides have sent their keys");
        let ciphers = Arc::new(
            StatelessTransportState::try_from(self.noise).map_err(HandshakeError::Channel)?,
        );
        Ok(Proving {
            stream: self.stream,
            identity: self.identity,
            appraiser: self.appraiser,
            sender: Sender::new(Arc::clone(&ciphers)),
            receiver: Receiver::new(ciphers),
            ours: ReportData::bind(self.role, &hash, self.identity.key()),
            theirs: ReportData::bind(self.role.other(), &hash, &peer_key),
            peer_key,
        })
    }
}

/// The second half: both sides prove what they are.
struct Proving<'a, S> {
    stream: S,
    identity: &'a Identity,
    appraiser: &'a Appraiser,
    sender: Sender,
    receiver: Receiver,
    /// What this side's evidence must carry.
    ours: ReportData,
    /// What the peer's must.
    theirs: ReportData,
    peer_key: [u8; 32],
}

impl<S: Read + Write> Proving<'_, S> {
    /// Sends evidence, or that there is none.
    fn show(&mut self, challenge: &Challenge) -> Result<(), HandshakeError> {
        match self.identity.platform().attest(challenge, &self.ours) {
            Ok(evidence) => self.say(Content::Evidence, &evidence.to_bytes()),
            Err(fault) => {
                self.refuse(Reason::NothingToShow);
                Err(HandshakeError::Platform(fault))
            }
        }
    }

    /// Decides about the peer's evidence, and tells it if that does not let it in.
    fn judge(&mut self, now: Option<UnixTime>) -> Result<Peer, HandshakeError> {
        let bytes = match self.hear()? {
            (Content::Evidence, bytes) => bytes,
            (Content::Data | Content::Close | Content::Accepted | Content::Refused, _) => {
                return Err(Fault::Unexpected.into());
            }
        };
        let platform = self.identity.platform();
        let peer = Evidence::read(&bytes)
            .map_err(Refusal::NoEvidence)
            .and_then(|evidence| self.appraiser.appraise(&evidence, &self.theirs, platform, now));
        peer.map_err(|refusal| {
            self.refuse(refusal.reason());
            HandshakeError::Refused(refusal)
        })
    }

    fn say(&mut self, content: Content, payload: &[u8]) -> Result<(), HandshakeError> {
        Ok(self.sender.send(&mut self.stream, content, payload)?)
    }

    /// What the peer says, unless it is that it refuses.
    fn hear(&mut self) -> Result<(Content, Vec<u8>), HandshakeError> {
        match self.receiver.next(&mut self.stream)? {
            (Content::Refused, why) => match why[..] {
                [number] => Err(HandshakeError::RefusedByPeer(Reason::of(number))),
                _ => Err(Fault::Unexpected.into()),
            },
            other => Ok(other),
        }
    }

    /// Tells the peer why it is not let in. That it cannot be told changes nothing here.
    fn refuse(&mut self, reason: Reason) {
        let _ = self.sender.send(&mut self.stream, Content::Refused, &[reason.number()]);
    }

    fn into_session(self, peer: Peer) -> Session<S> {
        Session::new(self.stream, (self.sender, self.receiver), peer, self.peer_key)
    }
}

/// Why there is no session.
#[derive(Debug)]
pub enum HandshakeError {
    /// The stream failed.
    Io(io::Error),
    /// The stream ended before the handshake did.
    Ended,
    /// The other side does not speak this protocol, or another version of it.
    OtherProtocol,
    /// The channel could not be made: what came was changed, replayed, or not meant for this side.
    Channel(snow::Error),
    /// The peer's challenge means nothing.
    Challenge(BadChallenge),
    /// The peer broke the protocol.
    Protocol(Fault),
    /// This side could not prove what it is.
    Platform(PlatformFault),
    /// This side does not let the peer in.
    Refused(Refusal),
    /// The peer does not let this side in.
    RefusedByPeer(Reason),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("the connection failed during the handshake"),
            Self::Ended => f.write_str("the peer hung up during the handshake"),
            Self::OtherProtocol => {
                f.write_str("the other side does not speak tlease-attest/1; is it an enclave?")
            }
            Self::Channel(_) => f.write_str(
                "the handshake was changed or replayed on its way, or this is not its place",
            ),
            Self::Challenge(_) => f.write_str("the peer asked for no evidence that there is"),
            Self::Protocol(_) => f.write_str("the handshake went wrong"),
            Self::Platform(_) => f.write_str("this side cannot prove what it is"),
            Self::Refused(_) => f.write_str("the peer was refused"),
            Self::RefusedByPeer(reason) => {
                write!(f, "the peer refused this side: {reason}; its own log says more")
            }
        }
    }
}

impl core::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Channel(error) => Some(error),
            Self::Challenge(bad) => Some(bad),
            Self::Protocol(fault) => Some(fault),
            Self::Platform(fault) => Some(fault),
            Self::Refused(refusal) => Some(refusal),
            Self::Ended | Self::OtherProtocol | Self::RefusedByPeer(_) => None,
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::UnexpectedEof { Self::Ended } else { Self::Io(error) }
    }
}

impl From<BadChallenge> for HandshakeError {
    fn from(bad: BadChallenge) -> Self {
        Self::Challenge(bad)
    }
}

impl From<Fault> for HandshakeError {
    fn from(fault: Fault) -> Self {
        if fault == Fault::Truncated { Self::Ended } else { Self::Protocol(fault) }
    }
}

impl From<Unread> for HandshakeError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Io(error) => error.into(),
            Unread::Fault(fault) => fault.into(),
        }
    }
}

impl From<Broken> for HandshakeError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Io(error) => error.into(),
            Broken::Ended => Self::Ended,
            Broken::TooLong { announced } => Self::Protocol(Fault::TooLong { announced }),
        }
    }
}

/// The most that Noise XX adds to a payload: an ephemeral key, a sealed static key, and a seal.
const NOISE_OVERHEAD: usize = 32 + 32 + 16 + 16;

// Evidence fits a frame, with the numbers of its kind and of what the frame carries, and its seal.
const _: () = assert!(crate::evidence::EVIDENCE_MAX + 1 + 1 + 16 <= FRAME_MAX);
