-- Writes a run as standard input says, for trackers.py: a JSON object per line, { "op": "log", "step": 1, … }.
--
--   affine trackers.lua OPTIONS CONFIG     both JSON objects
--
-- Goes on with the run that is there. Prints its folder, then each `op` that is done. Numbers that JSON lacks are
-- { "float": "nan" }.

local json = require("affine.json")
local log = require("affine.log")
local track = require("affine.track")

local function say(value)
  print(json.encode(value))
end

local FLOATS = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

--- The value with its floats that JSON lacks.
local function decoded(value)
  if type(value) ~= "table" then
    return value
  end
  if value.float and FLOATS[value.float] then
    return FLOATS[value.float]
  end
  for key, inner in pairs(value) do
    value[key] = decoded(inner)
  end
  return value
end

local run = track.run("peer", json.decode(arg[2]), {
  resume = true,
  wandb = json.decode(arg[1]),
  tensorboard = true,
})
say(run:path())

local function place(op)
  return { stage = op.stage, step = op.step, time = op.time }
end

local perform = {}

function perform.log(op)
  op.metrics.stage, op.metrics.step, op.metrics.time = op.stage, op.step, op.time
  run:log(op.metrics)
end

function perform.summary(op)
  run:summary(op.metrics)
end

function perform.text(op)
  run:text(place(op), op.name, op.text)
end

function perform.histogram(op)
  run:histogram(place(op), op.name, op.values)
end

function perform.table(op)
  run:table(place(op), op.name, op.columns, op.rows)
end

function perform.file(op)
  run:file(op.path)
end

function perform.console(op)
  log.info(op.line)
end

function perform.finish()
  run:finish()
end

perform["error"] = function()
  error("as asked")
end

function perform.exit(op)
  os.exit(op.exit_code)
end

function perform.spin(op)
  say(op.op)
  while true do
  end
end

for line in io.lines() do
  local op = decoded(json.decode(line))
  perform[op.op](op)
  say(op.op)
end
