-- What a model went through, read from the records of its stages, and not from the settings of today: those may be others.

local fingerprint = require("affine.internal.fingerprint")
local fs = require("affine.fs")
local stage = require("affine.internal.stage")
local stages = require("affine.internal.stages")

local history = {}

---@class affine.internal.Step
---@field name string
---@field title string
---@field record? table The `stage.json`; nil where there is none.
---@field stage? affine.internal.Stage Of a stage that trains a model on the demonstrations.

--- The text of a setting that a stage recorded, strings without their quotes.
function history.setting(record, path)
  local literal = record.settings[path] or "(not recorded)"
  return literal:match('^"(.*)"$') or literal
end

--- The value of a setting that a stage recorded; nil where it recorded none.
function history.value(record, path)
  local chunk = load("return " .. (record.settings[path] or "nil"), "=stage.json", "t", {})
  return chunk and chunk()
end

local function step_of(settings, name, title, folder, trains)
  local path = stage.folder(settings, folder)
  return {
    name = name,
    title = title,
    record = fs.exists(path) and fingerprint.read(path) or nil,
    stage = trains,
  }
end

--- The steps to the model that the evaluation calls `name` (base, sft or rl), in their order: collecting, making a base
--- where none was given, training, and judging. None of another model, of which no record tells.
---@param name? string
---@return affine.internal.Step[]
function history.of(settings, name)
  local steps = {}
  local function add(...)
    local step = step_of(settings, ...)
    steps[#steps + 1] = step.record and step or nil
  end
  if not name then
    return steps
  end
  add("collect", "collecting data", "data_cache")
  if settings.model.base_model_path == "" then
    add("base", "new base", "models/base")
  end
  for _, trained in ipairs(name == "base" and {} or stages) do
    add(trained.name, trained.title, trained.folder, trained)
    if trained.name == name then
      break
    end
  end
  add("evaluate", "evaluation", "models/evaluation")
  return steps
end

return history
