-- LoRA SFT steps on a job's records, all of them in every step: affine scripts/dev/bench/sft.lua JOB.json
local fs = require("affine.fs")
local json = require("affine.json")
local measure = require("measure")
local model = require("affine.model")
local time = require("affine.time")
local trainer = require("affine.trainer")

local job = measure.job()
local m = model.load(job.model, { dtype = job.dtype })
m:load_adapter(job.adapter)

local tokens = 0
for line in fs.lines(job.data) do
  tokens = tokens + #json.decode(line).ids
end

local total = job.warmup + job.steps ---@type integer
local sft = trainer.sft(m, {
  data = job.data,
  output_dir = job.output_dir,
  max_steps = total,
  batch_size = job.batch_size,
  learning_rate = job.learning_rate,
  lr_scheduler_type = "constant",
  padding_free = job.padding_free or false,
  save_steps = 0,
  logging_steps = 0,
})
local loss, walls, cpus = {}, {}, {}
local wall, cpu = time.clock(), os.clock()
for step in sft:steps() do
  loss[step.step] = step.loss
  if step.step > job.warmup then
    walls[#walls + 1], cpus[#cpus + 1] = time.clock() - wall, os.clock() - cpu
  end
  wall, cpu = time.clock(), os.clock()
end
measure.emit { wall_s = walls, cpu_s = cpus, loss = loss, tokens = tokens }
