-- Stage 1: training data from the environments, with the evaluation's prompts kept out.
--
--   affine scripts/collect.lua [--preset NAME] [--set key=value] [--force] [--help]
--
-- Leaves in data_cache/: held_out.json (SHA-256 of every prompt that the evaluation will use), base.jsonl (uniformly
-- random play, only when a new model is made), sft.jsonl (the experts' episodes) and validation.jsonl (the rest of
-- those). Every record names its environment, task id and policy. A task whose prompt is held out is skipped,
-- whatever its id: two ids can give the same prompt.

local env = require("affine.env")
local fs = require("affine.fs")
local json = require("affine.json")
local pipeline = require("affine.pipeline")
local random = require("affine.random")

--- The prompt hashes of all evaluation tasks, as a set and as a list.
local function hold_out(environments, evaluation)
  local set, list = {}, {}
  for _, e in ipairs(environments) do
    for task_id = evaluation.first_task_id, evaluation.first_task_id + evaluation.num_eval_samples - 1 do
      local hash = e:prompt_hash(task_id)
      if not set[hash] then
        set[hash] = true
        list[#list + 1] = hash
      end
    end
  end
  return set, list
end

--- Plays `count` episodes of tasks that are not held out, from `first_task_id` on; returns their records.
local function play(stage, e, held_out, first_task_id, count, player)
  local name, records = e:describe().name, {}
  local skipped, failed, successes, task_id = 0, 0, 0, first_task_id
  while #records < count do
    if held_out[e:prompt_hash(task_id)] then
      skipped = skipped + 1
      if skipped > 100 + 10 * #records then
        pipeline.fail(
          "%s: nearly every prompt is one of the evaluation's too; its tasks are too much alike",
          name
        )
      end
    else
      local ok, episode = pcall(env.play, e, task_id, player.choose(task_id))
      ---@cast episode -nil
      if ok and episode.turns > 0 then
        records[#records + 1] =
          { messages = episode.messages, env = name, task_id = task_id, policy = player.policy }
        successes = successes + (episode.success and 1 or 0)
      else
        failed = failed + 1
        stage:say(
          "%s: task %d gave no episode: %s",
          name,
          task_id,
          ok and "the player gave up" or tostring(episode)
        )
        if failed > math.max(10, 0.05 * count) then
          pipeline.fail("%s: more than 5 %% of the episodes failed", name)
        end
      end
    end
    task_id = task_id + 1
  end
  local share = 100 * successes / math.max(1, #records)
  local text = "%-10s %-20s %5d episodes, %5.1f %% succeed; %d prompts held out"
  stage:say(text, name, player.policy, #records, share, skipped)
  return records
end

--- Plays uniformly at random.
local function random_player(seed, e)
  return {
    policy = "random",
    choose = function(task_id)
      local rng = random.new(seed, "collect random", task_id)
      return function()
        return e:random_action(rng)
      end
    end,
  }
end

--- Plays as the expert, but in a share of the turns at random.
local function expert_player(seed, e, noise)
  return {
    policy = noise > 0 and ("expert, %g %% random"):format(100 * noise) or "expert",
    choose = function(task_id)
      local rng = random.new(seed, "collect expert", task_id)
      return function()
        if rng:float() < noise then
          return e:random_action(rng)
        end
        return e:expert()
      end
    end,
  }
end

local function append(list, items, first, last)
  table.move(items, first, last, #list + 1, list)
end

local function collect(settings, stage)
  local data = settings.data
  local environments, names = pipeline.environments(settings)
  local held_out, hashes = hold_out(environments, settings.evaluation)
  fs.write(stage.output .. "/held_out.json", json.encode(hashes))
  stage:say("%d prompts are held out for the evaluation", #hashes)

  local base, train, validation = {}, {}, {}
  for index, e in ipairs(environments) do
    if settings.model.base_model_path == "" then
      local count = pipeline.by_environment(settings, "data.base.num_samples", names[index])
      local player = random_player(settings.seed, e)
      local episodes = play(stage, e, held_out, data.base.first_task_id, count, player)
      append(base, episodes, 1, #episodes)
    end
    local count = pipeline.by_environment(settings, "data.num_samples", names[index])
    local noise = pipeline.by_environment(settings, "data.expert_noise", names[index], 0)
    local player = expert_player(settings.seed, e, noise)
    local episodes = play(stage, e, held_out, data.first_task_id, count, player)
    local split = math.floor(data.train_split * #episodes)
    append(train, episodes, 1, split)
    append(validation, episodes, split + 1, #episodes)
  end

  if #base > 0 then
    pipeline.write_records(stage.output .. "/base.jsonl", base)
  end
  pipeline.write_records(stage.output .. "/sft.jsonl", train)
  pipeline.write_records(stage.output .. "/validation.jsonl", validation)
  stage:say("%d records of random play, %d demonstrations, %d for validation", #base, #train, #validation)
end

local stage = pipeline.stage {
  name = "collect",
  settings = {
    "data",
    "evaluation.first_task_id",
    "evaluation.num_eval_samples",
    "model.base_model_path",
  },
  needs = function()
    return {}
  end,
  output = function()
    return "data_cache"
  end,
  run = collect,
}

pipeline.main(stage, ...)
return stage
