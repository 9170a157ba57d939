-- Sampling and log-probs as a script meets them.
local test = require("affine.test")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local m = tiny.model()
local tok = m:tokenizer()

describe("model:generate", function()
  it("takes texts and lists of ids alike", function()
    local options = { max_new_tokens = 8, seed = 5 }
    local a = m:generate({ "red", "blue green" }, options)
    local b = m:generate({ tok:encode("red"), tok:encode("blue green") }, options)
    expect(#a):equals(2)
    expect(b):equals(a)
  end)

  it("tells tokens, text, log-probs and why it ended", function()
    for _, reply in ipairs(m:generate({ "red", "no", "one" }, { max_new_tokens = 12, temperature = 0.7 })) do
      local length = #reply.tokens
      expect(#reply.logprobs):equals(length)
      expect(reply.finish == "stop" or (reply.finish == "length" and length == 12)):equals(true)
      expect(type(reply.text)):equals("string")
    end
  end)

  it("gives log-probs that model:logprobs confirms", function()
    for _, temperature in ipairs { 1, 0.7 } do
      local prompt = tok:encode("one two three")
      local reply = m:generate({ prompt }, { max_new_tokens = 10, temperature = temperature, top_k = 20 })[1]
      local ids = table.move(reply.tokens, 1, #reply.tokens, #prompt + 1, { table.unpack(prompt) })
      local all = m:logprobs(ids, { temperature = temperature })
      expect(#all):equals(#ids - 1)
      for i, logprob in ipairs(reply.logprobs) do
        expect(logprob):near(all[#prompt - 1 + i], 1e-4)
      end
    end
  end)

  it("is decided by the seed, and greedy at temperature 0", function()
    local function drawn(options)
      options.max_new_tokens = 8
      return m:generate({ "yes", "no" }, options)
    end
    expect(drawn { seed = 1 }):equals(drawn { seed = 1 })
    expect(
      table.concat(drawn({ seed = 1 })[1].tokens, " ") == table.concat(drawn({ seed = 2 })[1].tokens, " ")
    ):equals(false)
    expect(drawn { temperature = 0, seed = 1 }):equals(drawn { temperature = 0, seed = 2 })
    expect(drawn({ top_k = 1 })[2].tokens):equals(drawn({ temperature = 0 })[2].tokens)
  end)

  it("answers a conversation", function()
    expect(type(m:chat({ { role = "user", content = "red" } }, { max_new_tokens = 3 }))):equals("string")
  end)

  it("names what is wrong", function()
    expect(function()
      m:generate({ "red" }, { temperatur = 1 })
    end):raises("model:generate: temperatur: unknown option\nhint: did you mean `temperature`?")
    expect(function()
      m:generate({ "red" }, { temperature = -1 })
    end):raises("temperature: expected a number of at least 0, got -1")
    expect(function()
      m:generate("red")
    end):raises("model:generate: argument 1 (prompts): expected table, got string")
    expect(function()
      m:generate { 5 }
    end):raises("expected a string or a list of token ids")
    expect(function()
      m:generate { { 100000 } }
    end):raises("token id 100000 is outside this model's vocabulary")
    expect(function()
      m:generate { "" }
    end):raises("prompt 1 is empty")
    expect(function()
      m:logprobs { 1 }
    end):raises("log-probs need at least 2 token ids, got 1")
  end)
end)
