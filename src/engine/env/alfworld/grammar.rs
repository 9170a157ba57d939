//! The grammar in a game file: which dialect it is, and the sentence that names the task.
//!
//! TextWorld reads a grammar of two kinds of parts: `action NAME { template :: "…"; feedback :: "…"; … }` gives an
//! action its command, and `grammar :: """{…}"""` holds JSON rules for the texts. Like the [domain](super::domain), both
//! are recognised by hashes: the texts that we write are those of the rules recognised here.

use serde_json::{Map, Value};

use super::dialect::{Dialect, Wording};
use super::domain::fingerprint;

/// What a game file's grammar says.
#[derive(Debug, Clone, PartialEq)]
pub struct Grammar {
    pub dialect: Dialect,
    /// `Your task is to: …`
    pub sentence: String,
}

/// The commands, hashed as template, newline, feedback.
const COMMANDS: [(&str, &str); 13] = [
    ("look", "f2319374faa8ac02"),
    ("inventory", "163cdbc974c6e948"),
    ("examinereceptacle", "17b9d69477653607"),
    ("examineobject", "ca28c5f4df9ce130"),
    ("gotolocation", "ca05eb2c85669f2a"),
    ("openobject", "4720a6e029ad2567"),
    ("closeobject", "b8d6ff2252735b7c"),
    ("pickupobject", "cf04dccbde2f149f"),
    ("cleanobject", "3cd31aab170c2c67"),
    ("heatobject", "6c0fcb96988e86dc"),
    ("coolobject", "c0fea8265c11f482"),
    ("toggleobject", "22d952fb643819ac"),
    ("sliceobject", "84f079922ca65269"),
];

/// The rules, hashed as condition, newline, right-hand side of each alternative, joined by newlines.
const RULES: [(&str, &str); 21] = [
    ("intro", "1ed881825dea2cd1"),
    ("OpenObject.feedback", "8d61d5a1785da31c"),
    ("CloseObject.feedback", "c04ab5cc9ec27f12"),
    ("PickupObject.feedback", "51b13e4a72e77a66"),
    ("inventory.feedback", "1ff3fb0116abca3d"),
    ("examineReceptacle.feedback", "792d7e3966c68d77"),
    ("examineObject.feedback", "38741828aa5f8ac7"),
    ("toggleObject.feedback", "69ab5364d474ced8"),
    ("heatObject.feedback", "7d07d41fe6589c12"),
    ("cleanObject.feedback", "9c8829ecdb9a2605"),
    ("coolObject.feedback", "5d87bf16b722a930"),
    ("sliceObject.feedback", "01a3081b508125da"),
    ("look.feedback", "27c627d8bd1ea3c9"),
    ("look-variations", "83196fc7d38beae2"),
    ("list_objects_on_the_floor", "f8f91357b02ad41e"),
    ("list_appliances", "77d66f50886dd435"),
    ("overview(o)", "80f615cf690ce28c"),
    ("overview(r)", "c8bb3bb696a44f03"),
    ("list_empty", "57b877dbb6c0ee2a"),
    ("list_separator", "1d39b4f2e04c5bec"),
    ("list_last_separator", "21b7101a867c359c"),
];

/// The parts in which the dialects differ: their hashes up to 0.3.x and from 0.4.0 on.
const PUT_COMMAND: (&str, [&str; 2]) = ("putobject", ["4ba2e3a50fdc49f2", "82b4a42f11175906"]);
const PUT_RULE: (&str, [&str; 2]) = ("PutObject.feedback", ["37fd85873d6d04ac", "07dcae3382ca6922"]);
const ARRIVAL_RULE: (&str, [&str; 2]) = ("GotoLocation.feedback", ["d3f3d08f5747e7c9", "579adab63cb703f1"]);

const HELP_COMMAND: (&str, &str) = ("help", "6b2df96277e3e29d");
const HELP_RULE: (&str, &str) = ("help.feedback", "7dcf067bc4bbfefc");

pub fn read(text: &str) -> Result<Grammar, String> {
    let parts = Parts::read(text)?;
    for (name, expected) in COMMANDS {
        parts.check_command(name, expected)?;
    }
    for (name, expected) in RULES {
        parts.check_rule(name, expected)?;
    }
    let has_help = parts.commands.contains_key(HELP_COMMAND.0);
    if has_help {
        parts.check_command(HELP_COMMAND.0, HELP_COMMAND.1)?;
        parts.check_rule(HELP_RULE.0, HELP_RULE.1)?;
    }
    let dialect = Dialect {
        command: wording(&format!("the command of {}", PUT_COMMAND.0), &parts.command(PUT_COMMAND.0)?, PUT_COMMAND.1)?,
        report: wording(&format!("the rule {}", PUT_RULE.0), &parts.rule(PUT_RULE.0)?, PUT_RULE.1)?,
        arrival: wording(&format!("the rule {}", ARRIVAL_RULE.0), &parts.rule(ARRIVAL_RULE.0)?, ARRIVAL_RULE.1)?,
        has_help,
    };
    Ok(Grammar { dialect, sentence: parts.sentence()? })
}

