//! Whatever frames come by a socket, they are a message or a fault, and only what was signed with the
//! key is believed. A panic is a finding.
//!
//! The input is cut into frames at each byte 0xff; a frame `D` stands for the delimiter.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use memprofile::kernel::Connection;
use memprofile::kernel::wire::{DELIMITER, Envelope, Fault, Signer};

fuzz_target!(|data: &[u8]| -> Corpus {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Connection::parse(text);
    }
    let mut frames: Vec<Vec<u8>> = data
        .split(|byte| *byte == 0xff)
        .map(|frame| if frame == b"D" { DELIMITER.to_vec() } else { frame.to_vec() })
        .collect();
    let signer = Signer::new("key");
    let Ok(envelope) = Envelope::open(&frames) else { return Corpus::Keep };
    let before = envelope.identities.len();
    assert!(frames.len() >= before + 6);
    assert!(envelope.identities.iter().all(|frame| frame != DELIMITER));
    assert_eq!(signer.verify(&envelope), Err(Fault::Signature));
    let (header, parent) = (envelope.header().ok(), envelope.parent());
    let signature = signer.sign(envelope.parts);
    let shown = format!("{header:?} {parent:?}");
    frames[before + 1] = signature.into_bytes();
    let signed = signer.verify_frames(&frames).expect("it is signed with the key");
    assert_eq!(format!("{:?} {:?}", signed.header().ok(), signed.parent()), shown);
    Corpus::Keep
});
