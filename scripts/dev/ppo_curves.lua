-- Learning curves of PPO on toys, for comparing two builds: what an episode's end is worth, units of reward, dropout.
--
--   affine scripts/dev/ppo_curves.lua CASE SEED [ITERATIONS]
--
-- CASE is one of:
--   ending   say a vowel within 2 turns or score 0: a policy that stalls until the limit must earn nothing
--   units    an environment of 0 to 1 beside one of 0 to 100: the small one must be learned as well
--   alone    the same two, both of 0 to 1
--   dropout  an adapter with lora_dropout, which PPO goes on training as SFT left it
--
-- Prints the scores of every iteration and the mean of the last ten. It uses nothing that an older build lacks.

-- Its arguments are numbers, its cases are there.
---@diagnostic disable: need-check-nil, param-type-mismatch, generic-constraint-mismatch, assign-type-mismatch, redefined-local, call-non-callable

local env = require("affine.env")
local fs = require("affine.fs")
local model = require("affine.model")
local tokenizer = require("affine.tokenizer")
local trainer = require("affine.trainer")

local case, seed, iterations = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3] or 60)

local LETTERS = "abcdefghijklmnop"

local function is_vowel(reply)
  return reply:match("^[aeiou]") ~= nil
end

local function is_early(reply)
  return reply:match("^[b-d]") ~= nil
end

--- One reply earns `pays` where it is right.
local function bandit(name, prompt, is_right, pays)
  return env.make(env.define {
    name = name,
    prompt = prompt,
    reset = function()
      return ""
    end,
    step = function(_, action)
      return "", is_right(action) and pays or 0, true
    end,
    score_range = { 0, pays },
    success_threshold = pays,
  })
end

local function deadline()
  return env.make(env.define {
    name = "deadline",
    prompt = "Say a vowel.",
    reset = function()
      return ""
    end,
    step = function(_, action)
      local right = is_vowel(action)
      return "Again.", right and 1 or 0, right
    end,
    max_turns = 2,
  })
end

local CASES = {
  ending = function()
    return { deadline() }
  end,
  units = function()
    return {
      bandit("small", "Say a vowel.", is_vowel, 1),
      bandit("large", "Say an early letter.", is_early, 100),
    }
  end,
  alone = function()
    return {
      bandit("small", "Say a vowel.", is_vowel, 1),
      bandit("large", "Say an early letter.", is_early, 1),
    }
  end,
  dropout = function()
    return { bandit("small", "Say a vowel.", is_vowel, 1) }
  end,
}

--- A model that answers every prompt with any letter.
local function speaker(folder)
  local prompts, texts = { "Say a vowel.", "Say an early letter.", "Again." }, {}
  for _, prompt in ipairs(prompts) do
    for _ = 1, 8 do
      texts[#texts + 1] = prompt
    end
  end
  local m = model.create {
    tokenizer = tokenizer.train(texts, { vocab_size = 300 }),
    hidden_size = 32,
    intermediate_size = 64,
    num_hidden_layers = 2,
    num_attention_heads = 2,
    num_key_value_heads = 1,
    head_dim = 16,
    max_position_embeddings = 128,
    seed = seed,
  }
  local records = {}
  for letter in LETTERS:gmatch(".") do
    for _, prompt in ipairs { "Say a vowel.\n", "Say an early letter.\n" } do
      local messages = { { role = "user", content = prompt }, { role = "assistant", content = letter } }
      records[#records + 1] = { messages = messages }
    end
  end
  local options = { data = records, output_dir = folder .. "/base", max_steps = 80, batch_size = 32 }
  options.gradient_accumulation_steps, options.learning_rate, options.logging_steps = 1, 1e-2, 0
  trainer.sft(m, options):run()
  if case == "dropout" then
    m:add_lora { lora_r = 8, lora_alpha = 64, lora_dropout = 0.3, seed = seed }
    options.output_dir, options.max_steps = folder .. "/adapter", 40
    trainer.sft(m, options):run()
  end
  return m
end

local folder = fs.tempdir()
local envs = CASES[case]()
local m <close> = speaker(folder)
if case ~= "dropout" then
  m:add_lora { lora_r = 8, lora_alpha = 16, seed = seed }
end
local ppo = trainer.ppo(m, {
  output_dir = folder .. "/ppo",
  iterations = iterations,
  num_rollouts = 64,
  ppo_epochs = 2,
  minibatch_size = 16,
  batch_size = 16,
  learning_rate = 1e-2,
  value_learning_rate = 1e-2,
  max_new_tokens = 2,
  kl_coef = 0.01,
  save_steps = 0,
  seed = seed,
})
local sums, counted = {}, 0
for it in ppo:iterations(envs) do
  local line = { ("%3d"):format(it.iteration) }
  for _, e in ipairs(envs) do
    local name = e:describe().name
    line[#line + 1] = ("%s %.3f"):format(name, it.score_mean[name])
    if it.iteration > iterations - 10 then
      sums[name] = (sums[name] or 0) + it.score_mean[name]
    end
  end
  counted = it.iteration > iterations - 10 and counted + 1 or counted
  line[#line + 1] = ("kl %.4f clip %.3f grad %.2f"):format(it.approx_kl, it.clip_fraction, it.grad_norm)
  print(table.concat(line, "  "))
end
for _, e in ipairs(envs) do
  local name = e:describe().name
  print(("%s, seed %d, %s: %.3f in the last %d"):format(case, seed, name, sums[name] / counted, counted))
end
fs.remove(folder, { recursive = true })
