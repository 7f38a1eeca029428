//! A profile survives being saved, and a damaged file is refused with a sentence.

use memprofile::error::Error;
use memprofile::profile::Profile;

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
