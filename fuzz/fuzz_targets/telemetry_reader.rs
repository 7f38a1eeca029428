//! Whatever a process wrote, or was writing when it was killed, reading its segment and what is in it
//! gives telemetry or nothing. A panic is a finding.
//!
//! The bytes are a letter, and a whole segment behind the mark that makes it one.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use memprofile::hooks::segment::{self, Reader};
use memprofile::profile::telemetry::Telemetry;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// After the page of the mark.
const LETTER: u64 = 4096;

static SEGMENT: OnceLock<File> = OnceLock::new();

fuzz_target!(|data: &[u8]| -> Corpus {
    let file = SEGMENT.get_or_init(|| segment::create().expect("the kernel has memfd_create"));
    file.write_all_at(data, LETTER).expect("it has room for the longest input");
    let reader = Reader::new(file.try_clone().expect("it is open")).expect("its mark is whole");
    let letter = reader.read().expect("it is read to its end").unwrap_or_default();
    assert!(letter.len() <= segment::ROOM);
    Telemetry::from_letter(&letter);

    let Some(told) = Telemetry::from_letter(data) else { return Corpus::Keep };
    let again = told.clone().into_letter(segment::ROOM);
    assert!(again.len() <= segment::ROOM);
    let read = Telemetry::from_letter(&again).expect("what we write, we read");
    assert!(told.moments.ends_with(&read.moments));
    Corpus::Keep
});
