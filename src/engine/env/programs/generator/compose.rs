//! Puts a program together: a reader, steps, a family, steps, a printer; and says in words what it does.

use std::collections::HashSet;

use super::choice::Choice;
use super::draw::Draw;
use super::piece::{Family, Kind, Piece};
use super::printers::{LABELS, PRINTERS, Printer};
use super::readers::{READERS, Reader};
use super::steps::STEPS;

/// A program that nobody has run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The family that the program is built around.
    pub family: &'static str,
    pub topic: &'static str,
    /// From 1 to 5: the family's level and one more for each step and for repeated test cases.
    pub difficulty: u8,
    pub code: String,
    /// What to read, what to do and what to print; from it the program can be rewritten.
    pub description: String,
    /// Five to eight different inputs (fewer where the form of input has no more).
    pub inputs: Vec<String>,
}

/// Words that stand in for a result where nothing is left to work on.
const NOTHING: &[&str] = &["NONE", "EMPTY", "nothing"];

/// What surrounds a family.
#[derive(Default)]
pub(super) struct Plan {
    before: Vec<&'static Family>,
    after: Vec<&'static Family>,
    /// The whole is repeated for a number of test cases.
    cases: bool,
}

/// A part of a program between its reader and its end.
enum Part {
    Code(String),
    /// Ends the program, or the test case, where the variable is empty.
    Guard {
        variable: String,
        word: &'static str,
    },
}

/// A program of this difficulty, from 1 to 5.
pub fn compose(draw: &mut Draw, difficulty: u8, choice: &Choice) -> Program {
    loop {
        let (topic, family) = choice.pick(draw, difficulty);
        if let Some(plan) = plan(draw, family, difficulty - family.level) {
            return build(draw, topic, family, &plan, difficulty);
        }
    }
}

/// Adds `extras` parts around a family; `None` where it cannot take as many.
pub(super) fn plan(draw: &mut Draw, family: &'static Family, extras: u8) -> Option<Plan> {
    let mut plan = Plan::default();
    let (mut takes, mut gives) = (family.takes, family.gives);
    let mut left = extras;
    for _ in 0..30 {
        if left == 0 {
            return Some(plan);
        }
        let before: Vec<&Family> = STEPS.iter().filter(|step| step.gives == takes && has_reader(step.takes)).collect();
        let after: Vec<&Family> = STEPS.iter().filter(|step| step.takes == gives && has_printer(step.gives)).collect();
        match draw.weighted(&[6, 3, 2]) {
            0 if !before.is_empty() => {
                let step = draw.pick(&before);
                takes = step.takes;
                plan.before.insert(0, step);
            }
            1 if !after.is_empty() && plan.after.len() < 2 => {
                let step = draw.pick(&after);
                gives = step.gives;
                plan.after.push(step);
            }
            2 if !plan.cases => plan.cases = true,
            _ => continue,
        }
        left -= 1;
    }
    None
}

fn has_reader(kind: Kind) -> bool {
    READERS.iter().any(|reader| reader.kind == kind)
}

fn has_printer(kind: Kind) -> bool {
    PRINTERS.iter().any(|printer| printer.kind == kind)
}

fn build(draw: &mut Draw, topic: &'static str, family: &'static Family, plan: &Plan, difficulty: u8) -> Program {
    let source = plan.before.first().map_or(family.takes, |step| step.takes);
    let readers: Vec<&Reader> =
        READERS.iter().filter(|reader| reader.kind == source && !(plan.cases && reader.whole)).collect();
    let reader = draw.pick(&readers);
    let mut text = Writing::new(draw, reader);
    for step in &plan.before {
        let piece = (step.build)(draw);
        text.add_step(draw, step, piece);
    }
    let piece = (family.build)(draw);
    let input = piece.input;
    text.add_family(draw, family, piece);
    for step in &plan.after {
        let piece = (step.build)(draw);
        text.add_step(draw, step, piece);
    }
    text.add_printer(draw);
    let sizes = (3, 4 + 2 * i64::from(difficulty));
    let inputs = inputs(draw, |draw| {
        let one = |draw: &mut Draw| {
            let size = draw.range(sizes.0, sizes.1);
            (reader.write)(draw, size, input)
        };
        if !plan.cases {
            return one(draw);
        }
        let cases = draw.range(2, 4);
        format!("{cases}\n{}", draw.join(cases, "\n", one))
    });
    let description = text.description(plan.cases);
    let code = text.code(draw, plan.cases);
    Program { family: family.name, topic, difficulty, code, description, inputs }
}

