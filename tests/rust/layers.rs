//! The plan of the house is kept: a room imports from lower floors only, unsafe code stays behind
//! its fence, and files stay short. The checks work on text; `rules_can_fail` proves that they bite.

use std::fs;
use std::path::{Path, PathBuf};

/// Every room of `src/` with its floor. Everybody may fail, so everybody may import `error`.
const FLOORS: [(&str, u8); 14] = [
    ("profile", 0),
    ("error", 0),
    ("hooks", 1),
    ("interpreter", 1),
    ("sampling", 1),
    ("graph", 1),
    ("process", 1),
    ("report", 2),
    ("render", 3),
    ("session", 4),
    ("kernel", 4),
    ("bindings", 5),
    ("lib", 9),
    ("main", 9),
];
const MAY_USE_UNSAFE: [&str; 2] = ["hooks", "interpreter"];
const LONGEST: usize = 600;
/// Names that say nothing of what is inside.
const BAGS: [&str; 6] = ["utils", "util", "common", "helpers", "shared", "misc"];

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// The code alone: comments, strings and character literals become blanks, lines stay lines.
fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment or literal that starts at `at` ends, or `at` when none does.
fn literal_end(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let starts = |text: &str| text.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if starts("//") {
        return at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
    }
    if starts("/*") {
        let mut depth = 0;
        for i in 0..rest.len().saturating_sub(1) {
            match (rest[i], rest[i + 1]) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {}
            }
            if depth == 0 && i > 0 {
                return at + i + 2;
            }
        }
        return chars.len();
    }
    if rest[0] == 'r' && !word_before {
        let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
        if rest.get(1 + hashes) == Some(&'"') {
            let close: String = std::iter::once('"').chain((0..hashes).map(|_| '#')).collect();
            let body: String = rest[2 + hashes..].iter().collect();
            let found = body.find(&close).map_or(body.len(), |i| i + close.len());
            return at + 2 + hashes + body[..found].chars().count();
        }
    }
    if rest[0] == '"' {
        let mut i = 1;
        while i < rest.len() && rest[i] != '"' {
            i += if rest[i] == '\\' { 2 } else { 1 };
        }
        return (at + i + 1).min(chars.len());
    }
    if rest[0] == '\'' && rest.get(1) == Some(&'\\') {
        let close = rest.iter().skip(3).position(|c| *c == '\'');
        return close.map_or(chars.len(), |i| at + i + 4);
    }
    if rest[0] == '\'' && rest.get(2) == Some(&'\'') {
        return at + 3;
    }
    at
}

/// The first names after each `crate::`, and after each `super::` that leaves the room.
fn rooms_named(code: &str, depth: usize) -> Vec<String> {
    let tokens = tokens(code);
    let mut rooms = Vec::new();
    for start in 0..tokens.len() {
        let next = match tokens[start].as_str() {
            "crate" if start == 0 || tokens[start - 1] != "$" => start + 1,
            "super" if start == 0 || tokens[start - 1] != "::" => {
                let mut at = start;
                let mut levels = 1;
                while tokens.get(at + 1).is_some_and(|t| t == "::")
                    && tokens.get(at + 2).is_some_and(|t| t == "super")
                {
                    at += 2;
                    levels += 1;
                }
                if levels < depth {
                    continue;
                }
                at + 1
            }
            _ => continue,
        };
        if tokens.get(next).is_some_and(|t| t == "::") {
            rooms.extend(first_names(&tokens[next + 1..]));
        }
    }
    rooms
}

/// `a::b` gives a; `{a::b, c::{d, e}}` gives a and c.
fn first_names(tokens: &[String]) -> Vec<String> {
    if tokens.first().is_none_or(|t| t != "{") {
        return tokens.first().cloned().into_iter().collect();
    }
    let mut names = Vec::new();
    let mut open = 0;
    let mut wanted = false;
    for token in tokens {
        match token.as_str() {
            "{" => {
                open += 1;
                wanted = open == 1;
            }
            "}" => open -= 1,
            "," => wanted = open == 1,
            name => {
                if wanted {
                    names.push(name.to_string());
                }
                wanted = false;
            }
        }
        if open == 0 {
            break;
        }
    }
    names
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in code.chars() {
        let word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if word && in_word => last.push(c),
            Some(last) if c == ':' && last == ":" => last.push(c),
            _ if c.is_whitespace() => {}
            _ => tokens.push(c.to_string()),
        }
        in_word = word;
    }
    tokens
}

