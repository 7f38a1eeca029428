//! ZMTP 3.0, as far as the private side needs it: how ZeroMQ's messages lie in a stream of bytes ("ZMTP",
//! ZeroMQ RFC 23).
//!
//! ```text
//! greeting (64 bytes)  READY command  { flags  length (1 or 8 bytes)  body }*
//! ```
//!
//! ZeroMQ itself hands each message from a thread of its own to ours and back. The child's messages are read
//! and written here instead: that spares more than half of the processor time that the relay takes, which a
//! cell on a busy machine has to do without.

use std::ops::Deref;

/// What both sides say first: ZMTP 3.0 without encryption.
pub const GREETING: [u8; 64] = {
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    let mechanism = *b"NULL";
    let mut at = 0;
    while at < mechanism.len() {
        greeting[12 + at] = mechanism[at];
        at += 1;
    }
    greeting
};

/// Bytes of an empty buffer that are kept.
const MOST_KEPT: usize = 1 << 20;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Why bytes are no ZMTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The greeting is not that of a ZMTP 3 without encryption.
    Greeting,
    /// A frame has flags that there are not.
    Flags,
    /// A frame is longer than anything can be.
    Length,
    /// The first frame is not the command READY.
    Ready,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Fault::Greeting => "does not greet as ZMTP 3 does",
            Fault::Flags => "has a frame of no kind",
            Fault::Length => "has a frame without an end",
            Fault::Ready => "does not say that it is ready",
        })
    }
}

/// The command by which a socket of this type and identity says that it is ready.
pub fn ready(socket_type: &str, identity: &[u8]) -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    for (name, value) in
        [(&b"Socket-Type"[..], socket_type.as_bytes()), (&b"Identity"[..], identity)]
    {
        body.push(name.len() as u8);
        body.extend(name);
        body.extend((value.len() as u32).to_be_bytes());
        body.extend(value);
    }
    let mut out = Vec::new();
    frame(&mut out, COMMAND, &body);
    out
}

/// Adds a message to what is to be written.
pub fn encode<F: Deref<Target = [u8]>>(out: &mut Vec<u8>, frames: &[F]) {
    for (at, body) in frames.iter().enumerate() {
        let more = if at + 1 < frames.len() { MORE } else { 0 };
        frame(out, more, body);
    }
}

fn frame(out: &mut Vec<u8>, flags: u8, body: &[u8]) {
    match u8::try_from(body.len()) {
        Ok(length) => out.extend([flags, length]),
        Err(_) => {
            out.push(flags | LONG);
            out.extend((body.len() as u64).to_be_bytes());
        }
    }
    out.extend(body);
}

/// What one large message took is not kept for the next.
pub fn give_back(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > MOST_KEPT {
        *buffer = Vec::new();
    }
}

/// Takes the messages out of a stream of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What was read. It grows by what comes, never by what a length says.
    pub read: Vec<u8>,
    /// So much of it is done with.
    at: usize,
    greeted: bool,
    is_ready: bool,
    frames: Vec<Vec<u8>>,
}

impl Decoder {
    /// Whether the other side is ready for messages.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// The next message; `None` until more was read.
    pub fn message(&mut self) -> Result<Option<Vec<Vec<u8>>>, Fault> {
        if !self.greeted {
            let Some(greeting) = self.read.get(..GREETING.len()) else { return Ok(None) };
            let is_ours = greeting[0] == 0xff && greeting[9] == 0x7f && greeting[10] >= 3;
            if !is_ours || greeting[12..32] != GREETING[12..32] {
                return Err(Fault::Greeting);
            }
            (self.greeted, self.at) = (true, GREETING.len());
        }
        while let Some((flags, body)) = self.next_frame()? {
            let body = &self.read[body];
            if !self.is_ready {
                if flags & COMMAND == 0 || !body.starts_with(b"\x05READY") {
                    return Err(Fault::Ready);
                }
                self.is_ready = true;
            } else if flags & COMMAND == 0 {
                self.frames.push(body.to_vec());
                if flags & MORE == 0 {
                    return Ok(Some(std::mem::take(&mut self.frames)));
                }
            }
            // Other commands are of later versions, which nobody speaks to us.
        }
        // What is left is a part of a frame, which is moved once for each time that bytes came.
        self.read.drain(..std::mem::take(&mut self.at));
        if self.read.is_empty() {
            give_back(&mut self.read);
        }
        Ok(None)
    }

