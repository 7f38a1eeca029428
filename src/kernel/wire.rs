//! The wire protocol: how a message lies in the frames of a ZeroMQ multipart message.
//!
//! ```text
//! identity*  <IDS|MSG>  signature  header  parent header  metadata  content  buffer*
//! ```
//!
//! The signature is the hexadecimal HMAC-SHA256 of the four frames after it; buffers are not
//! signed ("The Wire Protocol" in Jupyter's messaging protocol). Frames are only looked at here:
//! what passes through passes byte for byte, since a message that is parsed and written again has
//! another signature.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use std::borrow::Cow;
use std::ops::Deref;

/// What stands between the identities and the message.
pub const DELIMITER: &[u8] = b"<IDS|MSG>";

/// Why frames are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No frame is the delimiter.
    NoDelimiter,
    /// Fewer than five frames follow it.
    TooFewFrames,
    /// The header is not what the protocol asks for.
    Header,
    /// Somebody wrote it who does not have the key.
    Signature,
    /// An interrupt has cut it short: see `torn`.
    Torn,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Fault::NoDelimiter => "has no <IDS|MSG>",
            Fault::TooFewFrames => "ends after <IDS|MSG>",
            Fault::Header => "has no header",
            Fault::Signature => "was not signed with this kernel's key",
            Fault::Torn => "Python was interrupted in the middle of",
        })
    }
}

/// A message, as a view of its frames.
#[derive(Debug)]
pub struct Envelope<'a, F> {
    /// Whom it is from, or for: any number of frames.
    pub identities: &'a [F],
    /// Hexadecimal; empty where messages are not signed.
    pub signature: &'a [u8],
    /// Header, parent header, metadata and content, each a JSON object.
    pub parts: [&'a [u8]; 4],
}

impl<'a, F: Deref<Target = [u8]>> Envelope<'a, F> {
    /// Finds the parts of a message.
    pub fn open(frames: &'a [F]) -> Result<Self, Fault> {
        let at = frames.iter().position(|f| **f == *DELIMITER).ok_or(Fault::NoDelimiter)?;
        match &frames[at + 1..] {
            [signature, header, parent, metadata, content, ..] => Ok(Envelope {
                identities: &frames[..at],
                signature,
                parts: [header, parent, metadata, content],
            }),
            _ => Err(Fault::TooFewFrames),
        }
    }

    /// What the message says of itself.
    pub fn header(&self) -> Result<Header<'a>, Fault> {
        serde_json::from_slice(self.parts[0]).map_err(|_| Fault::Header)
    }

    /// The header of the request that it answers; `None` where it answers none.
    pub fn parent(&self) -> Option<Header<'a>> {
        serde_json::from_slice(self.parts[1]).ok()
    }

    /// The metadata as `T` describes it; `None` where it is not so.
    pub fn metadata<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_slice(self.parts[2]).ok()
    }

    /// The content as `T` describes it; `None` where it is not so.
    pub fn content<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_slice(self.parts[3]).ok()
    }
}

/// The fields of a header that matter on the way.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Header<'a> {
    /// Names the message.
    #[serde(borrow)]
    pub msg_id: Cow<'a, str>,
    /// As `execute_request`.
    #[serde(borrow)]
    pub msg_type: Cow<'a, str>,
    /// Names the client or kernel that wrote it.
    #[serde(borrow, default)]
    pub session: Cow<'a, str>,
    /// The thread of the kernel that shall run it; `None` is the main one.
    #[serde(borrow, default)]
    pub subshell_id: Option<Cow<'a, str>>,
}

