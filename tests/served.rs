//! What is said of a model that a server would show other text than training did.

use super::cli::{affine, code, stderr};

/// Runs a script in a folder of its own, with a tokenizer whose template leaves the thoughts of earlier turns out; what it said.
fn told(script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let preparation = r#"
        local fs, model, tokenizer = require "affine.fs", require "affine.model", require "affine.tokenizer"
        local tok = tokenizer.train({ "red red blue blue green green" }, { vocab_size = 280 })
        tok:save("thinker")
        fs.write("thinker/chat_template.jinja", [[
{%- for m in messages %}{% set c = m.content %}
{%- if m.role == 'assistant' and not loop.last and '</think>' in c %}{% set c = c.split('</think>')[-1] %}{% endif %}
{{- '<|im_start|>' + m.role + '\n' + c + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{% endif %}]])
        local thinker = tokenizer.load("thinker")
        local function made()
            return model.create { tokenizer = thinker, hidden_size = 16, intermediate_size = 16, num_hidden_layers = 1,
                num_attention_heads = 1, num_key_value_heads = 1, head_dim = 16 }
        end
        local function record(...)
            local messages = {}
            for _, reply in ipairs { ... } do
                messages[#messages + 1] = { role = "user", content = "red" }
                messages[#messages + 1] = { role = "assistant", content = reply }
            end
            return { messages = messages }
        end
        local thinking = "<think>\nred\n</think>\n\nblue"
    "#;
    std::fs::write(folder.path().join("script.lua"), format!("{preparation}\n{script}")).unwrap();
    let output = affine().current_dir(folder.path()).arg("script.lua").output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn sft_says_once_how_many_records_have_thoughts_that_are_not_served() {
    let text = told(
        r#"
        local data = { record(thinking, "green"), record("blue", thinking), record("a", thinking, "b"), record(thinking) }
        require("affine.trainer").sft(made(), { data = data, max_steps = 2, output_dir = "run" }):run()
        "#,
    );
    let sentence = "2 of 4 records have thoughts in earlier turns: they are trained with them, but this chat template shows a \
        served model earlier turns without";
    assert_eq!(text.matches(sentence).count(), 1, "{text}");
    let quiet = told(
        r#"
        local data = { record("blue", thinking), record(thinking) }
        require("affine.trainer").sft(made(), { data = data, max_steps = 1, output_dir = "run" }):run()
        "#,
    );
    assert!(!quiet.contains("thoughts"), "{quiet}");
}

#[test]
fn a_variable_that_the_template_does_not_have_is_named_once() {
    let text = told(
        r#"
        for _ = 1, 3 do
            thinker:preview(record("blue").messages, { chat_template_kwargs = { enable_thinkin = false } })
        end
        "#,
    );
    assert_eq!(text.matches("the chat template has no variable `enable_thinkin`").count(), 1, "{text}");
}
