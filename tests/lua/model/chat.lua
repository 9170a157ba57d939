-- Chatting through a template: variables, a thought that the prompt opens, earlier turns as they were said.
local env = require("affine.env")
local fs = require("affine.fs")
local model = require("affine.model")
local path = require("affine.path")
local test = require("affine.test")
local tokenizer = require("affine.tokenizer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()

--- The tiny tokenizer with a template, and a model that speaks through it.
local function speaking(name, template)
  local there = path.join(folder, name)
  tiny.tokenizer:save(there)
  fs.write(path.join(there, "chat_template.jinja"), template)
  local tok = tokenizer.load(there)
  return tok, tiny.model { tokenizer = tok, max_position_embeddings = 1024 }
end

-- Earlier thoughts are left out, as Qwen3's template does; `enable_thinking = false` closes one in the prompt.
local DROPS = [[
{%- for m in messages %}
{%- set c = m.content %}
{%- if m.role == 'assistant' and '</think>' in c and not loop.last %}{% set c = c.split('</think>')[-1].lstrip('\n') %}{% endif %}
{{- '<|im_start|>' + m.role + '\n' + c + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}]]

local ALWAYS = DROPS:gsub("enable_thinking is defined and not enable_thinking", "true")
local OPENS = ALWAYS:gsub("\\n</think>\\n\\n'", "'")

local said = {
  { role = "user", content = "red" },
  { role = "assistant", content = "<think>\nblue\n</think>\n\ngreen" },
  { role = "user", content = "one" },
}
local greedy = { max_new_tokens = 8, temperature = 0 }

local function with(changes)
  local options = {}
  for _, some in ipairs { greedy, changes or {} } do
    for key, value in pairs(some) do
      options[key] = value
    end
  end
  return options
end

describe("model:chat", function()
  it("renders earlier turns, or has them as training does", function()
    local tok, m = speaking("drops", DROPS)
    local turn = "<|im_start|>%s\n%s<|im_end|>\n"
    local function prompt(reply)
      local turns =
        { turn:format("user", "red"), turn:format("assistant", reply), turn:format("user", "one") }
      return table.concat(turns) .. "<|im_start|>assistant\n"
    end
    expect(tok:chat(said, { add_generation_prompt = true })):equals(prompt("green"))
    local replies = m:generate({ prompt("green"), prompt(said[2].content) }, greedy)
    expect(m:chat(said, greedy)):equals(replies[1].text)
    expect(m:chat(said, with { as_trained = true })):equals(replies[2].text)
    -- The two prompts, by their length.
    local short <close> = tiny.model { tokenizer = tok, max_position_embeddings = 8 }
    for reply, options in pairs { green = {}, [said[2].content] = { as_trained = true } } do
      expect(function()
        short:chat(said, options)
      end):raises(("prompt 1 has %d tokens"):format(#tok:encode(prompt(reply))))
    end
  end)

  it("gives the template its variables", function()
    local tok, m = speaking("drops", DROPS)
    local off = { chat_template_kwargs = { enable_thinking = false } }
    local question = { said[1] }
    local prompt = "<|im_start|>user\nred<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    local options = { add_generation_prompt = true, chat_template_kwargs = off.chat_template_kwargs }
    expect(tok:chat(question, options)):equals(prompt)
    expect(m:chat(question, with(off))):equals(m:generate({ prompt }, greedy)[1].text)
    local record = { said[1], { role = "assistant", content = "green" } }
    expect(tok:preview(record, off)):contains(prompt .. "⟦green<|im_end|>⟧")
    expect(tok:preview(record)):contains("<|im_start|>assistant\n⟦green<|im_end|>⟧")
    expect(function()
      m:chat(question, { chat_template_kwargs = { tools = { { name = "f" } } } })
    end):raises(
      "chat_template_kwargs: `tools` cannot be given here: tools and their calls are not supported"
    )
    expect(function()
      ---@diagnostic disable-next-line: assign-type-mismatch
      m:chat(question, { tools = { { name = "f" } } })
    end):raises("tools: unknown option")
  end)

  it("says the thought that the prompt opens", function()
    local tok, m = speaking("opens", OPENS)
    local prompt = tok:chat({ said[1] }, { add_generation_prompt = true })
    expect(prompt:sub(-8)):equals("<think>\n")
    local reply = m:chat({ said[1] }, greedy)
    expect(reply):equals("<think>\n" .. m:generate({ prompt }, greedy)[1].text)
    local _, times = tok:preview({ said[1], { role = "assistant", content = reply } }):gsub("<think>", "")
    expect(times):equals(1)
  end)

  it("tells an environment the whole thought too", function()
    local _, m = speaking("opens", OPENS)
    local heard = {}
    local e = env.make(env.define {
      name = "listener",
      prompt = "Speak.",
      reset = function()
        return ""
      end,
      step = function(_, action)
        heard[#heard + 1] = action
        return "", 1, true
      end,
    })
    require("affine.eval").run(m, { envs = { e }, num_eval_samples = 2, max_new_tokens = 4 })
    expect(#heard):equals(2)
    for _, action in ipairs(heard) do
      expect(action):contains("<think>")
    end
  end)
end)

describe("a saved model", function()
  it("ends turns, also as an adapter over a base that names the end of a text alone", function()
    local json = require("affine.json")
    local base = path.join(folder, "base")
    tiny.model():save(base)
    local config = json.decode(fs.read(path.join(base, "generation_config.json")))
    local turn, text = config.eos_token_id[1], config.eos_token_id[2]
    config.eos_token_id = text
    fs.write(path.join(base, "generation_config.json"), json.encode(config))

    local m <close> = model.load(base)
    local function ends(name)
      return json.decode(fs.read(path.join(folder, name, "generation_config.json"))).eos_token_id
    end
    m:save(path.join(folder, "whole"))
    expect(ends("whole")):equals { text, turn }
    m:add_lora { lora_r = 2 }
    m:save_adapter(path.join(folder, "adapter"))
    expect(ends("adapter")):equals { text, turn }
    m:merge_lora()
    m:save(path.join(folder, "merged"))
    expect(ends("merged")):equals { text, turn }
    -- A base that does needs no such file beside its adapters.
    local whole <close> = model.load(path.join(folder, "whole"))
    whole:add_lora { lora_r = 2 }
    whole:save_adapter(path.join(folder, "other"))
    expect(fs.exists(path.join(folder, "other", "generation_config.json"))):equals(false)
  end)
end)

fs.remove(folder, { recursive = true })
