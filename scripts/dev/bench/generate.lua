-- Sampling from a job's prompts at temperature 1: affine scripts/dev/bench/generate.lua JOB.json
-- A job without end ids makes `new` tokens in every row; `prefill` is then the time of making a single one.
local fs = require("affine.fs")
local json = require("affine.json")
local measure = require("measure")
local model = require("affine.model")

local job = measure.job()
local prompts = json.decode(fs.read(job.prompts))
local m = model.load(job.model, { dtype = job.dtype })
if job.adapter ~= json.null then
  m:load_adapter(job.adapter)
end

local function sample(new, seed)
  return m:generate(
    prompts,
    { max_new_tokens = new, temperature = 1, seed = seed, batch_size = job.batch_size }
  )
end

local first = table.move(prompts, 1, job.batch_size, 1, {})
local greedy = {}
for i, row in ipairs(m:generate(first, { max_new_tokens = job.greedy, temperature = 0 })) do
  greedy[i] = row.tokens
end
sample(job.new, 0)

local result =
  { wall_s = {}, cpu_s = {}, tokens = {}, greedy = greedy, prefill_wall_s = {}, prefill_cpu_s = {} }
for repetition = 1, job.steps do
  local rows
  if job.ends == 0 then
    result.prefill_wall_s[repetition], result.prefill_cpu_s[repetition] = measure.time(function()
      return sample(1, repetition)
    end)
  end
  result.wall_s[repetition], result.cpu_s[repetition], rows = measure.time(function()
    return sample(job.new, repetition)
  end)
  local made = 0
  for _, row in ipairs(rows) do
    made = made + #row.tokens
  end
  result.tokens[repetition] = made
end
measure.emit(result)
