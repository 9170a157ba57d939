//! The action in a model's reply, by AgentGym's two rules.

use crate::engine::env::Parsed;
use crate::engine::env::python::{is_space, strip};

const MARK: &str = "Action:";

/// Rule A (WebShop, ALFWorld, ScienceWorld): what stands behind the last `Action:`, over several lines if need be.
/// Without a mark the action is empty, unless the reply looks like one of WebShop's actions: then it is all action.
pub fn last_action(reply: &str) -> String {
    let reply = reply.strip_suffix("</s>").unwrap_or(reply);
    let action = match reply.rsplit_once(MARK) {
        Some((_, action)) => action,
        None if reply.contains("search[") || reply.contains("click[") => reply,
        None => "",
    };
    strip(action).to_string()
}

/// Rule B (BabyAI, TextCraft): the rest of the line behind the only `Action:`, or the first line behind it that is not
/// blank, without what is neither an ASCII letter or digit nor a comma or a space. Two actions are a complaint; no
/// action is an empty one.
pub fn only_action(reply: &str) -> Parsed {
    let mut actions = Vec::new();
    let mut rest = reply;
    while let Some((_, after)) = rest.split_once(MARK) {
        let after = after.trim_start_matches(is_space);
        let end = after.find('\n').unwrap_or(after.len());
        actions.push(&after[..end]);
        rest = &after[end..];
    }
    match actions.as_slice() {
        [] => Parsed::Action(String::new()),
        [action] => Parsed::Action(cleaned(action)),
        _ => Parsed::Complaint(
            "Error: Only one 'Action' is allowed per response. Please adjust your response.".to_string(),
        ),
    }
}

fn cleaned(action: &str) -> String {
    let kept: String = action.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ',' | ' ')).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_a_takes_all_behind_the_last_mark() {
        for (reply, action) in [
            ("Thought:\nI think.\n\nAction:\nclick[Buy Now]", "click[Buy Now]"),
            ("Action: a\nAction:  go to\n desk 1 \n", "go to\n desk 1"),
            ("Action:\nlook</s>", "look"),
            ("I would search[red shoes] ", "I would search[red shoes]"),
            ("just click[x]</s>", "just click[x]"),
            ("no idea", ""),
            ("action: look", ""),
            ("Action:", ""),
            ("", ""),
        ] {
            assert_eq!(last_action(reply), action, "{reply:?}");
        }
    }

    // import re
    // found = re.findall(r"Action:\s*(.*?)(?=\n|$)", reply, re.DOTALL)
    // " ".join(re.sub(r"[^A-Za-z0-9, ]+", "", found[-1] if found else "").split()).strip()
    #[test]
    fn rule_b_takes_the_line_behind_the_only_mark() {
        for (reply, action) in [
            ("Thought:\nwood.\n\nAction:\nget 1 oak logs", "get 1 oak logs"),
            ("Action: get  2\toak-logs!\nand more", "get 2oaklogs"),
            ("Action:\n\n\n  [inventory].  \n", "inventory"),
            ("Action: first Action: second", "first Action second"),
            ("Action:\nAction: x", "Action x"),
            ("Action:\u{a0}\u{1f}\ncraft 1 é, 2 \"stick\"", "craft 1 , 2 stick"),
            ("inventory", ""),
            ("Action:", ""),
        ] {
            assert_eq!(only_action(reply), Parsed::Action(action.to_string()), "{reply:?}");
        }
    }

    #[test]
    fn rule_b_complains_of_two_actions() {
        let Parsed::Complaint(text) = only_action("Action: a\nThought: b\nAction: c") else {
            panic!("two actions were taken for one")
        };
        assert_eq!(text, "Error: Only one 'Action' is allowed per response. Please adjust your response.");
    }
}
