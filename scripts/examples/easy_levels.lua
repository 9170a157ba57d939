-- Easy levels of SAT, ABD and DED: what the demo's small model scores on held-out tasks before and after SFT.
--
--   affine scripts/examples/easy_levels.lua [--seeds 0,1,2] [--samples N] [--steps N] [--tasks N] [--set key=value]
--
-- For every seed a new model, made from random play as the demo's is, is judged; then it learns from the experts'
-- answers and is judged again. The prompts of the judged tasks are kept out of the training data, and of ABD and DED
-- no program is in both, not even with other names and constants. Demonstrations are collected once, into
-- data_cache/easy_levels; an interrupted run goes on there.

local collect = require("affine.collect")
local config = require("affine.config")
local env = require("affine.env")
local eval = require("affine.eval")
local log = require("affine.log")
local model = require("affine.model")
local pipeline = require("affine.pipeline")
local random = require("affine.random")
local tokenizer = require("affine.tokenizer")
local trainer = require("affine.trainer")

local settings, flags = config.load(arg, {
  seeds = { doc = "a model is made for each (0,1,2)", value = "LIST" },
  samples = { doc = "demonstrations of each environment (3000)", value = "N" },
  steps = { doc = "optimizer steps of SFT (1500)", value = "N" },
  tasks = { doc = "held-out tasks of each environment (200)", value = "N" },
})
---@param flag string|boolean|nil
---@param default integer
---@return integer
local function whole(flag, default)
  return math.tointeger(tonumber(flag)) or default
end
local SAMPLES, STEPS, TASKS = whole(flags.samples, 3000), whole(flags.steps, 1500), whole(flags.tasks, 200)
---@type integer
local FIRST = settings.evaluation.first_task_id
local TEMPERATURE = settings.evaluation.temperature

-- Programs of one reader, one family of the lowest level and one printer.
local ABD = {
  "acronym",
  "longest_word",
  "is_increasing",
  "multiplication_row",
  "sort_descending",
  "even_then_odd",
  "first_greater_than",
}
local DED = {
  "acronym",
  "longest_word",
  "is_increasing",
  "multiplication_row",
  "sort_descending",
  "weighted_sum",
  "spread",
  "digit_sum",
}

-- Shorter than the environments' own instructions, which would be most of what so small a model has to read.
local ABD_INSTRUCTIONS = "Program:\n{program}\nOutput:\n{output}\n"
  .. "Find an input that gives this output. Write it between <INPUT> and </INPUT>."
local DED_INSTRUCTIONS = "{prompt}\nAnswer with a Python program in a ```python block."

local LEVELS = {
  {
    name = "sat",
    options = function()
      return { n = 3, k = 2, m = 5 }
    end,
    max_new_tokens = 32,
    is_formed = function(reply)
      return reply:find("x1=%a+, x2=%a+, x3=%a+") ~= nil
    end,
  },
  {
    name = "abd",
    options = function(split)
      local generator = { difficulty = 1, families = ABD, split = split }
      return { generator = generator, instructions = ABD_INSTRUCTIONS }
    end,
    max_new_tokens = 64,
    is_formed = function(reply)
      return reply:find("<INPUT>.*</INPUT>") ~= nil
    end,
  },
  {
    name = "ded",
    options = function(split)
      local generator = { difficulty = 1, families = DED, split = split }
      return { generator = generator, instructions = DED_INSTRUCTIONS }
    end,
    max_new_tokens = 240,
    is_formed = function(reply)
      return reply:find("```python\n.*```") ~= nil
    end,
  },
}

-- By name: what is learned from and what is judged.
---@type table<string, affine.env.Environment>
local learned, judged = {}, {}
for _, level in ipairs(LEVELS) do
  learned[level.name] = env.make(level.name, level.options("train"))
  judged[level.name] = env.make(level.name, level.options("test"))
end

-- Demonstrations -------------------------------------------------------------------------------------------------------

--- An expert's answer to a task and a random one, or nil and why not.
local function demonstrate(level, held_out, task_id)
  local e = learned[level.name]
  if held_out[e:prompt_hash(task_id)] then
    return nil, "held out"
  end
  e:reset(task_id)
  local action = e:random_action(random.new(0, "random " .. level.name, task_id))
  local played = action and e:reply(action)
  local episode = env.play(e, task_id, function()
    local answer = e:expert()
    return answer and e:reply(answer)
  end)
  if not played or episode.turns == 0 or not episode.success then
    return nil, "no right answer"
  end
  return { messages = episode.messages, env = level.name, task_id = task_id, random = played }
end