/// What is wrong with one file of `src/`; `path` is relative to it.
fn faults(path: &Path, source: &str) -> Vec<String> {
    let name = path.display();
    let parts: Vec<String> =
        path.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
    let room = parts[0].as_str();
    let Some(own) = floor(room) else {
        return vec![format!("{name}: the room `{room}` has no floor; give it one in layers.rs")];
    };
    let mut faults = too_long_or_nameless(path, source);
    let code = code_only(source);
    if path.extension().is_some_and(|e| e == "rs") {
        let is_root = parts.last().is_some_and(|p| p == "mod");
        let depth = if is_root { parts.len() - 1 } else { parts.len() };
        for other in rooms_named(&code, depth) {
            match floor(&other) {
                Some(theirs) if other != room && other != "error" && theirs >= own => {
                    faults.push(format!("{name}: `{room}` (floor {own}) must not import from `{other}` (floor {theirs})"));
                }
                _ => {}
            }
        }
        if !MAY_USE_UNSAFE.contains(&room) && tokens(&code).iter().any(|t| t == "unsafe") {
            faults.push(format!("{name}: unsafe code belongs to {}", MAY_USE_UNSAFE.join(" and ")));
        }
    } else if !MAY_USE_UNSAFE.contains(&room) {
        faults.push(format!("{name}: C code belongs to {}", MAY_USE_UNSAFE.join(" and ")));
    }
    faults
}

fn too_long_or_nameless(path: &Path, source: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.lines().count();
    if lines > LONGEST {
        faults.push(format!("{}: {lines} lines; split it at {LONGEST}", path.display()));
    }
    for part in path.with_extension("").iter() {
        if BAGS.contains(&part.to_string_lossy().as_ref()) {
            faults.push(format!("{}: name it for what is inside", path.display()));
        }
    }
    faults
}

fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_room_keeps_to_its_floor() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files(&src, &["rs", "c", "h"]);
    assert!(files.len() > 5, "found only {files:?} in {}", src.display());
    let faults: Vec<String> = files
        .iter()
        .flat_map(|path| faults(path.strip_prefix(&src).expect("below src"), &read(path)))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_are_short_and_named_for_what_they_hold() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let faults: Vec<String> = ["python", "tests", "benches", "notebooks", "fuzz"]
        .iter()
        .flat_map(|folder| files(&top.join(folder), &["rs", "py", "pyi", "c", "h"]))
        .flat_map(|path| {
            too_long_or_nameless(path.strip_prefix(top).expect("below the top"), &read(&path))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn rules_can_fail() {
    let bad = [
        ("profile/site.rs", "use crate::report::Lines;", "floor 2"),
        ("sampling/mod.rs", "use crate::hooks;", "must not import from `hooks`"),
        ("hooks/elf.rs", "use crate::{error::Error, sampling::{peak, sites}};", "`sampling`"),
        ("hooks/mod.rs", "use super::process::rss;", "`process`"),
        ("hooks/elf.rs", "fn f() { super::super::session::start() }", "`session`"),
        ("report/lines.rs", "fn f() -> crate :: render\n::Theme {}", "`render`"),
        ("render/svg.rs", "fn f() { unsafe { g() } }", "unsafe code"),
        ("render/svg.rs", r##"const A: &str = r#"a"b"#; unsafe fn g() {}"##, "unsafe code"),
        ("render/svg.rs", "const A: char = '\"'; unsafe fn g() {} // \"", "unsafe code"),
        ("render/fast.c", "int main;", "C code"),
        ("attic/mod.rs", "", "has no floor"),
        ("report/utils.rs", "", "name it"),
        ("report/common/mod.rs", "", "name it"),
    ];
    for (path, source, expected) in bad {
        let faults = faults(Path::new(path), source);
        assert_eq!(faults.len(), 1, "{path}: {source}: {faults:?}");
        assert!(faults[0].contains(expected), "{faults:?} does not say {expected}");
    }
    let long = "\n".repeat(LONGEST + 1);
    assert!(faults(Path::new("report/lines.rs"), &long)[0].contains("split it"));
}

#[test]
fn rules_let_good_code_pass() {
    let good = [
        ("report/lines.rs", "use crate::profile::{Site, Timeline};\nuse crate::report::flame;"),
        ("hooks/elf.rs", "use super::native::Slot;\nmod tests { use super::*; }"),
        ("hooks/elf.rs", "fn f() { unsafe { g() } }"),
        (
            "render/svg.rs",
            "// unsafe, crate::session\n/* a /* b */ unsafe */\n#![deny(unsafe_code)]",
        ),
        ("render/svg.rs", r#"const A: &str = "crate::session \" unsafe"; fn f<'a>(x: &'a str) {}"#),
        ("render/svg.rs", r##"const A: &str = r#"crate::session " unsafe"#;"##),
        ("bindings/mod.rs", "use crate::session::Session; use crate::render::page;"),
    ];
    for (path, source) in good {
        assert_eq!(faults(Path::new(path), source), Vec::<String>::new(), "{source}");
    }
}
