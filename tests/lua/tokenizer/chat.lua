-- Training a tokenizer, ids and text, the chat template, and which tokens training would use.
local fs = require("affine.fs")
local test = require("affine.test")
local tokenizer = require("affine.tokenizer")
local describe, it, expect = test.describe, test.it, test.expect

local tok = tokenizer.train({ "red blue red blue", "red green red green" }, { vocab_size = 270 })

describe("tokenizer", function()
  it("gives back the text that it encodes, whatever the text", function()
    for _, text in ipairs { "red blue", "ÄÖ 漢字 🙂", " \n\t ", "" } do
      expect(tok:decode(tok:encode(text))):equals(text)
    end
  end)

  it("counts ids from 0 and knows how many there are", function()
    local size = tok:size()
    expect(size <= 270 and size > 256):equals(true)
    for _, id in ipairs(tok:encode("red blue<|im_end|>")) do
      expect(id >= 0 and id < size):equals(true)
    end
    expect(#tok:encode("<|im_end|>")):equals(1)
  end)

  it("merges what is frequent", function()
    expect(#tok:encode("red") < #tok:encode("xyz")):equals(true)
  end)

  it("gives the text of whatever a model can say", function()
    -- Rows of a padded embedding have no text.
    local red = tok:encode("red")[1]
    expect(tok:decode { red, tok:size() + 100, tok:size() }):equals(tok:decode { red })
    for _, id in ipairs { -1, 2 ^ 40 } do
      expect(function()
        tok:decode { 1, math.tointeger(id) }
      end):raises("tokenizer:decode: ids[2]: expected a token id of at least 0")
    end
  end)

  it("renders ChatML", function()
    local messages = { { role = "system", content = "S" }, { role = "user", content = "U" } }
    expect(tok:chat(messages)):equals("<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n")
    expect(tok:chat(messages, { add_generation_prompt = true })):equals(
      "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
    )
  end)

  it("shows which tokens are trained", function()
    local shown = tok:preview {
      { role = "user", content = "red" },
      { role = "assistant", content = "blue" },
      { role = "user", content = "red" },
      { role = "assistant", content = "green" },
    }
    local spans = {}
    for span in shown:gmatch("⟦(.-)⟧") do
      spans[#spans + 1] = span
    end
    expect(spans):equals { "blue<|im_end|>", "green<|im_end|>" }
    local trained = #tok:encode("blue") + #tok:encode("green") + 2
    expect(shown):contains(("\n%d of "):format(trained))
  end)

  it("is the same after saving", function()
    local folder = fs.tempdir()
    tok:save(folder)
    local again = tokenizer.load(folder)
    expect(again:encode("red blue 7")):equals(tok:encode("red blue 7"))
    expect(again:size()):equals(tok:size())
    fs.remove(folder, { recursive = true })
  end)

  it("names what is wrong", function()
    expect(function()
      tokenizer.train({ "a" }, { vocab_size = 10 })
    end):raises("vocab_size: expected at least 259")
    expect(function()
      tokenizer.train {}
    end):raises("a tokenizer needs text to be trained on")
    expect(function()
      tokenizer.train({ "a" }, { vocab_siz = 300 })
    end):raises("vocab_siz: unknown option\nhint: did you mean `vocab_size`?")
    expect(function()
      tokenizer.load("nowhere")
    end):raises("nowhere/tokenizer.json: no such file")
    expect(function()
      ---@diagnostic disable-next-line: missing-fields, param-type-mismatch, assign-type-mismatch
      tok:chat { { role = "user" } }
    end):raises("messages[1].content: required, but missing")
    expect(function()
      tok:chat {}
    end):raises("messages: expected at least one message")
    expect(function()
      ---@diagnostic disable-next-line: param-type-mismatch, assign-type-mismatch
      tok:decode { 1, "x" }
    end):raises("tokenizer:decode: ids")
  end)
end)