--- The experts' answers as training and validation records, and random play.
local function collect_all()
  local train, validation, play = {}, {}, {}
  for _, level in ipairs(LEVELS) do
    local e = learned[level.name]
    local held_out = {}
    for task_id = FIRST, FIRST + TASKS - 1 do
      held_out[judged[level.name]:prompt_hash(task_id)] = true
    end
    local source = {
      name = level.name,
      key = { level.options("train"), e:describe().generator or 0, FIRST, TASKS },
      deduplicate = true,
      tasks = function()
        return collect.training_ids(e:describe(), 0, SAMPLES)
      end,
      draw = function(task_id)
        return demonstrate(level, held_out, task_id)
      end,
    }
    local tried = 0
    local records = collect.run("data_cache/easy_levels", source, SAMPLES, function(count)
      tried = tried + 1
      if tried % 500 == 0 then
        log.info(("%s: %d/%d demonstrations"):format(level.name, count, SAMPLES))
      end
    end)
    for _, record in ipairs(records) do
      play[#play + 1] = { messages = { record.messages[1], { role = "assistant", content = record.random } } }
    end
    local some, rest = collect.split(records, 0.95, "task")
    table.move(some, 1, #some, #train + 1, train)
    table.move(rest, 1, #rest, #validation + 1, validation)
  end
  return train, validation, play
end

-- Learning -------------------------------------------------------------------------------------------------------------

local function train_on(m, seed, records, options)
  options.data, options.seed, options.output_dir = records, seed, "checkpoints/easy_levels"
  options.batch_size, options.lr_scheduler_type, options.min_lr_ratio = 16, "cosine", 0.1
  options.warmup_ratio, options.max_grad_norm = 0.1, settings.training.max_grad_norm
  options.max_length = settings.training.max_length
  options.save_steps, options.logging_steps = 0, 100
  options.padding_free = true
  trainer.sft(m, options):run()
end

--- The demo's model: a new tokenizer and a new Qwen3, trained on every token of random play.
local function new_model(seed, play)
  local texts = {}
  for index, record in ipairs(play) do
    local prompt, reply = record.messages[1].content, record.messages[2].content
    texts[index] = ("user\n%s\nassistant\n%s"):format(prompt, reply)
  end
  local shape = pipeline.create_options(settings)
  shape.tokenizer = tokenizer.train(texts, { vocab_size = settings.model.create.vocab_size })
  shape.seed = seed
  local m = model.create(shape)
  train_on(m, seed, play, { train_on = "all", max_steps = math.min(STEPS, 100), learning_rate = 3e-3 })
  return m
end

-- Judging --------------------------------------------------------------------------------------------------------------

--- `.525 [.480, .570]` of a mean and its interval.
local function shown(mean, lower, upper)
  local text = ("%.3f [%.3f, %.3f]"):format(mean, lower, upper)
  return (text:gsub("0(%.%d)", "%1"))
end

--- A model's scores on the held-out tasks, and the share of its replies that have the form of an answer.
local function judge(m, seed, temperature)
  local cells = {}
  for index, level in ipairs(LEVELS) do
    local prompts, score, formed = {}, 0, 0
    for task = 1, TASKS do
      judged[level.name]:reset(FIRST + task - 1)
      prompts[task] = m:tokenizer():chat(judged[level.name]:messages(), { add_generation_prompt = true })
    end
    local sampling = { max_new_tokens = level.max_new_tokens, temperature = temperature, seed = seed }
    for task, reply in ipairs(m:generate(prompts, sampling)) do
      judged[level.name]:reset(FIRST + task - 1)
      local _, reward = judged[level.name]:step(reply.text)
      score = score + reward
      formed = formed + (level.is_formed(reply.text) and 1 or 0)
    end
    local lower, upper = eval.interval(score, TASKS, settings.evaluation.confidence)
    cells[index] = ("%s %3.0f %%"):format(shown(score / TASKS, lower, upper), 100 * formed / TASKS)
  end
  return cells
end

local function baseline(kind)
  local cells = {}
  for index, level in ipairs(LEVELS) do
    local row = eval.baseline(judged[level.name], {
      kind = kind,
      num_eval_samples = TASKS,
      first_task_id = FIRST,
      choose_first_task_id = settings.evaluation.choose_first_task_id,
      confidence = settings.evaluation.confidence,
      seed = 0,
    })
    cells[index] = row and shown(row.mean, row.lower, row.upper) or "-"
  end
  return cells
end

-- The table ------------------------------------------------------------------------------------------------------------

local rows = {}
local function add(name, cells)
  local line = ("%-22s"):format(name)
  for _, cell in ipairs(cells) do
    line = line .. ("%-26s"):format(cell)
  end
  rows[#rows + 1] = line:match("^(.-)%s*$")
  log.info(rows[#rows])
end

local train, validation, play = collect_all()
add("", { "sat", "abd", "ded" })
for seed in tostring(flags.seeds or "0,1,2"):gmatch("%d+") do
  local number = whole(seed, 0)
  local m <close> = new_model(number, play)
  add(("seed %s: base"):format(seed), judge(m, number, TEMPERATURE))
  add(("seed %s: base, greedy"):format(seed), judge(m, number, 0))
  train_on(m, number, train, {
    train_on = "assistant",
    max_steps = STEPS,
    learning_rate = 2e-3,
    eval_data = validation,
    eval_steps = math.max(1, STEPS // 5),
  })
  add(("seed %s: SFT"):format(seed), judge(m, number, TEMPERATURE))
  add(("seed %s: SFT, greedy"):format(seed), judge(m, number, 0))
  m:save("models/easy_levels/seed-" .. seed)
end

add("random play", baseline("random"))
add("best constant answer", baseline("constant"))
add("expert", baseline("expert"))

print(
  ("\nMean score [80 %% interval] and share of replies in the form of an answer, on %d held-out tasks each,"):format(
    TASKS
  )
)
print(("temperature %g; %d demonstrations each, %d steps of SFT.\n"):format(TEMPERATURE, SAMPLES, STEPS))
print(table.concat(rows, "\n"))
