//! The protocol of py4j 0.10 as text: commands to the Java process, and its replies. One reply line per command.
//!
//! A command is a few lines: `i` makes an object, `c` calls a method of an object (`o0`) or a static one
//! (`z:java.lang.String`), `m` with `d` lets a reference go. A reply is `!y` and a value, or `!x` and an exception.

/// An argument of a call.
pub enum Argument<'a> {
    Text(&'a str),
    Int(u32),
    Bool(bool),
    /// The id of an object of the Java process.
    Object(&'a str),
}

/// What a call returned.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Nothing,
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    /// The id of an object (a list, say) that stays alive until it is released.
    Object(String),
}

pub fn construct(class: &str) -> String {
    format!("i\n{class}\ne\n")
}

pub fn call(target: &str, method: &str, arguments: &[Argument]) -> String {
    let mut command = format!("c\n{target}\n{method}\n");
    for argument in arguments {
        match argument {
            Argument::Text(text) => {
                command.push('s');
                push_escaped(&mut command, text);
            }
            Argument::Int(number) => command.push_str(&format!("i{number}")),
            Argument::Bool(truth) => command.push_str(if *truth { "bTrue" } else { "bFalse" }),
            Argument::Object(id) => command.push_str(&format!("r{id}")),
        }
        command.push('\n');
    }
    command.push_str("e\n");
    command
}

pub fn release(object: &str) -> String {
    format!("m\nd\n{object}\ne\n")
}

/// A string stands on one line.
fn push_escaped(command: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => command.push_str("\\\\"),
            '\n' => command.push_str("\\n"),
            '\r' => command.push_str("\\r"),
            c => command.push(c),
        }
    }
}

/// Why a reply line gives no value.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// The first line of the text of an exception in py4j itself.
    Exception(String),
    /// An exception that the called method threw, as the id of that object.
    Thrown(String),
    /// No reply of this protocol.
    Unreadable,
}

/// The value in a reply line, which comes without its line break.
pub fn read(line: &str) -> Result<Value, Refusal> {
    if let Some(thrown) = line.strip_prefix("!xr") {
        return Err(Refusal::Thrown(thrown.to_string()));
    }
    if let Some(exception) = line.strip_prefix("!x") {
        let text = unescaped(exception.strip_prefix('s').unwrap_or(exception));
        return Err(Refusal::Exception(text.lines().next().unwrap_or_default().to_string()));
    }
    let value = line.strip_prefix("!y").ok_or(Refusal::Unreadable)?;
    let mut chars = value.chars();
    let kind = chars.next().ok_or(Refusal::Unreadable)?;
    let text = chars.as_str();
    let readable = match kind {
        'v' | 'n' => Some(Value::Nothing),
        's' => Some(Value::Text(unescaped(text))),
        'i' | 'L' => text.parse().ok().map(Value::Int),
        'd' => text.parse().ok().map(Value::Double),
        'b' => text.parse().ok().map(Value::Bool),
        // An object, a list, a set, an array, a map, an iterator.
        'r' | 'l' | 'h' | 't' | 'a' | 'g' => Some(Value::Object(text.to_string())),
        _ => None,
    };
    readable.ok_or(Refusal::Unreadable)
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_line_for_each_argument() {
        let arguments = [Argument::Text("boil"), Argument::Int(3), Argument::Text(""), Argument::Bool(false)];
        assert_eq!(call("o0", "load", &arguments), "c\no0\nload\nsboil\ni3\ns\nbFalse\ne\n");
        assert_eq!(call("o0", "f", &[Argument::Object("o7"), Argument::Bool(true)]), "c\no0\nf\nro7\nbTrue\ne\n");
        assert_eq!((construct("a.B"), release("o7")), ("i\na.B\ne\n".into(), "m\nd\no7\ne\n".into()));
    }

    #[test]
    fn whatever_a_text_holds_it_stays_on_one_line_and_comes_back() {
        for text in ["a\nb", "a\r\nb\\n", "\\", "\\\\n", "", "e", "\0\t\u{85}\u{2028}é 漢 😀"] {
            let command = call("o0", "step", &[Argument::Text(text)]);
            let line = command.split('\n').nth(3).unwrap();
            assert!(!line.contains('\r'));
            assert_eq!(read(&format!("!y{line}")), Ok(Value::Text(text.to_string())), "{text:?}");
        }
    }

    #[test]
    fn replies_of_every_type_are_read() {
        for (line, value) in [
            ("!yv", Value::Nothing),
            ("!yn", Value::Nothing),
            ("!yi-12", Value::Int(-12)),
            ("!yd0.03333333333333333", Value::Double(1.0 / 30.0)),
            ("!ybtrue", Value::Bool(true)),
            ("!yro0", Value::Object("o0".into())),
            ("!ylo12", Value::Object("o12".into())),
        ] {
            assert_eq!(read(line), Ok(value));
        }
        let exception = read("!xspy4j.Py4JException: Method f([]) does not exist\\n\tat x\\n");
        assert_eq!(exception, Err(Refusal::Exception("py4j.Py4JException: Method f([]) does not exist".into())));
        assert_eq!(read("!xro4"), Err(Refusal::Thrown("o4".into())));
        for line in ["", "!", "!y", "!yi", "!yiX", "!ybTrue", "!yq", "HTTP/1.1 400 Bad Request"] {
            assert_eq!(read(line), Err(Refusal::Unreadable), "{line}");
        }
    }
}
