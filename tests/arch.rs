//! The layers of `src/lib.rs`, held by reading the sources.

mod rings;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rings::Program;

/// The parts of the engine that have an order, and what each may use of the others. What is not named here (errors,
/// tensors, files, random streams, …) is everybody's.
#[rustfmt::skip]
const MAY_USE: &[(&str, &[&str])] = &[
    ("report",   &["eval", "track"]),
    ("sweep",    &["report"]),
    ("rl",       &["rollout", "train", "generate", "env", "model", "text", "data", "track"]),
    ("eval",     &["rollout", "generate", "env", "model", "text", "data", "track"]),
    ("rollout",  &["generate", "env", "model", "text"]),
    ("train",    &["model", "text", "data", "track"]),
    ("generate", &["model", "text", "data"]),
    ("env",      &["text", "data", "hub", "sandbox"]),
    ("model",    &["text", "track"]),
    ("data",     &["text"]),
    ("text",     &[]),
    ("hub",      &["track"]),
    ("sandbox",  &[]),
    ("track",    &[]),
];

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(&path, found),
                false if path.extension().is_some_and(|extension| extension == "rs") => {
                    let text = fs::read_to_string(&path).unwrap();
                    found.push((path, text));
                }
                false => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    assert!(!found.is_empty(), "no sources under {folder}");
    found
}

/// The lines of code, comments left out.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

/// The names behind `prefix` in a line: `use crate::engine::{a::X, b}` gives `a` and `b` for `crate::engine::`.
fn used<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let word = |text: &'a str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    let parts = line.split(prefix).skip(1);
    parts
        .flat_map(|rest| match rest.strip_prefix('{') {
            None => vec![word(rest)],
            Some(list) => {
                let (mut depth, mut start, mut names) = (0, 0, Vec::new());
                for (index, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            names.push(word(list[start..].trim_start()));
                            start = index + 1;
                        }
                        _ => {}
                    }
                }
                names.push(word(list[start..].trim_start()));
                names
            }
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn only_the_lua_layer_names_mlua() {
    for (path, text) in sources("src") {
        let inside = path.starts_with(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lua"));
        assert!(inside || !code(&text).any(|line| line.contains("mlua")), "{} names mlua", path.display());
    }
}

#[test]
fn no_layer_uses_one_above_it() {
    for (folder, above) in [("src/engine", &["crate::lua", "crate::cli"][..]), ("src/lua", &["crate::cli"][..])] {
        for (path, text) in sources(folder) {
            for line in code(&text) {
                let upward = above.iter().find(|layer| line.contains(**layer));
                assert!(upward.is_none(), "{}: `{line}` uses {}", path.display(), upward.unwrap());
            }
        }
    }
}

#[test]
fn the_parts_of_the_engine_use_only_those_below_them() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine");
    for (path, text) in sources("src/engine") {
        let inside: Vec<_> = path.strip_prefix(&engine).unwrap().iter().map(|part| part.to_string_lossy()).collect();
        let part = inside[0].trim_end_matches(".rs");
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == part) else {
            continue;
        };
        // As many steps up as lead to the engine: one for `a.rs` and `a/mod.rs`, two for `a/b.rs`.
        let steps = inside.len() - usize::from(inside.last().is_some_and(|file| file == "mod.rs"));
        // `use` statements over several lines become one.
        let joined = code(&text).collect::<Vec<_>>().join(" ");
        for prefix in ["crate::engine::".to_string(), format!(" {}", "super::".repeat(steps))] {
            for name in used(&joined, &prefix) {
                let ordered = MAY_USE.iter().any(|(other, _)| *other == name);
                let fine = !ordered || name == part || allowed.contains(&name);
                assert!(fine, "{}: {part} uses {name}, which is not below it", path.display());
            }
        }
    }
}

#[test]
fn the_reader_of_use_statements_reads_them() {
    assert_eq!(
        used("use crate::engine::{Error, rl::{a, b}, env}; crate::engine::x()", "crate::engine::"),
        ["Error", "rl", "env", "x"]
    );
}

#[test]
fn no_ring_goes_through_files_of_different_folders() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let name = |path: PathBuf| path.strip_prefix(&src).unwrap().to_string_lossy().into_owned();
    let sources: Vec<_> = sources("src").into_iter().map(|(path, text)| (name(path), text)).collect();
    let program = Program::read(sources.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    if let Some(ring) = program.ring() {
        let lines: Vec<String> = ring.iter().map(ToString::to_string).collect();
        panic!("a ring through files of different folders:\n{}", lines.join("\n"));
    }
}

