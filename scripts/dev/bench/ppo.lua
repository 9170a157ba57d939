-- PPO iterations on a job's prompts, one reply each: affine scripts/dev/bench/ppo.lua JOB.json
local env = require("affine.env")
local fs = require("affine.fs")
local json = require("affine.json")
local measure = require("measure")
local model = require("affine.model")
local trainer = require("affine.trainer")

local job = measure.job()
local prompts = {}
for line in fs.lines(job.data) do
  prompts[#prompts + 1] = json.decode(line)
end
local m = model.load(job.model, { dtype = job.dtype })
m:load_adapter(job.adapter)

-- One turn; the reward is arbitrary, as the peers' is.
local one_turn = env.define {
  name = "one-turn",
  reset = function(self, task)
    self.text = prompts[task.id + 1].text
    return self.text
  end,
  messages = function(self)
    return { { role = "user", content = self.text } }
  end,
  step = function(_, action)
    return "", #action % 7 / 7, true
  end,
  num_tasks = #prompts,
}
local envs = { env.make(one_turn) }

local total = job.warmup + job.steps ---@type integer
local ppo = trainer.ppo(m, {
  output_dir = job.output_dir,
  iterations = total,
  num_rollouts = #prompts,
  ppo_epochs = job.epochs,
  minibatch_size = job.minibatch_size,
  batch_size = job.minibatch_size,
  learning_rate = job.learning_rate,
  max_new_tokens = job.new,
  discount_unit = "token",
  last_task_id = #prompts - 1,
  save_steps = 0,
})

--- Tokens that the policy said, their mean log-prob, and whether the prompts are the ids of the job.
local function look(batch)
  local made, sum, expected = 0, 0, {}
  for _, prompt in ipairs(prompts) do
    expected[table.concat(prompt.ids, " ")] = true
  end
  for i = 1, batch:size() do
    local sample, prompt = batch:sample(i), {}
    for t, id in ipairs(sample.ids) do
      if sample.mask[t] then
        made, sum = made + 1, sum + sample.logprobs[t]
      elseif made == 0 or #prompt < #prompts[1].ids then
        prompt[#prompt + 1] = id
      end
    end
    assert(expected[table.concat(prompt, " ")], "a prompt's ids are not those of the job")
  end
  return made, sum / made
end

local result = { wall_s = {}, cpu_s = {}, tokens = {}, mean_logprob = {}, phases = {} }
local phases = { rollout = {}, advantages = {}, update = {} }
for iteration = 1, total do
  local walls, cpus, batch = {}, {}, nil
  walls[1], cpus[1], batch = measure.time(function()
    return ppo:rollout(envs)
  end)
  walls[2], cpus[2] = measure.time(function()
    ppo:advantages(batch)
  end)
  walls[3], cpus[3] = measure.time(function()
    return ppo:update(batch)
  end)
  local made, mean = look(batch)
  result.mean_logprob[iteration] = mean
  local measured = iteration - job.warmup
  if measured > 0 then
    result.wall_s[measured] = walls[1] + walls[2] + walls[3]
    result.cpu_s[measured] = cpus[1] + cpus[2] + cpus[3]
    result.tokens[measured] = made
    phases.rollout[measured], phases.advantages[measured], phases.update[measured] = cpus[1], cpus[2], cpus[3]
  end
end
for name, seconds in pairs(phases) do
  result.phases[name] = measure.median(seconds)
end
measure.emit(result)
