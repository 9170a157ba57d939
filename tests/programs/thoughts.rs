//! What ABD's and DED's demonstrations claim is so: each claim is looked for in a run that this test makes itself.

use std::process::Command;

use affine::engine::env::abd::{Abd, Build};
use affine::engine::env::ded::Ded;
use affine::engine::env::programs::options::ProgramOptions;
use affine::engine::env::{Demonstrator, Environment};
use serde_json::json;

use super::{abd, ded};

const TASKS: u64 = 20;

/// Traces a program line by line, otherwise than the environment does: prints its output and [name, repr] of every local
/// variable of every frame when it returns, as JSON.
const TRACE: &str = r#"
import contextlib, io, json, sys
code, text = json.loads(sys.argv[1])
seen, out = [], io.StringIO()
def each(frame, event, _):
    if frame.f_code.co_filename != "<it>":
        return None
    if event == "return":
        for name, value in dict(frame.f_locals).items():
            try:
                seen.append([name, repr(value)])
            except Exception:
                pass
    return each
sys.stdin = io.StringIO(text)
with contextlib.redirect_stdout(out):
    sys.settrace(each)
    try:
        exec(compile(code, "<it>", "exec"), {"__name__": "__main__"})
    except SystemExit:
        pass
    sys.settrace(None)
print(json.dumps([out.getvalue(), seen]))
"#;

fn trace(code: &str, text: &str) -> (String, Vec<(String, String)>) {
    let job = json!([code, format!("{text}\n")]).to_string();
    let done = Command::new("python3").args(["-I", "-c", TRACE, &job]).output().unwrap();
    assert!(done.status.success(), "{}\n{code}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// The text between two markers.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text.find(before).unwrap_or_else(|| panic!("no {before:?} in {text}")) + before.len();
    let length = text[start..].find(after).unwrap_or_else(|| panic!("no {after:?} in {text}"));
    &text[start..start + length]
}

/// A text as a thought writes it.
fn quoted(text: &str) -> String {
    format!("{:?}", text.trim().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

/// How many claims on variables there are in a text, all of which are true of the run.
fn held(text: &str, run: &[(String, String)]) -> usize {
    let claims: Vec<&str> = text.match_indices(" ends as ").map(|(at, _)| &text[..at]).collect();
    for before in &claims {
        let name = before.rsplit([' ', ',']).next().unwrap();
        let claim = &text[before.len() + " ends as ".len()..];
        let ends_there = |rest: &str| rest.is_empty() || rest.starts_with(", ");
        let is_so =
            |(of, value): &(String, String)| of == name && claim.strip_prefix(value.as_str()).is_some_and(ends_there);
        assert!(run.iter().any(is_so), "{name} never ends as {claim:?}: {run:?}");
    }
    claims.len()
}

fn generated() -> ProgramOptions {
    ProgramOptions::default()
}

#[test]
fn what_abd_tells_of_the_way_back_is_so_when_the_program_is_run_again() {
    let mut env = Abd::new(&generated(), Build::V2).unwrap();
    let (mut told, mut claims) = (0, 0);
    for id in 0..TASKS {
        let prompt = env.reset(id).unwrap();
        let explained = env.explain().unwrap().unwrap();
        if let Some(thought) = &explained.thought {
            let program = between(&prompt, "```python\n", "\n```");
            let input = between(&explained.action, "<INPUT>\n", "\n</INPUT>");
            let (output, run) = trace(program, input);
            assert_eq!(between(thought, "The output to reach is ", ".\nFrom there back"), quoted(&output));
            assert_eq!(between(&format!("{thought}\0"), "That run reads ", ".\0"), quoted(input));
            assert!(prompt.contains(output.trim_end()));
            claims += held(between(thought, "by a run", ".\nThat run"), &run);
            told += 1;
        }
        let reply = env.reply(&explained.action, explained.thought.as_deref()).unwrap();
        assert_eq!(env.step(&reply).unwrap().reward, 1.0, "{reply}");
    }
    assert!(told >= TASKS / 2 && claims >= TASKS as usize, "{told} thoughts with {claims} claims");
}

#[test]
fn what_ded_tells_of_its_program_is_so_when_the_program_is_run_again() {
    let mut env = Ded::new(&generated()).unwrap();
    let (mut told, mut claims) = (0, 0);
    for id in 0..TASKS {
        let prompt = env.reset(id).unwrap();
        let explained = env.explain().unwrap().unwrap();
        if let Some(thought) = &explained.thought {
            let program = between(&explained.action, "```python\n", "\n```");
            let input = between(&prompt, "Example input:\n```\n", "\n```");
            let (output, run) = trace(program, input);
            let (input, output) = (quoted(input), quoted(&output));
            assert!(thought.starts_with(&format!("For {input} the task expects {output}. In my program")), "{thought}");
            assert!(thought.ends_with(&format!(" it prints {output}.")), "{thought}");
            claims += held(between(thought, "In my program", " it prints"), &run);
            told += 1;
        }
        let reply = env.reply(&explained.action, explained.thought.as_deref()).unwrap();
        assert_eq!(env.step(&reply).unwrap().reward, 1.0, "{reply}");
    }
    assert!(told >= TASKS / 2 && claims >= TASKS as usize, "{told} thoughts with {claims} claims");
}

#[test]
fn nothing_is_claimed_of_functions_that_ran_twice_or_where_functions_differ() {
    let program = "def double(n):\n    m = 2 * n\n    return m\na = double(int(input()))\nm = double(a)\nprint(m)";
    let mut env = abd(&[json!({ "program": program, "inputs": "3", "output": "12" })]);
    env.reset(0).unwrap();
    let explained = env.explain().unwrap().unwrap();
    assert_eq!(
        explained.thought.as_deref(),
        Some(
            "The output to reach is \"12\".\n\
             From there back: it is printed by a run in which m ends as 12, a ends as 6.\n\
             That run reads \"3\"."
        )
    );
}

#[test]
fn ded_says_nothing_of_tests_that_the_prompt_does_not_show_or_that_fail() {
    let row = |prompt: &str, program: &str| {
        let tests = json!({ "test_cases": [{ "type": "stdin_stdout", "input": "21\n", "output": "42" }] });
        json!({ "prompt": prompt, "program": program, "verification_info": tests.to_string() })
    };
    let mut env = ded(&[
        row("Print the double. For 21 print 42.", "n = int(input())\nprint(2 * n)"),
        row("Print the double.", "n = int(input())\nprint(2 * n)"),
        row("Print the double. For 21 print 42.", "n = int(input())\nprint(3 * n)"),
        row("Print the double. For 21 print 42.", "print(1 / 0)"),
        row("Print the double. For 21 print 42.", "n = '```'\nprint(2 * int(input()))"),
    ]);
    let mut thought = |id| {
        env.reset(id).unwrap();
        env.explain().unwrap().unwrap().thought
    };
    let told = "For \"21\" the task expects \"42\". In my program n ends as 21, and it prints \"42\".";
    assert_eq!([0, 1, 2, 3, 4].map(&mut thought), [Some(told.to_string()), None, None, None, None]);
}
