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

/// ChatML in which every assistant turn has a thought, and whose generation prompt opens it.
const THINKS_ALWAYS: &str = "\
{%- for m in messages -%}
  {%- set text = m.content -%}
  {%- if m.role == 'assistant' -%}
    {%- set thought = '' -%}
    {%- if '</think>' in text -%}
      {%- set thought = text.split('</think>')[0].split('<think>')[-1].strip('\\n') -%}
      {%- set text = text.split('</think>')[-1].lstrip('\\n') -%}
    {%- endif -%}
    {{- '<|im_start|>assistant\\n<think>\\n' + thought + '\\n</think>\\n\\n' + text + '<|im_end|>\\n' -}}
  {%- else -%}
    {{- '<|im_start|>' + m.role + '\\n' + text + '<|im_end|>\\n' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n<think>\\n' -}}{%- endif -%}";

/// Qwen3's template with the generation prompt of its Thinking models (Qwen3-4B-Thinking-2507), which is all that differs.
fn qwen3_thinking() -> Tokenizer {
    let source = std::fs::read_to_string(golden::path("chat/qwen3.jinja")).unwrap();
    let (turns, prompt) = source.split_once("{%- if add_generation_prompt %}").unwrap();
    assert!(prompt.contains("enable_thinking"));
    with_template(&format!(
        "{turns}{{%- if add_generation_prompt %}}{{{{- '<|im_start|>assistant\\n<think>\\n' }}}}{{%- endif %}}"
    ))
}

fn shown(tokenizer: &Tokenizer, messages: &[Message], kwargs: Value) -> String {
    let conversation = Conversation::encode_record_with(tokenizer, messages, kwargs.as_object().unwrap()).unwrap();
    conversation.show(tokenizer).unwrap().rsplit_once('\n').unwrap().0.to_string()
}

fn plain(tokenizer: &Tokenizer, messages: &[Message]) -> String {
    shown(tokenizer, messages, serde_json::json!({}))
}

const ASKED: &str = "<|im_start|>user\n17*24?<|im_end|>\n";

fn answered(content: &str) -> [Message; 2] {
    [Message::user("17*24?"), Message::assistant(content)]
}

#[test]
fn a_thought_that_the_generation_prompt_opens_is_opened_once_and_closed_where_a_record_has_none() {
    for tokenizer in [with_template(THINKS_ALWAYS), qwen3_thinking()] {
        let prompt = format!("{ASKED}<|im_start|>assistant\n<think>\n");
        let thought = "<think>\nmultiply\n</think>\n\n408";
        for (content, reply) in [
            (thought, "multiply\n</think>\n\n408"),
            ("<think>multiply</think>408", "multiply\n</think>\n\n408"),
            ("408", "\n</think>\n\n408"),
            ("<think>\n\n</think>\n\n408", "\n</think>\n\n408"),
            // Cut by its length: what is not ended is not ended by anybody else.
            ("<think>\nmulti", "multi"),
        ] {
            assert_eq!(plain(&tokenizer, &answered(content)), format!("{prompt}⟦{reply}<|im_end|>⟧"), "{content:?}");
        }
        // The template's own rendering, where it does not leave out earlier thoughts.
        let whole = render(&tokenizer, &answered(thought), false);
        let encoded = Conversation::encode_record(&tokenizer, &answered(thought)).unwrap();
        assert_eq!(format!("{}\n", tokenizer.decode(encoded.ids(), false).unwrap()), whole);
    }
}

#[test]
fn turns_after_an_opened_thought_extend_what_was_said() {
    let tokenizer = qwen3_thinking();
    let messages = [
        &answered("<think>\nmultiply\n</think>\n\n408")[..],
        &[Message::user("sure?"), Message::assistant("Yes.")],
        &[Message::user("really?"), Message::assistant("<think>\nyes\n</think>\n\nYes!")],
    ]
    .concat();
    let head = "<|im_start|>assistant\n<think>\n";
    let text = format!(
        "{ASKED}{head}⟦multiply\n</think>\n\n408<|im_end|>⟧\n<|im_start|>user\nsure?<|im_end|>\n\
         {head}⟦\n</think>\n\nYes.<|im_end|>⟧\n<|im_start|>user\nreally?<|im_end|>\n{head}⟦yes\n</think>\n\nYes!<|im_end|>⟧"
    );
    assert_eq!(plain(&tokenizer, &messages), text);

    // A trajectory of the same turns has the same ids; the model's words are continuations of the prompt's.
    let end = tokenizer.end_of_turn_id().unwrap();
    let mut played = Conversation::open(&tokenizer, &messages[..1]).unwrap();
    for (place, said) in [(2, "multiply\n</think>\n\n408"), (4, "\n</think>\n\nYes."), (6, "yes\n</think>\n\nYes!")] {
        played.push_reply(&[tokenizer.encode(said).unwrap(), vec![end]].concat());
        let whole = tokenizer.whole_reply(said.to_string(), &Map::new());
        assert_eq!(whole, format!("<think>\n{said}"));
        let mut so_far = messages[..place].to_vec();
        so_far[place - 1] = Message::assistant(whole);
        let record = Conversation::encode_record(&tokenizer, &so_far).unwrap();
        assert_eq!(record, played);
        if let Some(next) = messages.get(place) {
            played.push_observation(&tokenizer, &next.content).unwrap();
            so_far.push(next.clone());
            assert_eq!(Conversation::go_on(&tokenizer, &so_far, &Map::new()).unwrap().ids(), played.ids());
        }
    }
}

#[test]
fn variables_of_the_template_decide_how_a_record_is_rendered() {
    let off = || serde_json::json!({ "enable_thinking": false });
    let head = "<|im_start|>assistant\n";
    let tokenizer = qwen3();
    let closed = format!("{ASKED}{head}<think>\n\n</think>\n\n⟦408<|im_end|>⟧");
    assert_eq!(shown(&tokenizer, &answered("408"), off()), closed);
    assert_eq!(shown(&tokenizer, &answered("<think>\n\n</think>\n\n408"), off()), closed);
    // The prompt closes the thought that this record has: what it has in common with the turn is the prompt.
    assert_eq!(
        shown(&tokenizer, &answered("<think>\nmultiply\n</think>\n\n408"), off()),
        format!("{ASKED}{head}<think>\n⟦multiply\n</think>\n\n408<|im_end|>⟧")
    );
    assert_eq!(plain(&tokenizer, &answered("408")), format!("{ASKED}{head}⟦408<|im_end|>⟧"));
    assert_eq!(tokenizer.whole_reply("408".into(), off().as_object().unwrap()), "408");
}

#[test]
fn whatever_a_generation_prompt_opens_a_record_is_rendered_as_its_turn() {
    // Thoughts are left out of every turn (DeepSeek-R1): one in a record is kept, where the prompt opens it.
    let drops = "{%- for m in messages %}{% set c = m.content %}{% if '</think>' in c %}{% set c = c.split('</think>')[-1] %}\
        {% endif %}{{- '<|im_start|>' + m.role + '\\n' + c + '<|im_end|>\\n' }}{% endfor %}\
        {%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{% endif %}";
    let tokenizer = with_template(drops);
    let head = format!("{ASKED}<|im_start|>assistant\n");
    assert_eq!(
        plain(&tokenizer, &answered("<think>\nmultiply\n</think>\n\n408")),
        format!("{head}<think>\n⟦multiply\n</think>\n\n408<|im_end|>⟧")
    );
    assert_eq!(plain(&tokenizer, &answered("408")), format!("{head}⟦408<|im_end|>⟧"));
    assert_eq!(tokenizer.whole_reply("hm</think>408".into(), &Map::new()), "<think>\nhm</think>408");

    // A thought that the prompt closes too is no part of a reply, whether or not turns have it.
    let closes = drops.replace("<think>\\n'", "<think>\\n\\n</think>\\n\\n'");
    let tokenizer = with_template(&closes);
    assert_eq!(plain(&tokenizer, &answered("408")), format!("{head}<think>\n\n</think>\n\n⟦408<|im_end|>⟧"));
    assert_eq!(tokenizer.whole_reply("408".into(), &Map::new()), "408");

    // A channel for thoughts, where answers have another one.
    let channels = "{%- for m in messages %}{{- '<|im_start|>' + m.role }}{% if m.role == 'assistant' %}\
        {{- '<|channel|>final' }}{% endif %}{{- '<|message|>' + m.content + '<|im_end|>' }}{% endfor %}\
        {%- if add_generation_prompt %}{{- '<|im_start|>assistant<|channel|>analysis<|message|>' }}{% endif %}";
    assert_eq!(
        plain(&with_template(channels), &answered("408")),
        "<|im_start|>user<|message|>17*24?<|im_end|><|im_start|>assistant<|channel|>⟦final<|message|>408<|im_end|>⟧"
    );
}

#[test]
fn a_template_that_strips_contents_or_begins_with_a_token_of_its_own_is_followed() {
    let strips = "<|endoftext|>{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' + m.content | trim + '<|im_end|>\\n' }}\
        {%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}";
    let tokenizer = with_template(strips);
    let messages = [
        Message::user(" 17*24?\n"),
        Message::assistant("\n 408 \n"),
        Message::user("\nsure? "),
        Message::assistant(" Yes."),
    ];
    let record = Conversation::encode_record(&tokenizer, &messages).unwrap();
    let whole = render(&tokenizer, &messages, false);
    assert_eq!(record.ids(), tokenizer.encode(whole.trim_end()).unwrap());
    assert_eq!(trained(&tokenizer, &record), ["408<|im_end|>", "Yes.<|im_end|>"]);
    let mut played = Conversation::open(&tokenizer, &messages[..1]).unwrap();
    played.push_reply(&tokenizer.encode("408").unwrap());
    played.push_observation(&tokenizer, "\nsure? ").unwrap();
    assert_eq!(tokenizer.decode(played.ids(), false).unwrap(), render(&tokenizer, &messages[..3], true));
}

#[test]
fn thoughts_that_a_server_would_leave_out_are_found() {
    let of = |tokenizer: &Tokenizer, contents: &[&str]| {
        let messages: Vec<Message> =
            contents.iter().flat_map(|content| [Message::user("?"), Message::assistant(*content)]).collect();
        tokenizer.drops_thoughts_of(&messages, &Map::new())
    };
    let thinking = "<think>\nhm\n</think>\n\na";
    for tokenizer in [qwen3(), qwen3_thinking()] {
        assert!(of(&tokenizer, &[thinking, "b"]));
        assert!(!of(&tokenizer, &["a", thinking]), "the last turn keeps its own");
        assert!(!of(&tokenizer, &[thinking]));
    }
    for tokenizer in [chatml(), with_template(THINKS_ALWAYS)] {
        assert!(!of(&tokenizer, &[thinking, "b"]), "this template shows all thoughts");
    }
}
