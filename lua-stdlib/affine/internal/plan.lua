-- A plan (`affine --plan`) collects and judges little: the settings that decide how much, made small in one place.

---@diagnostic disable-next-line: unresolved-require
local native = require("affine.native.plan")

local plan = {}

-- A setting by its path, and what it becomes at most.
local SMALL = {
  { "data.num_samples", 4 },
  { "data.base.num_samples", 4 },
  { "evaluation.num_eval_samples", 2 },
  { "evaluation.min_score_threshold", 0 },
}

local function smaller(value, most)
  if type(value) ~= "table" then
    return math.min(value, most)
  end
  local result = {}
  for name, number in pairs(value) do
    result[name] = math.min(number, most)
  end
  return result
end

--- Makes settings small in place when this is a plan; `literal` shows what they were.
function plan.cut(settings, literal)
  if not native.active() then
    return
  end
  for _, entry in ipairs(SMALL) do
    local section, path, most = settings, entry[1], entry[2]
    for key in path:gmatch("([^.]+)%.") do
      section = section[key]
    end
    local key = path:match("[^.]+$")
    local real = literal(section[key])
    section[key] = smaller(section[key], most)
    local now = literal(section[key])
    if real ~= now then
      native.cut(path, real, now)
    end
  end
end

--- Whether this is a plan.
plan.active = native.active

--- What is noted from here on belongs to this stage.
plan.stage = native.stage

--- Brings the record of a stage that the user has finished, which a plan's folder does not show at first.
plan.fetch = native.fetch

return plan
