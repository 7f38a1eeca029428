//! Whatever a file holds, reading it gives a profile or an error, and what was read can be drawn
//! and written again. A panic is a finding.
//!
//! Changed bytes seldom are a profile any more. So every other change is one of structure: a
//! number of the file becomes another one, a list grows or shrinks, a field goes.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use memprofile::profile::Profile;
use memprofile::render;
use memprofile::report::{Options, Report, lines};
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let Ok(profile) = Profile::from_json(text) else { return Corpus::Keep };
    let written = profile.to_json();
    let again = Profile::from_json(&written).expect("what we write, we read");
    assert_eq!(again.to_json(), written, "reading and writing changes nothing");
    lines::all_lines(&profile);
    // The length chooses: small tables and large ones.
    let report = Report::new(&profile, &Options { top: data.len() % 30 });
    render::text(&report, render::USUAL, data.len() % 2 == 0);
    render::line(&report);
    render::alt_text(&report);
    render::html(&report).expect("the fragment is drawn");
    render::page(&report).expect("the page is drawn");
    render::svg(&report).expect("the picture is drawn");
    // A PNG takes longer than all of the others, a hundred times so when each comparison is traced.
    if data.len() % 16 == 0 {
        render::png(&report, 40_000).expect("the PNG is drawn");
    }
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut dice = Dice(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let text = std::str::from_utf8(&data[..size]).unwrap_or_default();
    if dice.below(2) == 0
        && let Ok(mut value) = serde_json::from_str(text)
    {
        for _ in 0..=dice.below(4) {
            change(&mut value, &mut dice);
        }
        let text = value.to_string();
        if text.len() <= max_size {
            data[..text.len()].copy_from_slice(text.as_bytes());
            return text.len();
        }
    }
    fuzzer_mutate(data, size, max_size)
});

/// A generator of pseudo-random numbers: xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

/// Goes down to some part of the document and changes it.
fn change(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Array(list) => {
            let at = dice.below(list.len());
            match dice.below(8) {
                0 if !list.is_empty() => drop(list.remove(at)),
                1 if !list.is_empty() => list.push(list[at].clone()),
                2 => list.extend(list.clone()),
                3 => list.clear(),
                _ => {
                    if let Some(inner) = list.get_mut(at) {
                        change(inner, dice);
                    }
                }
            }
        }
        Value::Object(map) => {
            let at = dice.below(map.len());
            let Some(key) = map.keys().nth(at).cloned() else { return };
            if dice.below(40) == 0 {
                map.remove(&key);
            } else {
                change(&mut map[&key], dice);
            }
        }
        leaf => *leaf = other(leaf, dice),
    }
}

/// Another value of the same kind, most of the time.
fn other(leaf: &Value, dice: &mut Dice) -> Value {
    let small = dice.below(64);
    if dice.below(16) == 0 {
        return [Value::Null, json!(false), json!(""), json!(small)][dice.below(4)].clone();
    }
    match leaf {
        Value::Bool(value) => json!(!value),
        Value::String(text) => {
            let odd = ["", "\u{0}", "<&\"'>", "\u{202e}x", "\r\n", "é漢字🐍", "cell", "library"];
            match dice.below(3) {
                0 => json!(odd[dice.below(odd.len())]),
                1 => json!(text.repeat(1 + dice.below(20))),
                _ => json!(format!("{text}{}", odd[dice.below(odd.len())])),
            }
        }
        _ => {
            let numbers = [
                json!(0),
                json!(1),
                json!(small),
                json!(1u64 << small),
                json!((1u64 << small).wrapping_sub(1)),
                json!(u64::MAX),
                json!(i64::MIN),
                json!(i64::MAX),
                json!(u32::MAX),
                json!(-1),
                json!(-(small as f64) * 1e6),
                json!(1e308),
                json!(-1e308),
                json!(5e-324),
                json!(-0.0),
            ];
            numbers[dice.below(numbers.len())].clone()
        }
    }
}
