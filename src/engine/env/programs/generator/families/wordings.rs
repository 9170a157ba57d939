//! The test that all wordings of a family or a step do the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use super::super::draw::Draw;
use super::super::piece::{Family, Kind};
use super::super::readers::READERS;
use super::super::steps::STEPS;
use super::TOPICS;

/// Runs each [code, input] of its standard input, a JSON list, and prints the list of what they print.
const RUN_ALL: &str = "
import contextlib, io, json, sys
jobs, printed = json.load(sys.stdin), []
for code, text in jobs:
    sys.stdin, out = io.StringIO(text), io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(code, {'__name__': '__main__'})
        except Exception as problem:
            print('FAILED', type(problem), problem)
    printed.append(out.getvalue())
print(json.dumps(printed))";

fn run_all(jobs: &[(String, String)]) -> Vec<String> {
    let mut child = Command::new("python3")
        .args(["-I", "-c", RUN_ALL])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let text = serde_json::to_vec(jobs).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The wordings of each sentence of a family, each a program up to the variable `made`, and how its input is written.
fn wordings(family: &Family, seeds: u64) -> BTreeMap<String, BTreeSet<String>> {
    let reader = READERS.iter().find(|reader| reader.kind == family.takes).unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for seed in 0..seeds {
        let piece = (family.build)(&mut Draw::new(seed, family.name, 0));
        assert!(!piece.text.contains('$'), "{}: {}", family.name, piece.text);
        assert_eq!(piece.input.is_some(), matches!(family.takes, Kind::Line | Kind::Lines), "{}", family.name);
        let helper = piece.helper.unwrap_or_default();
        let body = piece.code.replace("$x", "given").replace("$r", "made");
        let imports = piece.imports.join("\n");
        let reading = reader.code.replace("$x", "given");
        let code = format!("import sys\n{imports}\n{helper}\n{reading}\n{body}\nprint(made)");
        assert!(!code.contains('$'), "{code}");
        found.entry(piece.text).or_default().insert(code);
    }
    found
}

#[test]
fn all_wordings_of_a_family_or_a_step_print_the_same() {
    let families = TOPICS.iter().flat_map(|(_, families)| families.iter()).chain(STEPS);
    let (mut jobs, mut groups) = (Vec::new(), Vec::new());
    for family in families {
        let input = (family.build)(&mut Draw::new(0, family.name, 0)).input;
        let reader = READERS.iter().find(|reader| reader.kind == family.takes).unwrap();
        for (index, codes) in wordings(family, 40).into_values().enumerate().take(6) {
            for size in [3, 6, 9, 13] {
                let stdin = (reader.write)(&mut Draw::new(size, family.name, index as u64), size as i64, input);
                let begin = jobs.len();
                jobs.extend(codes.iter().map(|code| (code.clone(), stdin.clone())));
                groups.push((family.name, begin..jobs.len()));
            }
        }
    }
    let printed = run_all(&jobs);
    assert_eq!(printed.len(), jobs.len());
    for (name, range) in groups {
        for index in range.clone() {
            let (code, stdin) = &jobs[index];
            assert!(!printed[index].starts_with("FAILED"), "{name}: {}{code}\n{stdin}", printed[index]);
            assert_eq!(
                printed[index], printed[range.start],
                "{name} on\n{stdin}\n{code}\n---\n{}",
                jobs[range.start].0
            );
        }
    }
}