/// The lines of the shortest ring in a program of these files and two empty ones.
fn ring_of(sources: &[(&str, &str)]) -> Vec<String> {
    let ring = Program::read([("a/mod.rs", ""), ("b/mod.rs", "")].iter().chain(sources).copied()).ring();
    ring.into_iter().flatten().map(|found| found.to_string()).collect()
}

#[test]
fn a_ring_is_found_and_its_lines_are_named() {
    let imported = [
        ("a/one.rs", "use crate::{\n    b::{\n        two::Two, // its other half\n    },\n    c,\n};"),
        ("b/two.rs", "/// `crate::c::Three` in words.\nuse std::fmt;\n\npub use super::three::{self, Three as Two};"),
        ("b/three.rs", "fn f() -> crate::a::one::One {\n    crate::a::one::new()\n}"),
        ("c.rs", ""),
    ];
    assert_eq!(ring_of(&imported), ["a/one.rs:1 uses b/three.rs", "b/three.rs:1 uses a/one.rs"]);

    let called = [
        ("lib.rs", "pub mod a;\npub fn run() {\n    a::begin()\n}"),
        ("a/mod.rs", "mod one;\npub fn begin() {\n    one::begin()\n}"),
        ("a/one.rs", "use super::super::run as run_all;\npub fn begin() {\n    run_all()\n}"),
    ];
    let lines = ["lib.rs:3 uses a/mod.rs", "a/mod.rs:3 uses a/one.rs", "a/one.rs:1 uses lib.rs"];
    let found = ring_of(&called);
    assert!(found.len() == 3 && lines.iter().all(|line| found.contains(&line.to_string())), "{found:?}");

    let through_a_module = [
        ("a/one.rs", "use crate::b;\nfn f() {\n    b::g()\n}"),
        ("b/mod.rs", "use crate::a::one::*;"),
        ("b/two.rs", ""),
    ];
    assert_eq!(ring_of(&through_a_module), ["a/one.rs:3 uses b/mod.rs", "b/mod.rs:1 uses a/one.rs"]);
}

#[test]
fn what_is_no_ring_across_folders_is_none() {
    let one_way =
        [("a/one.rs", "use crate::b::two::B;\nuse tch::Tensor;"), ("b/two.rs", "use crate::c::C;"), ("c.rs", "")];
    assert!(ring_of(&one_way).is_empty());
    // A folder's first file and the files below it are of one folder, whether it is `a/mod.rs` or `a.rs`.
    for parent in ["a/mod.rs", "a.rs"] {
        let idiom = [(parent, "mod one;\npub use one::One;\nfn f() {\n    one::g()\n}"), ("a/one.rs", "use super::f;")];
        assert!(ring_of(&idiom).is_empty());
    }
    // A name that is passed on is a use of its own file.
    let passed_on = [
        ("a/mod.rs", "pub use b::B;\npub struct A;"),
        ("a/b/mod.rs", "use super::A;\npub struct B;"),
        ("a/b/c.rs", "use crate::a::B;"),
    ];
    assert!(ring_of(&passed_on).is_empty());
    let of_tests = [
        ("a/one.rs", "use crate::b::two::Two;"),
        ("b/two.rs", "pub struct Two;\n\n#[cfg(test)]\nmod tests {\n    use crate::a::one::One;\n}"),
    ];
    assert!(ring_of(&of_tests).is_empty());
}

/// The methods of an item at the top of a file of environments, each with what its body says, as one line.
fn methods(file: &str, head: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/env").join(file);
    let text = fs::read_to_string(path).unwrap();
    let item = text.split_once(head).unwrap_or_else(|| panic!("{file} has no `{head}`")).1;
    let item = item.split_once("\n}\n").unwrap().0;
    let method = |method: &str| {
        let name = method.split(['(', '<']).next().unwrap();
        let body = method.split_once(" {\n").map_or("", |(_, rest)| rest.split_once("\n    }").unwrap().0);
        (name.to_string(), body.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    item.split("\n    fn ").skip(1).map(method).collect()
}

#[test]
fn an_environment_with_a_label_is_in_all_else_the_one_behind_it() {
    // A method that is not forwarded would silently be the trait's default one.
    let all = methods("environment.rs", "pub trait Environment {");
    let forwarded = methods("label.rs", "impl Environment for Labelled {");
    assert!(all.len() > 10 && all.keys().eq(forwarded.keys()), "{:?} of {:?}", forwarded.keys(), all.keys());
    for (name, body) in forwarded.iter().filter(|(name, _)| !["label", "fresh"].contains(&name.as_str())) {
        assert!(body.starts_with(&format!("self.environment.{name}(")), "{name}: {body}");
    }
}
