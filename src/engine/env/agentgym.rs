//! AgentGym's conventions, shared by the environments that follow it: how the action is read out of a reply.
//!
//! The rules are those of its controller (WooooDyy/AgentGym at 3ef9235, `agentenv/controller/utils.py`), in our words.

/// What AgentGym's second turn answers to the instructions.
pub const ACKNOWLEDGEMENT: &str = "OK. I'll follow your instructions and try my best to solve the task.";

/// The action in a reply of the form `Thought: … Action: …` (WebShop, ALFWorld, ScienceWorld): what follows the last
/// `Action:`, trimmed, over as many lines as it has. A reply without that word is an empty action, unless it holds
/// `search[` or `click[`: then all of it is the action. One `</s>` at the end is dropped; upstream's client drops the
/// character before it too, which is not followed here.
pub fn react_action(reply: &str) -> &str {
    let reply = reply.strip_suffix("</s>").unwrap_or(reply);
    match reply.rsplit_once("Action:") {
        Some((_, action)) => action.trim(),
        None if reply.contains("search[") || reply.contains("click[") => reply.trim(),
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_is_what_follows_the_last_action_word() {
        for (reply, action) in [
            ("Thought:\nI see.\n\nAction:\ngo to desk 1", "go to desk 1"),
            ("Action: look </s>", "look"),
            ("Action: look</s>", "look"),
            ("Action: look</s>\n", "look</s>"),
            ("Action: a\nAction: b", "b"),
            ("Action:\nfirst line\nsecond line\n", "first line\nsecond line"),
            ("Action:", ""),
            ("go to desk 1", ""),
            ("action: look", ""),
            (" click[buy now] ", "click[buy now]"),
            ("I search[red shoes]", "I search[red shoes]"),
            ("", ""),
        ] {
            assert_eq!(react_action(reply), action, "{reply:?}");
        }
    }
}
