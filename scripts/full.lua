-- The whole pipeline: collect, sft, rl, evaluate, deploy, in one run folder. Stages that are done already are skipped.
--
--   affine scripts/full.lua                        # the demo: a small new model, on any laptop
--   affine scripts/full.lua --preset affine-0004   # Qwen3-4B with the original settings
--   affine scripts/full.lua --help                 # every setting

local config = require("affine.config")
local pipeline = require("affine.pipeline")
local report = require("affine.report")
local time = require("affine.time")

local settings = config.load(arg)
local run = pipeline.open(settings, "full")
local started = time.clock()

for _, name in ipairs { "collect", "sft", "rl", "evaluate", "deploy" } do
  local stage = require(name)
  stage(settings, run)
end

run:finish()
local page = run:path() .. "/report.html"
report.write(page, { run:path() })

local seconds = time.clock() - started
print(
  ("\nAll stages done in %d min %02d s. Run folder: %s; to read: %s"):format(
    seconds // 60,
    seconds % 60 // 1,
    run:path(),
    page
  )
)
