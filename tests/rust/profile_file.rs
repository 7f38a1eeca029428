//! A profile survives being saved, and a damaged file is refused with a sentence.

use crate::fixtures::{Builder, MIB};
use memprofile::error::Error;
use memprofile::profile::{Allocator, FileId, FileKind, Frame, FrameId, Profile, StackId};
use memprofile::render;
use memprofile::report::{Options, Report};

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