fn wording(part: &str, text: &str, [put, moved]: [&str; 2]) -> Result<Wording, String> {
    match fingerprint(text) {
        hash if hash == put => Ok(Wording::Put),
        hash if hash == moved => Ok(Wording::Move),
        _ => Err(neither(part)),
    }
}

fn neither(part: &str) -> String {
    format!("{part} is of neither dialect (ALFWorld up to 0.3.x: put … in/on …; from 0.4.0 on: move … to …)")
}

/// A grammar taken apart.
#[derive(Default)]
struct Parts {
    /// Template and feedback of each action, by its name in lower case.
    commands: Map<String, Value>,
    rules: Map<String, Value>,
}

impl Parts {
    fn read(text: &str) -> Result<Self, String> {
        let mut parts = Parts::default();
        let mut reader = Reader { text, position: 0 };
        while !reader.at_end() {
            match reader.word()? {
                "grammar" => {
                    reader.expect("::")?;
                    parts.add_rules(reader.quoted()?)?;
                    reader.expect(";")?;
                }
                "action" => parts.add_action(&mut reader)?,
                other => return Err(format!("expected \"action\" or \"grammar\", got \"{other}\"")),
            }
        }
        Ok(parts)
    }

    fn add_action(&mut self, reader: &mut Reader) -> Result<(), String> {
        let name = reader.word()?.to_lowercase();
        let (mut template, mut feedback) = ("", "");
        reader.expect("{")?;
        while !reader.accept("}") {
            let key = reader.word()?;
            reader.expect("::")?;
            let value = reader.quoted()?;
            reader.expect(";")?;
            match key {
                "template" => template = value,
                "feedback" => feedback = value,
                "grammar" => self.add_rules(value)?,
                "pddl" => {}
                other => return Err(format!("action {name}: \"{other}\" is not known here")),
            }
        }
        self.commands.insert(name, Value::String(format!("{template}\n{feedback}")));
        Ok(())
    }

    fn add_rules(&mut self, json: &str) -> Result<(), String> {
        let rules: Map<String, Value> =
            serde_json::from_str(json).map_err(|e| format!("the rules are no JSON object: {e}"))?;
        self.rules.extend(rules);
        Ok(())
    }

    fn command(&self, name: &str) -> Result<String, String> {
        match self.commands.get(name).and_then(Value::as_str) {
            Some(text) => Ok(text.to_string()),
            None => Err(format!("the action {name} has no command")),
        }
    }

    fn rule(&self, name: &str) -> Result<String, String> {
        let missing = || format!("the rule {name} is missing");
        let alternatives = self.rules.get(name).and_then(Value::as_array).ok_or_else(missing)?;
        let field = |rule: &Value, key: &str| rule[key].as_str().unwrap_or_default().to_string();
        let lines: Vec<String> =
            alternatives.iter().map(|rule| format!("{}\n{}", field(rule, "condition"), field(rule, "rhs"))).collect();
        Ok(lines.join("\n"))
    }

    fn check_command(&self, name: &str, expected: &str) -> Result<(), String> {
        match fingerprint(&self.command(name)?) == expected {
            true => Ok(()),
            false => Err(neither(&format!("the command of {name}"))),
        }
    }

    fn check_rule(&self, name: &str, expected: &str) -> Result<(), String> {
        match fingerprint(&self.rule(name)?) == expected {
            true => Ok(()),
            false => Err(neither(&format!("the rule {name}"))),
        }
    }

    fn sentence(&self) -> Result<String, String> {
        let sentence = self.rules.get("task").and_then(|task| task[0]["rhs"].as_str());
        let sentence = sentence.ok_or("the rule task is missing")?;
        // These begin something other than plain text, and TextWorld would stop or compute there.
        match sentence.chars().find(|c| ";|\"<>[]#{}".contains(*c)) {
            Some(c) => Err(format!("the rule task: expected a plain sentence, got \"{c}\" in it")),
            None => Ok(sentence.trim_start().to_string()),
        }
    }
}

/// A place in the grammar's text.
struct Reader<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Reader<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.position..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.position += rest.len() - trimmed.len();
        trimmed
    }

    fn at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    fn line(&self) -> usize {
        self.text.get(..self.position).unwrap_or_default().lines().count().max(1)
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.position += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        match self.accept(token) {
            true => Ok(()),
            false => Err(format!("line {}: expected \"{token}\"", self.line())),
        }
    }

    fn word(&mut self) -> Result<&'a str, String> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            return Err(format!("line {}: expected a name", self.line()));
        }
        self.position += end;
        Ok(&rest[..end])
    }

    /// `"…"` on one line or `"""…"""` over several.
    fn quoted(&mut self) -> Result<&'a str, String> {
        let rest = self.rest();
        let mark = if rest.starts_with("\"\"\"") { "\"\"\"" } else { "\"" };
        let missing = || format!("line {}: expected a text in quotation marks", self.line());
        let inside = rest.strip_prefix(mark).ok_or_else(missing)?;
        let end = inside.find(mark).ok_or_else(missing)?;
        self.position += end + 2 * mark.len();
        Ok(&inside[..end])
    }
}
