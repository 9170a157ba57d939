//! Chat templates against transformers, and conversations as ids.

use affine::engine::text::{ChatTemplate, Conversation, Message, Tokenizer};
use serde_json::{Map, Value};

use super::golden;

fn ids(value: &Value) -> Vec<i64> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The recorded tokenizer with its ChatML template.
fn chatml() -> Tokenizer {
    Tokenizer::load(golden::path("parity/model-tiny")).unwrap()
}

/// The recorded tokenizer with a template of one's own.
fn with_template(template: &str) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    chatml().save(folder.path()).unwrap();
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

fn qwen3() -> Tokenizer {
    with_template(&std::fs::read_to_string(golden::path("chat/qwen3.jinja")).unwrap())
}

fn render(tokenizer: &Tokenizer, messages: &[Message], prompt: bool) -> String {
    tokenizer.template().unwrap().render(messages, prompt, &Map::new()).unwrap()
}

/// The text of the trained tokens, span by span.
fn trained(tokenizer: &Tokenizer, conversation: &Conversation) -> Vec<String> {
    let shown = conversation.show(tokenizer).unwrap();
    shown.split('⟦').skip(1).map(|span| span.split('⟧').next().unwrap().to_string()).collect()
}

fn system(content: &str) -> Message {
    Message::new("system", content)
}

#[test]
fn the_recorded_models_templates_render_and_tokenise_as_in_transformers() {
    for name in ["tiny", "odd"] {
        let tokenizer = Tokenizer::load(golden::path(&format!("parity/model-{name}"))).unwrap();
        let reference = golden::json(&format!("parity/reference-{name}/reference.json"));
        let cases = reference["chat"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).unwrap();
            let text = render(&tokenizer, &messages, case["add_generation_prompt"].as_bool().unwrap());
            assert_eq!(text, case["text"].as_str().unwrap());
            assert_eq!(tokenizer.encode(&text).unwrap(), ids(&case["ids"]));
        }
    }
}

#[test]
fn qwen3s_templates_render_every_recorded_conversation_as_in_transformers() {
    let tokenizer = chatml();
    let cases = golden::json("chat/qwen3.json");
    let (mut rendered, mut plain) = (0, 0);
    for case in cases.as_array().unwrap() {
        let mut messages = case["messages"].as_array().unwrap().clone();
        for message in &mut messages {
            // transformers copies this field before it renders.
            if let Some(reasoning) = message.get("reasoning").cloned() {
                message["reasoning_content"] = reasoning;
            }
        }
        let mut options = case["options"].as_object().unwrap().clone();
        let prompt = options.remove("add_generation_prompt").is_some_and(|p| p == true);
        options.insert("tools".into(), case["tools"].clone());
        for name in ["qwen3", "qwen3_training"] {
            let source = std::fs::read_to_string(golden::path(&format!("chat/{name}.jinja"))).unwrap();
            let template = ChatTemplate::new(&source, Map::new()).unwrap();
            let text = template.render_json(&messages, prompt, &options).unwrap();
            let expected = case["text"][name].as_str().unwrap();
            assert_eq!(text, expected, "{} with {name}", case["name"]);
            rendered += 1;
            if let Ok(messages) = serde_json::from_value::<Vec<Message>>(messages.clone().into()) {
                assert_eq!(template.render(&messages, prompt, &options).unwrap(), expected);
                plain += 1;
            }
            if name == "qwen3" {
                assert_eq!(tokenizer.encode(&text).unwrap(), ids(&case["ids"]), "{}", case["name"]);
            }
        }
    }
    assert_eq!((rendered, plain), (64, 40));
}

#[test]
fn a_record_has_the_ids_of_its_whole_rendering_and_trains_content_and_end_token() {
    let tokenizer = chatml();
    let messages = [
        system("Be brief."),
        Message::user("2 + 2 = ?\n\nExplain."),
        Message::assistant("It's 4."),
        Message::user("\n  日本語 and naïve 🙂\n"),
        Message::assistant(" Réponse\n\nfin. "),
        Message::assistant("More."),
        Message::user("one"),
        system("two"),
        Message::user("three"),
        Message::assistant(""),
    ];
    let conversation = Conversation::encode_record(&tokenizer, &messages).unwrap();
    let text = render(&tokenizer, &messages, false);
    assert_eq!(conversation.ids(), tokenizer.encode(text.strip_suffix('\n').unwrap()).unwrap());
    assert_eq!(conversation.mask().len(), conversation.len());
    assert_eq!(
        trained(&tokenizer, &conversation),
        ["It's 4.<|im_end|>", " Réponse\n\nfin. <|im_end|>", "More.<|im_end|>", "<|im_end|>"]
    );
}

#[test]
fn a_trajectory_and_the_record_of_the_same_turns_have_the_same_ids_and_mask() {
    for tokenizer in [chatml(), qwen3()] {
        let opening = [system("Play."), Message::user("A door.")];
        let mut played = Conversation::open(&tokenizer, &opening).unwrap();
        assert_eq!(played.ids(), tokenizer.encode(&render(&tokenizer, &opening, true)).unwrap());
        assert_eq!(played.trained(), 0);
        let end = tokenizer.end_of_turn_id().unwrap();
        played.push_reply(&[tokenizer.encode("<think>\n\n</think>\n\nopen").unwrap(), vec![end]].concat());
        played.push_observation(&tokenizer, "It is open.\n").unwrap();
        played.push_reply(&[tokenizer.encode("go").unwrap(), vec![end]].concat());

        let messages = [
            opening[0].clone(),
            opening[1].clone(),
            Message::assistant("<think>\n\n</think>\n\nopen"),
            Message::user("It is open.\n"),
            Message::assistant("go"),
        ];
        assert_eq!(played, Conversation::encode_record(&tokenizer, &messages).unwrap());
    }
}

