-- What decides a stage's result, and whether that has changed: the contents of `stage.json`.
--
-- A record holds `settings` (every deciding setting as a literal), `inputs` (the fingerprints of the stages it builds
-- on, by folder), `fingerprint` (SHA-256 of both), `done`, and the stage's own `notes`.

local config = require("affine.config")
local fs = require("affine.fs")
local json = require("affine.json")
local plan = require("affine.internal.plan")

local fingerprint = {}

-- Settings that change how a stage runs, but not what comes out of it.
local UNDECIDING = {
  "%.device$",
  "%.save_steps$",
  "%.save_total_limit$",
  "%.logging_steps$",
  "%.resume_from_checkpoint$",
}

--- The `stage.json` of a folder, or nil.
function fingerprint.read(folder)
  local path = folder .. "/stage.json"
  return fs.exists(path) and json.decode(fs.read(path)) or nil
end

--- The folder's stage record when that stage is done, from inputs as they are now; else nil.
function fingerprint.done(folder)
  plan.fetch(folder .. "/stage.json")
  local record = fingerprint.read(folder)
  if not record or not record.done then
    return nil
  end
  for input, expected in pairs(record.inputs) do
    local current = fingerprint.read(input)
    if current and current.fingerprint ~= expected then
      return nil
    end
  end
  return record
end

local function is_deciding(path)
  for _, pattern in ipairs(UNDECIDING) do
    if path:find(pattern) then
      return false
    end
  end
  return true
end

--- Every deciding setting below `path`, as literals by dotted path.
local function flatten(value, path, flat)
  if type(value) == "table" and value[1] == nil and next(value) ~= nil then
    for key, item in pairs(value) do
      flatten(item, path .. "." .. key, flat)
    end
  elseif is_deciding(path) then
    flat[path] = config.literal(value)
  end
  return flat
end

--- The SHA-256 of every file that defines an environment, by path.
local function environment_files(settings, flat)
  for _, entry in ipairs(settings.data.environments) do
    local name = type(entry) == "table" and entry.name or entry
    local module = name:match("^custom:(.+)$")
    local path = module and package.searchpath(module, package.path) or name:match("%.lua$") and name
    if path and fs.exists(path) then
      flat[path] = fs.sha256_file(path)
    end
  end
end

--- The settings that decide the stage's result, as literals by name.
local function deciding_settings(spec, settings, flags)
  local flat = { seed = config.literal(settings.seed) }
  environment_files(settings, flat)
  for _, path in ipairs(spec.settings) do
    flatten(config.get(settings, path), path, flat)
  end
  for name in pairs(spec.flags or {}) do
    flat["--" .. name] = flags[name] and config.literal(flags[name])
  end
  return flat
end

--- The fingerprints of the stages that this one builds on, by their folder.
local function inputs(spec, settings, flags)
  local fingerprints = {}
  for _, folder in ipairs(spec.needs(settings, flags)) do
    local record = fingerprint.done(folder)
    if not record then
      local text =
        "%s needs %s, which is missing, unfinished or out of date: run scripts/full.lua, or the stage before"
      error(text:format(spec.name, folder), 0)
    end
    fingerprints[folder] = record.fingerprint
  end
  return fingerprints
end

--- The record of a stage that is about to run.
function fingerprint.record(spec, settings, flags)
  local record = {
    stage = spec.name,
    settings = deciding_settings(spec, settings, flags),
    inputs = inputs(spec, settings, flags),
    done = false,
    notes = {},
  }
  record.fingerprint = fs.sha256(config.literal { record.stage, record.settings, record.inputs })
  return record
end

--- What differs between two stage records, in words.
function fingerprint.difference(before, now)
  local names, changes = {}, {}
  for _, record in ipairs { before, now } do
    for name in pairs(record.settings) do
      names[name] = true
    end
  end
  for name in pairs(names) do
    local was, is = before.settings[name], now.settings[name]
    if was ~= is then
      changes[#changes + 1] = ("%s was %s, is %s"):format(name, was or "not given", is or "not given")
    end
  end
  for folder, expected in pairs(now.inputs) do
    if before.inputs[folder] ~= expected then
      changes[#changes + 1] = folder .. " is new"
    end
  end
  table.sort(changes)
  return #changes > 3 and ("%s, and %d more changes"):format(changes[1], #changes - 1)
    or table.concat(changes, ", ")
end

return fingerprint
