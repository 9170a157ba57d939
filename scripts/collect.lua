-- Stage 1: training data from the environments, with the evaluation's prompts kept out.
--
--   affine scripts/collect.lua [--preset NAME] [--set key=value] [--force] [--help]
--
-- Leaves in data_cache/: held_out.json and held_out_tasks.json (what the evaluation will judge), base.jsonl (uniformly
-- random play, only when a new model is made), sft.jsonl (the experts' episodes) and validation.jsonl (the rest of
-- those). Every record says where it comes from: environment, its options, task id, split, policy, affine's version, that
-- of the generator of tasks where there is one, instructions and score. A task that is judged is skipped, by
-- its id or by its prompt: two ids can give the same one.

local affine = require("affine")
local collect = require("affine.collect")
local env = require("affine.env")
local fs = require("affine.fs")
local json = require("affine.json")
local pipeline = require("affine.pipeline")
local random = require("affine.random")
local time = require("affine.time")

-- What cannot matter here: settings of the stages behind, and those of a model that plays.
local OTHER_STAGES = [[
  training rl huggingface model.create evaluation.top_p evaluation.batch_size evaluation.confidence
  evaluation.choose_first_task_id evaluation.min_score_threshold
]]
local MODEL_PLAYS = "model evaluation.temperature evaluation.max_new_tokens"