    /// The flags of the next frame and where its body is, if all of it was read.
    fn next_frame(&mut self) -> Result<Option<(u8, std::ops::Range<usize>)>, Fault> {
        let rest = &self.read[self.at..];
        let Some((&flags, rest)) = rest.split_first() else { return Ok(None) };
        if flags > (MORE | LONG | COMMAND) || flags & (MORE | COMMAND) == MORE | COMMAND {
            return Err(Fault::Flags);
        }
        let (head, length) = if flags & LONG == 0 {
            let Some(&length) = rest.first() else { return Ok(None) };
            (2, u64::from(length))
        } else {
            let Some(length) = rest.first_chunk::<8>() else { return Ok(None) };
            (9, u64::from_be_bytes(*length))
        };
        // A length has 63 bits.
        let length = isize::try_from(length).map_err(|_| Fault::Length)?;
        let start = self.at + head;
        let end = start.checked_add_signed(length).ok_or(Fault::Length)?;
        if end > self.read.len() {
            return Ok(None);
        }
        self.at = end;
        Ok(Some((flags, start..end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_zmtp_has_a_name() {
        let fault = |bytes: &[u8]| {
            Decoder { read: bytes.to_vec(), ..Decoder::default() }.message().expect_err("no ZMTP")
        };
        assert_eq!(fault(&[0; 64]), Fault::Greeting);
        let encrypted = [&GREETING[..12], &b"CURVE"[..], &[0; 47][..]].concat();
        assert_eq!(fault(&encrypted), Fault::Greeting);
        assert_eq!(fault(&[&GREETING[..], &[0, 0]].concat()), Fault::Ready);
        assert_eq!(fault(&[&GREETING[..], &[8, 0]].concat()), Fault::Flags);
        assert_eq!(fault(&[&GREETING[..], &[LONG], &[0xff; 8]].concat()), Fault::Length);
    }

    #[test]
    fn what_a_large_message_took_is_given_back() {
        let mut decoder = Decoder::default();
        decoder.read.extend([&GREETING[..], &ready("PUB", b"")].concat());
        encode(&mut decoder.read, &[vec![0; 2 * MOST_KEPT]]);
        assert!(decoder.message().expect("it is ZMTP").is_some());
        assert!(decoder.message().expect("it is ZMTP").is_none());
        assert!(decoder.read.capacity() <= MOST_KEPT);
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_they_are_cut(
            messages in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 1..5), 0..5),
            cuts in proptest::collection::vec(1usize..700, 1..20),
        ) {
            let mut bytes = GREETING.to_vec();
            bytes.extend(ready("ROUTER", b""));
            messages.iter().for_each(|message| encode(&mut bytes, message));
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let cut = rest.len().min(*cuts.next().expect("it has no end"));
                decoder.read.extend(&rest[..cut]);
                rest = &rest[cut..];
                while let Some(message) = decoder.message().expect("it is ZMTP") {
                    found.push(message);
                }
            }
            prop_assert!(decoder.is_ready() && decoder.read.is_empty());
            prop_assert_eq!(found, messages);
        }

        #[test]
        fn any_bytes_are_messages_or_a_fault(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), greeted in any::<bool>()
        ) {
            let mut read = if greeted { GREETING.to_vec() } else { Vec::new() };
            read.extend(bytes);
            let mut decoder = Decoder { read, ..Decoder::default() };
            while let Ok(Some(_)) = decoder.message() {}
        }
    }
}
