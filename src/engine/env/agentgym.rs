//! How AgentGym's client reads an action out of a model's reply: rule B, which BabyAI and TextCraft share.

use std::sync::LazyLock;

use regex::Regex;

use super::Parsed;

const ONE_ACTION: &str = "Error: Only one 'Action' is allowed per response. Please adjust your response.";

/// The first line with text behind `Action:`, reduced to letters, digits, commas and single blanks. No `Action:` is the
/// empty action; more than one is a complaint.
pub fn sanitised_action(reply: &str) -> Parsed {
    // Python: re.findall(r"Action:\s*(.*?)(?=\n|$)", reply, re.DOTALL). A match that ends at a line's end lies within
    // that line; Python's `$` also matches before a last line break, which `\n` covers.
    static ACTION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"Action:[\s\x1c-\x1f]*([^\n]*)").expect("the pattern is valid"));
    let mut found = ACTION.captures_iter(reply);
    let action = found.next().map(|first| first[1].to_string()).unwrap_or_default();
    if found.next().is_some() {
        return Parsed::Complaint(ONE_ACTION.to_string());
    }
    let kept: String = action.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ',' | ' ')).collect();
    Parsed::Action(kept.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(reply: &str) -> String {
        match sanitised_action(reply) {
            Parsed::Action(action) => action,
            Parsed::Complaint(text) => panic!("{text}"),
        }
    }

    #[test]
    fn the_action_is_the_first_line_with_text_behind_the_word() {
        assert_eq!(action("Thought:\nI go.\n\nAction:\n\n  turn left \nand more"), "turn left");
        assert_eq!(action("Action: go to red ball 1</s>"), "go to red ball 1s");
        assert_eq!(action("Action:turn  \"right\"."), "turn right");
        assert_eq!(action("Action: get 2 oak_planks, now"), "get 2 oakplanks, now");
        assert_eq!(action("Action: go\tto é 1\r"), "goto 1");
    }

    #[test]
    fn no_action_is_the_empty_action() {
        assert_eq!(action("I do not know."), "");
        assert_eq!(action(""), "");
        assert_eq!(action("Action:"), "");
        assert_eq!(action("Action: \n \n"), "");
        assert_eq!(action("action: turn left"), "");
    }

    #[test]
    fn more_than_one_action_is_a_complaint() {
        let complaint = Parsed::Complaint(ONE_ACTION.to_string());
        assert_eq!(sanitised_action("Action: a\nAction: b"), complaint);
        assert_eq!(sanitised_action("Action:\nturn left\n\nThought: then\nAction:"), complaint);
        assert_eq!(action("Action: a Action: b"), "a Action b", "within a line there is one");
        assert_eq!(action("Action:\nAction: b"), "Action b", "the first one's text is the second");
    }
}