--- The tasks that the evaluation will judge, in files for the stages behind: held_out.json, the SHA-256 of every prompt,
--- and held_out_tasks.json, by environment its task ids and the hashes of the first observations that tell them apart.
local function hold_out(stage, environments, names)
  local tasks = pipeline.held_out(stage.config, environments, names)
  local prompts, by_label, seen = json.array {}, {}, {}
  for _, task in ipairs(tasks) do
    local own = by_label[task.label] or { task_ids = json.array {}, observations = json.array {} }
    by_label[task.label] = own
    table.insert(own.task_ids, task.task_id)
    if task.told_by_observation then
      table.insert(own.observations, env.observation_hash(task.observation))
    end
    if not seen[task.prompt] then
      seen[task.prompt] = true
      prompts[#prompts + 1] = task.prompt
    end
  end
  fs.write(stage.output .. "/held_out.json", json.encode(prompts))
  fs.write(stage.output .. "/held_out_tasks.json", json.encode(by_label))
  stage:say("%d tasks, %d prompts, are held out for the evaluation", #tasks, #prompts)
  return pipeline.index_of(tasks), fs.sha256(table.concat(prompts))
end

--- How often which reason left something out, in words.
local function in_words(left_out)
  local reasons = {}
  for reason, count in pairs(left_out) do
    reasons[#reasons + 1] = ("%d %s"):format(count, reason)
  end
  table.sort(reasons)
  return #reasons > 0 and table.concat(reasons, ", ") or "none"
end

--- Whether a task is one that is judged; one that breaks on opening is none.
local function is_judged(e, judged, record)
  local opened = pcall(e.reset, e, record.task_id)
  record.messages = opened and e:messages() or {}
  return judged:find(record) ~= nil
end

--- A player as a source: its episodes of tasks that are not held out.
local function source_of(stage, e, player, judged, about)
  local failed, label = 0, about.label or about.name
  return {
    name = ("%s-%s"):format(label, player.kind),
    key = player.key,
    deduplicate = player.deduplicate,
    tasks = player.tasks,
    draw = function(task_id)
      if is_judged(e, judged, { env = about.name, options = player.options or {}, task_id = task_id }) then
        return nil, "held out"
      end
      local ok, episode = pcall(env.play, e, task_id, player.choose(task_id))
      ---@cast episode -nil
      if not ok or episode.turns == 0 then
        local why = ok and "the player gave up" or tostring(episode)
        stage:say("%s: task %d gave no episode: %s", label, task_id, why)
        failed = failed + 1
        if failed > math.max(10, 0.05 * player.count) then
          pipeline.fail("%s: more than 5 %% of the episodes failed", label)
        end
        return nil, "failed"
      end
      ---@cast episode affine.env.Episode
      local score = (episode.score - about.score_low) / (about.score_high - about.score_low)
      if score < player.min_score then
        return nil, "score below data.min_score"
      end
      return {
        messages = episode.messages,
        env = about.name,
        label = about.label,
        options = player.options,
        task_id = task_id,
        policy = player.policy,
        source = "affine " .. affine.version,
        generator = about.generator,
        instructions = about.instructions and about.instructions.sha256,
        score = score,
        success = episode.success,
      }
    end,
  }
end

--- Notes where records come from, for the model card.
local function note_source(stage, source)
  local notes = stage.record.notes
  notes.sources = notes.sources or json.array {}
  table.insert(notes.sources, source)
end

--- Plays a source's tasks and says what came of them.
local function play(stage, e, judged, player)
  local about = e:describe()
  local label = about.label or about.name
  local source, shown, successes = source_of(stage, e, player, judged, about), time.clock(), 0
  local journals = stage.output .. "/journals"
  local records, left_out, journal = collect.run(journals, source, player.count, function(count, left, reason)
    local skipped = left["held out"] or 0
    if reason == "held out" and not about.num_tasks and skipped > 100 + 10 * count then
      pipeline.fail(
        "%s: nearly every prompt is one of the evaluation's too; its tasks are too much alike",
        label
      )
    end
    if time.clock() - shown > 5 then
      shown = time.clock()
      stage:say("%s: %d/%d", source.name, count, player.count)
    end
  end)
  stage.record.notes.journals = stage.record.notes.journals or json.array {}
  table.insert(stage.record.notes.journals, journal)
  for _, record in ipairs(records) do
    successes = successes + (record.success and 1 or 0)
  end
  note_source(stage, {
    env = about.name,
    label = label,
    options = player.options,
    num_tasks = about.num_tasks,
    generator = about.generator,
    instructions = about.instructions,
    kind = player.kind,
    policy = player.policy,
    first_task_id = player.first_task_id,
    records = #records,
    successes = successes,
    left_out = left_out,
  })
  local share = 100 * successes / math.max(1, #records)
  local text = "%-10s %-20s %5d episodes, %5.1f %% succeed; left out: %s"
  stage:say(text, label, player.policy, #records, share, in_words(left_out))
  if #records == 0 then
    pipeline.fail("%s: %s gave no record", label, player.policy)
  end
  return records
end

--- Plays uniformly at random.
local function random_player(seed, e)
  return {
    kind = "random",
    policy = "random",
    choose = function(task_id)
      local rng = random.new(seed, "collect random", task_id)
      return function()
        local action = e:random_action(rng)
        return action and e:reply(action)
      end
    end,
  }
end

--- Plays as the expert, but in a share of the turns at random.
local function expert_player(seed, e, noise, reasoning)
  return {
    kind = "expert",
    policy = noise > 0 and ("expert, %g %% random"):format(100 * noise) or "expert",
    choose = function(task_id)
      local rng = random.new(seed, "collect expert", task_id)
      return function()
        local action, thought
        if rng:float() < noise then
          action = e:random_action(rng)
        elseif reasoning then
          action, thought = e:explain()
        else
          action = e:expert()
        end
        return action and e:reply(action, thought)
      end
    end,
  }
end

--- Plays as a model does: rejection sampling.
local function model_player(settings, m)
  local evaluation = settings.evaluation
  return {
    kind = "model",
    policy = settings.data.model,
    choose = function(task_id)
      local turn = 0
      return function(_, messages)
        turn = turn + 1
        local seed = random.new(settings.seed, "collect model", task_id * 1000 + turn):int(0, 2 ^ 31)
        return m:chat(messages, {
          temperature = evaluation.temperature,
          max_new_tokens = evaluation.max_new_tokens,
          seed = seed,
          as_trained = true, -- earlier turns as the records will have them
        })
      end
    end,
  }
end

local function append(list, items)
  table.move(items, 1, #items, #list + 1, list)
end

--- Says what a file gave, with judged tasks left out.
local function read_file(stage, path, settings, judged)
  local min_score = type(settings.data.min_score) == "number" and settings.data.min_score or 0.5
  local records, left_out = collect.read(path, min_score, judged)
  note_source(stage, { file = path, kind = "file", records = #records, left_out = left_out })
  stage:say("%s: %d records; left out: %s", path, #records, in_words(left_out))
  return records
end

local function run(settings, stage)
  local data = settings.data
  stage.record.notes.journals, stage.record.notes.sources = nil, nil -- noted below, for the evaluation and the model card
  -- A line per task tried: after an interruption, or with a larger num_samples, collecting goes on where it was.
  local journals = stage.output .. "/journals"
  if stage.flags.force and fs.exists(journals) then
    fs.remove(journals, { recursive = true })
  end
  local environments, names = pipeline.environments(settings)
  local judged, hash = hold_out(stage, environments, names)

  local base, train, validation = {}, {}, {}
  local m <close> = data.model ~= "" and pipeline.load_model(settings, data.model) or nil
  local teacher = {} -- its weights; asked for when they are loaded, so that they are in the Hub's cache
  pipeline.read_weights(teacher, data.model, stage.record.files)
  for index, e in ipairs(environments) do
    local entry, decides = data.environments[index], {}
    local options = pipeline.options_of(entry)
    local name = type(entry) == "table" and entry.name or entry
    pipeline.read_environment(decides, name, options, stage.record.files)
    --- What a player needs beside its choices, and what decides its records.
    local function ready(player, first, count, min_score, deduplicate)
      player.count, player.min_score, player.deduplicate = count, min_score, deduplicate
      player.options, player.first_task_id = options, first
      player.key = {
        pipeline.digest(decides),
        entry,
        settings.seed,
        player.policy,
        player.kind ~= "random" and data.reasoning,
        first,
        min_score,
        hash,
        player.kind == "model" and {
          pipeline.digest(teacher),
          settings.evaluation.temperature,
          settings.evaluation.max_new_tokens,
          "as trained",
        } or 0,
      }
      player.tasks = function()
        return collect.training_ids(e:describe(), first, count)
      end
      return player
    end
    if settings.model.base_model_path == "" then
      local count = pipeline.by_environment(settings, "data.base.num_samples", names[index])
      local player = ready(random_player(settings.seed, e), data.base.first_task_id, count, 0, false)
      append(base, play(stage, e, judged, player))
    end
    local count = pipeline.by_environment(settings, "data.num_samples", names[index])
    local noise = pipeline.by_environment(settings, "data.expert_noise", names[index], 0)
    local min_score = pipeline.by_environment(settings, "data.min_score", names[index], 0.5)
    local player = m and model_player(settings, m) or expert_player(settings.seed, e, noise, data.reasoning)
    local records =
      play(stage, e, judged, ready(player, data.first_task_id, count, min_score, data.deduplicate))
    local some, rest = collect.split(records, data.train_split, data.split_by)
    append(train, some)
    append(validation, rest)
  end
  for _, path in ipairs(data.files) do
    local some, rest = collect.split(read_file(stage, path, settings, judged), data.train_split, "task")
    append(train, some)
    append(validation, rest)
  end

  if #base > 0 then
    pipeline.write_records(stage.output .. "/base.jsonl", base)
  end
  pipeline.write_records(stage.output .. "/sft.jsonl", train)
  pipeline.write_records(stage.output .. "/validation.jsonl", validation)
  stage.record.notes.records = { base = #base, train = #train, validation = #validation }
  stage:say("%d records of random play, %d demonstrations, %d for validation", #base, #train, #validation)
end

local stage = pipeline.stage {
  name = "collect",
  ignores = function(settings)
    -- How a model speaks matters where one plays.
    return settings.data.model ~= "" and OTHER_STAGES or OTHER_STAGES .. MODEL_PLAYS
  end,
  except = "model.base_model_path",
  plays = true,
  reads = function(settings, found, known)
    pipeline.read_environments(settings, found, known)
    pipeline.read_files(found, settings.data.files, known)
    pipeline.read_weights(found, settings.data.model, known)
  end,
  needs = function()
    return {}
  end,
  output = function(settings)
    return pipeline.folder(settings, "data_cache")
  end,
  run = run,
}

pipeline.main(stage, ...)
return stage