/// Signs and verifies; an empty key does neither.
#[derive(Clone)]
pub struct Signer(Option<Hmac<Sha256>>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// With the key of the connection file.
    pub fn new(key: &str) -> Signer {
        // A key of any length will do for HMAC.
        Signer((!key.is_empty()).then(|| Hmac::new_from_slice(key.as_bytes()).ok()).flatten())
    }

    /// The signature of header, parent header, metadata and content.
    pub fn sign(&self, parts: [&[u8]; 4]) -> String {
        let Some(mac) = self.mac(parts) else { return String::new() };
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether who signed had the key. How long it takes says nothing of the right signature.
    pub fn verify<F: Deref<Target = [u8]>>(&self, envelope: &Envelope<'_, F>) -> Result<(), Fault> {
        let Some(mac) = self.mac(envelope.parts) else { return Ok(()) };
        let given = from_hex(envelope.signature).ok_or(Fault::Signature)?;
        mac.verify_slice(&given).map_err(|_| Fault::Signature)
    }

    /// Finds the parts of a message that somebody with the key wrote.
    pub fn verify_frames<'a, F: Deref<Target = [u8]>>(
        &self,
        frames: &'a [F],
    ) -> Result<Envelope<'a, F>, Fault> {
        let envelope = Envelope::open(frames)?;
        self.verify(&envelope)?;
        Ok(envelope)
    }

    fn mac(&self, parts: [&[u8]; 4]) -> Option<Hmac<Sha256>> {
        let mut mac = self.0.clone()?;
        parts.iter().for_each(|part| mac.update(part));
        Some(mac)
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(text: &[&str]) -> Vec<Vec<u8>> {
        text.iter().map(|t| t.as_bytes().to_vec()).collect()
    }

    const HEADER: &str = r#"{"msg_id": "a_1", "msg_type": "execute_request", "session": "a",
        "username": "u", "date": "2026-01-01T00:00:00Z", "version": "5.4", "subshell_id": null}"#;

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        // Its test case 2, the data in four pieces.
        let signature = Signer::new("Jefe").sign([b"what do ya", b" want for", b" nothing", b"?"]);
        assert_eq!(signature, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn identities_may_be_any_number() {
        for count in 0..4 {
            let mut all = vec!["client"; count];
            all.extend(["<IDS|MSG>", "", HEADER, "{}", "{}", "{}", "a buffer"]);
            let all = frames(&all);
            let envelope = Envelope::open(&all).expect("a message");
            assert_eq!(envelope.identities.len(), count);
            let header = envelope.header().expect("a header");
            assert_eq!((&*header.msg_id, header.subshell_id), ("a_1", None));
        }
    }

    #[test]
    fn what_is_no_message_has_a_name() {
        let fault = |text: &[&str]| Envelope::open(&frames(text)).expect_err("no message");
        assert_eq!(fault(&[]), Fault::NoDelimiter);
        assert_eq!(fault(&["client", "{}"]), Fault::NoDelimiter);
        assert_eq!(fault(&["client", "<IDS|MSG>", "", "{}", "{}", "{}"]), Fault::TooFewFrames);
        let all = frames(&["<IDS|MSG>", "", "[1]", "{}", "{}", "{}"]);
        assert_eq!(Envelope::open(&all).expect("five frames").header(), Err(Fault::Header));
    }

    proptest! {
        #[test]
        fn what_is_signed_is_believed_and_nothing_else(
            key in "[a-f0-9-]{1,40}",
            parts in proptest::array::uniform4(proptest::collection::vec(any::<u8>(), 1..50)),
            change in (0usize..4, 0usize..50, 1u8..),
        ) {
            let signer = Signer::new(&key);
            let signature = signer.sign([&parts[0], &parts[1], &parts[2], &parts[3]]);
            let mut frames = vec![DELIMITER.to_vec(), signature.into_bytes()];
            frames.extend(parts);
            prop_assert_eq!(signer.verify(&Envelope::open(&frames).expect("a message")), Ok(()));
            let (part, at, bits) = change;
            let length = frames[2 + part].len();
            frames[2 + part][at % length] ^= bits;
            let envelope = Envelope::open(&frames).expect("a message");
            prop_assert_eq!(signer.verify(&envelope), Err(Fault::Signature));
            prop_assert_eq!(Signer::new("other").verify(&envelope), Err(Fault::Signature));
            prop_assert_eq!(Signer::new("").verify(&envelope), Ok(()));
        }

        #[test]
        fn any_frames_are_a_message_or_a_fault(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..9),
            delimiter in 0usize..9,
        ) {
            let mut frames = frames;
            if let Some(frame) = frames.get_mut(delimiter) {
                *frame = DELIMITER.to_vec();
            }
            if let Ok(envelope) = Envelope::open(&frames) {
                prop_assert!(envelope.identities.len() <= delimiter);
                let (_, _) = (envelope.header(), envelope.parent());
                prop_assert_eq!(Signer::new("key").verify(&envelope), Err(Fault::Signature));
            }
        }
    }
}
