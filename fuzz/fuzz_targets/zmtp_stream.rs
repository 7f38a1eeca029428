//! Whatever bytes come from the child's sockets, they are messages or a fault, and the same ones however the
//! bytes are cut. A panic is a finding.
//!
//! The first byte says how: into pieces of so many bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use memprofile::kernel::zmtp::{Decoder, Fault, GREETING, ready};

type Message = Vec<Vec<u8>>;

fn decoded(bytes: &[u8], piece: usize) -> (Vec<Message>, Option<Fault>) {
    let (mut decoder, mut found) = (Decoder::default(), Vec::new());
    decoder.read.extend(GREETING);
    decoder.read.extend(ready("ROUTER", b""));
    assert_eq!(decoder.message(), Ok(None));
    for piece in bytes.chunks(piece) {
        decoder.read.extend(piece);
        loop {
            match decoder.message() {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(fault) => return (found, Some(fault)),
            }
        }
    }
    assert!(decoder.read.len() <= bytes.len());
    (found, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((piece, bytes)) = data.split_first() else { return };
    let whole = decoded(bytes, bytes.len().max(1));
    assert_eq!(decoded(bytes, usize::from(*piece).max(1)), whole);
    let mut decoder = Decoder::default();
    decoder.read.extend(bytes);
    while let Ok(Some(_)) = decoder.message() {}
});