/// Up to eight different inputs.
fn inputs(draw: &mut Draw, mut one: impl FnMut(&mut Draw) -> String) -> Vec<String> {
    let (wanted, mut seen, mut inputs) = (draw.range(5, 8) as usize, HashSet::new(), Vec::new());
    for _ in 0..40 {
        let input = one(draw);
        if seen.insert(input.clone()) {
            inputs.push(input);
        }
        if inputs.len() == wanted {
            break;
        }
    }
    inputs
}

/// A program and its description while they are written.
struct Writing {
    reader_text: &'static str,
    imports: Vec<&'static str>,
    functions: Vec<String>,
    parts: Vec<Part>,
    sentences: Vec<String>,
    kind: Kind,
    variable: String,
    used: Vec<String>,
    may_be_empty: bool,
}

impl Writing {
    fn new(draw: &mut Draw, reader: &Reader) -> Self {
        let variable = draw.pick(reader.kind.names()).to_string();
        Writing {
            reader_text: reader.text,
            imports: reader.imports.to_vec(),
            functions: Vec::new(),
            parts: vec![Part::Code(reader.code.replace("$x", &variable))],
            sentences: Vec::new(),
            kind: reader.kind,
            used: vec![variable.clone()],
            variable,
            may_be_empty: false,
        }
    }

    /// A name from `names` that the program does not use yet.
    fn fresh(&mut self, draw: &mut Draw, names: &[&str]) -> String {
        let free: Vec<&str> = names.iter().copied().filter(|name| !self.used.iter().any(|used| used == name)).collect();
        let name = if free.is_empty() {
            format!("{}{}", draw.pick(names), self.used.len())
        } else {
            draw.pick(&free).to_string()
        };
        self.used.push(name.clone());
        name
    }

    fn take(&mut self, piece: &Piece) {
        self.imports.extend(&piece.imports);
        if let Some(helper) = piece.helper.as_ref().filter(|helper| !self.functions.contains(helper)) {
            self.functions.push(helper.clone());
        }
        self.sentences.push(piece.text.clone());
    }

    fn add_step(&mut self, draw: &mut Draw, step: &Family, piece: Piece) {
        if piece.needs_items {
            self.guard(draw);
        }
        self.take(&piece);
        let keeps_name = step.takes == step.gives && !draw.once_in(3);
        let given = if keeps_name { self.variable.clone() } else { self.fresh(draw, step.gives.names()) };
        self.parts.push(Part::Code(piece.code.replace("$x", &self.variable).replace("$r", &given)));
        self.may_be_empty = (self.may_be_empty && step.gives.is_collection()) || piece.may_empty;
        (self.variable, self.kind) = (given, step.gives);
    }

    /// The family's code, in place or as a function of its name.
    fn add_family(&mut self, draw: &mut Draw, family: &Family, piece: Piece) {
        if piece.needs_items {
            self.guard(draw);
        }
        self.take(&piece);
        let given = self.fresh(draw, &["result", "answer", "outcome"]);
        let code = piece.code.replace("$x", &self.variable).replace("$r", &given);
        if draw.once_in(2) {
            self.parts.push(Part::Code(code));
        } else {
            let arguments = family.takes.variables(&self.variable);
            let name = family.name;
            self.functions.push(format!("def {name}({arguments}):\n{}", indented(&returning(&code, &given))));
            self.parts.push(Part::Code(format!("{given} = {name}({arguments})")));
        }
        self.may_be_empty = (self.may_be_empty || piece.may_empty) && family.gives.is_collection();
        (self.variable, self.kind) = (given, family.gives);
    }

