-- What a model went through, read from the records of its stages, and not from the settings of today: those may be others.

local fingerprint = require("affine.internal.fingerprint")
local stage = require("affine.internal.stage")
local stages = require("affine.internal.stages")

local history = {}

---@class affine.internal.Step
---@field name string
---@field title string
---@field record table The `stage.json`.
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

--- The steps to the model that the evaluation calls `name` (base, sft or rl), in their order: collecting, making a base
--- where none was given, training, and judging where it `is_judged`. None of another model, of which no record tells.
---@param name? string
---@return affine.internal.Step[]
function history.of(settings, name, is_judged)
  local steps, makes_base = {}, settings.model.base_model_path == ""
  local function add(own_name, title, folder, trains)
    local record = fingerprint.read(stage.folder(settings, folder))
    steps[#steps + 1] = record and { name = own_name, title = title, record = record, stage = trains }
  end
  if name and (name ~= "base" or makes_base) then
    add("collect", "collecting data", "data_cache")
  end
  if name and makes_base then
    add("base", "new base", "models/base")
  end
  for _, trained in ipairs(name and name ~= "base" and stages or {}) do
    add(trained.name, trained.title, trained.folder, trained)
    if trained.name == name then
      break
    end
  end
  if is_judged then
    add("evaluate", "evaluation", "models/evaluation")
  end
  return steps
end

return history
