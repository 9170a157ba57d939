//! Text in and out of a model: messages, tokenizer, chat template, and conversations as token ids.

pub mod conversation;
mod message;
pub mod template;
pub mod tokenizer;
pub mod train;
mod turns;

pub use conversation::Conversation;
pub use message::Message;
pub use template::ChatTemplate;
pub use tokenizer::Tokenizer;

/// Who may speak in a conversation that a model goes on with.
pub const ROLES: [&str; 4] = ["system", "user", "assistant", "tool"];

/// Refuses a message by anybody but `roles`, and names the nearest: templates print a role that they do not know as it is, or
/// leave its message out, without a word.
pub fn check_roles(messages: &[Message], roles: &[&str]) -> Result<(), String> {
    let Some(place) = messages.iter().position(|message| !roles.contains(&message.role.as_str())) else {
        return Ok(());
    };
    let role = &messages[place].role;
    let named: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
    let (last, others) = named.split_last().expect("there are roles");
    let likeness = |known: &str| strsim::jaro_winkler(&role.to_lowercase(), known);
    let nearest = roles.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let ending = match nearest.filter(|known| likeness(known) > 0.8) {
        Some(known) => format!(", did you mean `{known}`?"),
        None => String::new(),
    };
    Err(format!("message {}: expected role {} or {last}, got `{role}`{ending}", place + 1, others.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_is_none_is_refused_with_the_nearest() {
        let refused = |role: &str| check_roles(&[Message::user("x"), Message::new(role, "x")], &ROLES).unwrap_err();
        let expected = "message 2: expected role `system`, `user`, `assistant` or `tool`, got ";
        for (role, near) in [("usr", "user"), ("User", "user"), ("assistent", "assistant"), ("sytem", "system")] {
            assert_eq!(refused(role), format!("{expected}`{role}`, did you mean `{near}`?"));
        }
        for role in ["gpt", "human", ""] {
            assert_eq!(refused(role), format!("{expected}`{role}`"));
        }
        let all: Vec<Message> = ROLES.iter().map(|role| Message::new(role, "x")).collect();
        assert_eq!(check_roles(&all, &ROLES), Ok(()));
    }
}