    fn add_printer(&mut self, draw: &mut Draw) {
        self.guard(draw);
        let printers: Vec<&Printer> = PRINTERS.iter().filter(|printer| printer.kind == self.kind).collect();
        let (printer, label) = (draw.pick(&printers), draw.pick(LABELS));
        self.sentences.push(printer.text.replace("$l", label));
        self.parts.push(Part::Code(printer.code.replace("$l", label).replace("$x", &self.variable)));
    }

    /// From here on the variable has items.
    fn guard(&mut self, draw: &mut Draw) {
        if std::mem::take(&mut self.may_be_empty) {
            let word = draw.pick(NOTHING);
            let what = match self.kind {
                Kind::Text => "the text is empty",
                Kind::Words => "there are no words left",
                _ => "nothing is left",
            };
            self.sentences.push(format!("If {what}, print {word} and do nothing more in this case."));
            self.parts.push(Part::Guard { variable: self.variable.clone(), word });
        }
    }

    fn description(&self, cases: bool) -> String {
        let reader = self.reader_text;
        let begin = if cases {
            format!(
                "Input: the first line holds the number of test cases. Each test case is {reader}.\n\n\
                 For each test case, in order, do the following:"
            )
        } else {
            format!("Input: {reader}.\n\nDo the following:")
        };
        let steps: Vec<String> =
            self.sentences.iter().enumerate().map(|(index, sentence)| format!("{}. {sentence}", index + 1)).collect();
        format!("{begin}\n{}", steps.join("\n"))
    }

    /// The whole text, as a flat script or in functions.
    fn code(&self, draw: &mut Draw, cases: bool) -> String {
        let mut blocks = Vec::new();
        let mut imports = self.imports.clone();
        imports.sort_unstable();
        imports.dedup();
        if !imports.is_empty() {
            blocks.push(imports.join("\n"));
        }
        blocks.extend(self.functions.iter().cloned());
        if cases {
            let name = draw.pick(&["solve", "handle_case", "run_case"]);
            blocks.push(format!("def {name}():\n{}", indented(&in_function(&self.parts))));
            blocks.push(match draw.range(0, 1) {
                0 => format!("for _ in range(int(input())):\n    {name}()"),
                _ => format!("cases = int(input())\nfor _ in range(cases):\n    {name}()"),
            });
        } else if draw.once_in(2) {
            blocks.push(flat(&self.parts));
        } else {
            blocks.push(format!("def main():\n{}", indented(&in_function(&self.parts))));
            let call = draw.pick(&["main()", "if __name__ == \"__main__\":\n    main()"]);
            blocks.push(call.to_string());
        }
        blocks.join("\n\n") + "\n"
    }
}

fn indented(code: &str) -> String {
    code.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// A function's body that ends by returning `name`, which the code sets last.
fn returning(code: &str, name: &str) -> String {
    let (before, last) = code.rsplit_once('\n').unwrap_or(("", code));
    match last.strip_prefix(&format!("{name} = ")) {
        Some(value) if !before.contains(name) && !value.contains(name) => {
            format!("{before}\nreturn {value}").trim_start_matches('\n').to_string()
        }
        _ => format!("{code}\nreturn {name}"),
    }
}

fn in_function(parts: &[Part]) -> String {
    let texts = parts.iter().map(|part| match part {
        Part::Code(code) => code.clone(),
        Part::Guard { variable, word } => format!("if not {variable}:\n    print(\"{word}\")\n    return"),
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Outside a function nothing returns: what follows a guard stands in its `else`.
fn flat(parts: &[Part]) -> String {
    let Some((part, rest)) = parts.split_first() else { return String::new() };
    let text = match part {
        Part::Code(code) => return [code.as_str(), &flat(rest)].join("\n").trim_end().to_string(),
        Part::Guard { variable, word } => format!("if not {variable}:\n    print(\"{word}\")\nelse:\n"),
    };
    text + &indented(&flat(rest))
}
