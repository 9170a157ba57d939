-- What the tests of models and trainers share: a tokenizer of some 270 ids, models of two layers, toy records.
local fs = require("affine.fs")
local model = require("affine.model")
local tokenizer = require("affine.tokenizer")
local trainer = require("affine.trainer")

local tiny = {}

local words = { "red", "blue", "green", "one", "two", "three", "yes", "no" }

local texts = {}
for _, word in ipairs(words) do
  for _ = 1, 4 do
    texts[#texts + 1] = word
  end
end

tiny.tokenizer = tokenizer.train(texts, { vocab_size = 290 })

function tiny.model(changes)
  local options = {
    tokenizer = tiny.tokenizer,
    hidden_size = 32,
    intermediate_size = 64,
    num_hidden_layers = 2,
    num_attention_heads = 2,
    num_key_value_heads = 1,
    head_dim = 16,
    max_position_embeddings = 128,
    seed = 1,
  }
  for key, value in pairs(changes or {}) do
    options[key] = value
  end
  return model.create(options)
end

-- A word is answered by the word three further on.
function tiny.records()
  local records = {}
  for i, word in ipairs(words) do
    local answer = words[(i + 2) % #words + 1]
    records[i] =
      { messages = { { role = "user", content = word }, { role = "assistant", content = answer } } }
  end
  return records
end

-- An environment of one turn: a reply that begins with a lowercase letter is right.
tiny.letters = require("affine.env").define {
  name = "letters",
  prompt = "Say a letter.",
  reset = function()
    return ""
  end,
  step = function(_, action)
    return "", action:match("^%l") and 1 or 0, true
  end,
  constant_actions = { "?", "a" },
  expert = function()
    return "e"
  end,
  random_action = function(_, rng)
    return rng:int(0, 1) == 1 and "r" or "!"
  end,
}

function tiny.environment()
  return require("affine.env").make(tiny.letters)
end

-- A trainer that has written nothing yet.
local function made(make, options)
  local folder <close> = setmetatable({ path = fs.tempdir() }, {
    __close = function(self)
      fs.remove(self.path, { recursive = true })
    end,
  })
  options.output_dir = folder.path
  return make(tiny.model(), options)
end

function tiny.sft()
  return made(trainer.sft, { data = tiny.records() })
end

function tiny.ppo()
  return made(trainer.ppo, { max_new_tokens = 1 })
end

return tiny
