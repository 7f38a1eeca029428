//! A profile survives being saved, and a damaged file is refused with a sentence.

use crate::fixtures::{Builder, MIB};
use memprofile::error::Error;
use memprofile::profile::{Allocator, FileId, FileKind, Frame, FrameId, Profile, StackId};
use memprofile::render;
use memprofile::report::{Options, Report};
use serde_json::Value;

/// A file that version 1 wrote. It stays as it is: whoever changes the format reads it still.
const VERSION_1: &str = include_str!("profiles/version_1.json");

/// Parts that came while version 1 was being made: a file without them is a profile, too.
const LATER: [&str; 13] = [
    "/ledger",
    "/ledger/peak/earlier",
    "/sizes",
    "/copies",
    "/children",
    "/forked",
    "/names",
    "/keepers",
    "/recording/exact_asked",
    "/recording/events",
    "/totals/of_files",
    "/sites/0/untouched",
    "/sites/0/waiting",
];

/// Whether all that `old` says is said by `new`, but for the version.
fn says_all(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => old.iter().all(|(key, old)| {
            key == "version" || new.get(key).is_some_and(|new| says_all(new, old))
        }),
        (Value::Array(new), Value::Array(old)) => {
            new.len() == old.len() && new.iter().zip(old).all(|(new, old)| says_all(new, old))
        }
        _ => new == old,
    }
}

#[test]
fn a_file_of_version_1_is_read_and_nothing_of_it_is_lost() {
    let profile = Profile::from_json(VERSION_1).unwrap();
    assert_eq!(profile.totals.peak_footprint.0, 3 << 20);
    let report = Report::new(&profile, &Options::default());
    let text = render::text(&report, render::USUAL, false);
    assert!(text.starts_with("Peak 3.00 MiB above the start"), "{text}");
    let value = |json: &str| -> Value { serde_json::from_str(json).unwrap() };
    assert!(says_all(&value(&profile.to_json()), &value(VERSION_1)));
}

#[test]
fn a_file_without_what_came_later_is_read() {
    for pointer in LATER {
        let mut file: Value = serde_json::from_str(VERSION_1).unwrap();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let object = file.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
        assert!(object.remove(key).is_some(), "{pointer}");
        let profile = Profile::from_json(&file.to_string()).unwrap();
        assert!(render::html(&Report::new(&profile, &Options::default())).is_ok(), "{pointer}");
    }
}

#[test]
fn other_json_is_refused() {
    let error = Profile::from_json("{\"format\": \"speedscope\", \"version\": 1}").unwrap_err();
    assert!(matches!(error, Error::NotAProfile { .. }));
    assert!(error.to_string().contains("Profile.save"));
}

#[test]
fn a_later_version_is_refused() {
    let error = Profile::from_json("{\"format\": \"memprofile\", \"version\": 99}").unwrap_err();
    assert_eq!(error, Error::NewerProfile { found: 99, newest: 1 });
}

#[test]
fn a_stack_of_any_depth_is_drawn() {
    let mut file = Builder::cell("cell [1]", "deep()", 0.01);
    let library = file.file("/usr/lib/python3/deep.py", FileKind::Library, &[]);
    let cell = file.stack(&[("<module>", FileId(0), 1)]);
    let stacks = &mut file.profile.stacks;
    let mut chain = vec![cell];
    for depth in 0..30_000 {
        let function = format!("call_{depth}");
        stacks.frame_table.push(Frame { function, file: library, line: 1 });
        stacks.frames.push(FrameId(stacks.frame_table.len() as u32 - 1));
        stacks.parents.push(chain.last().copied());
        chain.push(StackId(stacks.frames.len() as u32 - 1));
    }
    // Some of it on each of the first levels: those are not folded into one.
    for depth in (1..=20).chain([30_000]) {
        file.site(Some(chain[depth]), Allocator::Malloc, [MIB, 0, MIB, 1]);
    }
    let profile = Profile::from_json(&file.finish(0.005, 0).to_json()).unwrap();
    let report = Report::new(&profile, &Options::default());
    assert_eq!(
        report.table.lines().map(|line| line.figures.peak.value).sum::<f64>(),
        21.0 * MIB as f64
    );
    assert!(render::html(&report).unwrap().contains("call_0"));
}