#[test]
fn ids_once_sampled_are_kept_even_where_their_text_tokenises_otherwise() {
    let tokenizer = chatml();
    let letters = [39, 68, 75, 75, 78];
    assert_eq!(tokenizer.decode(&letters, false).unwrap(), "Hello");
    assert_ne!(tokenizer.encode("Hello").unwrap(), letters);
    let mut conversation = Conversation::open(&tokenizer, &[Message::user("Hi")]).unwrap();
    let opened = conversation.ids().to_vec();
    conversation.push_reply(&letters);
    conversation.push_observation(&tokenizer, "Go on.").unwrap();
    assert_eq!(conversation.ids()[..opened.len()], opened);
    assert_eq!(conversation.ids()[opened.len()..][..5], letters);
}

#[test]
fn a_reply_cut_by_its_length_is_ended_untrained_and_a_whole_one_is_not_ended_twice() {
    let tokenizer = chatml();
    let end = tokenizer.end_of_turn_id().unwrap();
    let play = |reply: &[i64]| {
        let mut conversation = Conversation::open(&tokenizer, &[Message::user("Hi")]).unwrap();
        conversation.push_reply(reply);
        conversation.push_observation(&tokenizer, "Go on.").unwrap();
        conversation
    };
    let (cut, whole) = (play(&[39, 72]), play(&[39, 72, end]));
    assert_eq!(cut.ids(), whole.ids());
    assert_eq!((cut.trained(), whole.trained()), (2, 3));
    assert_eq!(
        whole.show(&tokenizer).unwrap(),
        format!(
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n⟦Hi<|im_end|>⟧\n<|im_start|>user\nGo on.<|im_end|>\n\
             <|im_start|>assistant\n\n3 of {} tokens are trained",
            whole.len()
        )
    );
    assert!(cut.show(&tokenizer).unwrap().contains("⟦Hi⟧<|im_end|>\n"));
}

#[test]
fn assistant_turns_of_the_opening_are_part_of_the_prompt() {
    let tokenizer = chatml();
    let opening = [Message::user("Rules."), Message::assistant("OK."), Message::user("A door.")];
    let conversation = Conversation::open(&tokenizer, &opening).unwrap();
    assert_eq!(conversation.trained(), 0);
    assert_eq!(tokenizer.decode(conversation.ids(), false).unwrap(), render(&tokenizer, &opening, true));
}

#[test]
fn earlier_thinking_stays_in_a_trajectory_although_qwen3s_template_would_drop_it() {
    let tokenizer = qwen3();
    let thinking = "<think>\nFirst, look.\n</think>\n\nA.";
    let messages = [Message::user("a?"), Message::assistant(thinking), Message::user("b?"), Message::assistant("B.")];
    assert!(!render(&tokenizer, &messages, false).contains("First, look."));
    let conversation = Conversation::encode_record(&tokenizer, &messages).unwrap();
    assert_eq!(
        tokenizer.decode(conversation.ids(), false).unwrap(),
        format!(
            "<|im_start|>user\na?<|im_end|>\n<|im_start|>assistant\n{thinking}<|im_end|>\n\
             <|im_start|>user\nb?<|im_end|>\n<|im_start|>assistant\nB.<|im_end|>"
        )
    );
}

#[test]
fn pre_training_texts_train_every_token_after_the_first() {
    let tokenizer = chatml();
    let messages = [Message::user("Hi"), Message::assistant("Yes")];
    let conversation = Conversation::encode_all(&tokenizer, &messages).unwrap();
    assert_eq!(conversation.ids(), tokenizer.encode(&render(&tokenizer, &messages, false)).unwrap());
    assert!(!conversation.mask()[0]);
    assert_eq!(conversation.trained(), conversation.len() - 1);
    let text = Conversation::encode_text(&tokenizer, "Hello there").unwrap();
    assert_eq!(text.ids(), tokenizer.encode("Hello there").unwrap());
    assert_eq!(text.trained(), text.len() - 1);
    assert!(Conversation::encode_text(&tokenizer, "").unwrap().is_empty());
}

#[test]
fn records_that_cannot_be_trained_are_refused() {
    let tokenizer = chatml();
    let error = |messages: &[Message]| Conversation::encode_record(&tokenizer, messages).unwrap_err().to_string();
    assert_eq!(error(&[Message::user("Hi")]), "a record needs an assistant message to train on, got none");
    assert_eq!(error(&[Message::assistant("Hi")]), "a conversation must open with a system or user message, got none");
}

#[test]
fn templates_that_do_not_work_turn_by_turn_are_refused_in_one_sentence() {
    let error = |template: &str| with_template(template).end_of_turn_id().unwrap_err().to_string();
    let upper = "{% for m in messages %}<|im_start|>{{ m.content | upper }}<|im_end|>{% endfor %}";
    assert!(error(upper).starts_with("the chat template cannot be used turn by turn"), "{}", error(upper));
    let last = "{{ messages[-1].content }}<|im_end|>";
    assert!(error(last).starts_with("the chat template cannot be used turn by turn"));
    let plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    assert_eq!(
        error(plain),
        "the chat template ends an assistant turn with \"\\nuser: \": expected a special token of the tokenizer first"
    );
}
