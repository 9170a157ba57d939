-- What decides a stage's result, and whether that has changed: the contents of `stage.json`.
--
-- A record holds `settings` (as literals, by path), `files` (what it reads beside other stages' results, by content),
-- `inputs` (what it reads of those, by folder and file), `others` (what lay in its folder before) and `outputs` (what it
-- left there), `fingerprint` (SHA-256 of what decides), `done`, and what decides nothing: `affine` (the version that made
-- it), `versions` (of everything, and the machine), `command` (by which it was made), `seconds`, and the stage's own `notes`.
--
-- Every setting counts but for UNDECIDING and those that belong to other stages, which each stage lists.

local config = require("affine.config")
local fs = require("affine.fs")
local json = require("affine.json")
---@diagnostic disable-next-line: unresolved-require
local native = require("affine.native.pipeline")
local plan = require("affine.internal.plan")
---@diagnostic disable-next-line: unresolved-require
local version = require("affine.native.version")

local fingerprint = {}

-- Settings that change how a stage runs and what it is called, but not what comes out of it.
local UNDECIDING = {
  "^preset$",
  "^experiment$",
  "^tracking%.",
  "%.device$",
  "%.save_steps$",
  "%.save_total_limit$",
  "%.logging_steps$",
  "%.resume_from_checkpoint$",
}

-- In a stage's folder, but nothing that another one reads.
local NO_RESULTS = { "stage.json", "journals" }

--- The `stage.json` of a folder, or nil; one of another form is none.
function fingerprint.read(folder)
  local path = folder .. "/stage.json"
  local record = fs.exists(path) and json.decode(fs.read(path)) or nil
  return record and record.files and record or nil
end

--- What a stage's folder holds, by path.
local function contents_of(folder, known)
  return native.digests(folder, known or {}, NO_RESULTS)
end

--- What a stage's folder holds, by the path in there.
function fingerprint.held(folder, known)
  local by_path, held = {}, {}
  for name, digest in pairs(known or {}) do
    by_path[folder .. "/" .. name] = digest
  end
  for path, digest in pairs(contents_of(folder, by_path)) do
    held[path:sub(#folder + 2)] = digest
  end
  return held
end

--- What a stage made: all that its folder holds now but what lay there before and was not written since.
function fingerprint.made(folder, others)
  local made = fingerprint.held(folder, others)
  for name, digest in pairs(others) do
    local is_other = digest.stamp ~= "" and made[name] and made[name].stamp == digest.stamp
    if is_other then
      made[name] = nil
    end
  end
  return made
end

--- Whether all that was read is as it was.
local function is_same(before, now)
  for name, digest in pairs(before) do
    if not now[name] or now[name].sha256 ~= digest.sha256 then
      return false
    end
  end
  return true
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
    if current and not (current.done and is_same(expected, contents_of(input, expected))) then
      return nil
    end
  end
  return record
end

--- What differs between two tables of digests, as sentences such as "my_env.lua changed".
local function add_differences(changes, before, now)
  for name, digest in pairs(now) do
    if not before[name] then
      changes[#changes + 1] = name .. " is new"
    elseif before[name].sha256 ~= digest.sha256 then
      changes[#changes + 1] = name .. " changed"
    end
  end
  for name in pairs(before) do
    if not now[name] then
      changes[#changes + 1] = name .. " is gone"
    end
  end
end

--- Which of a finished stage's files changed since, by path.
function fingerprint.edits(folder, record)
  local now, edits = fingerprint.held(folder, record.outputs), {}
  for name, digest in pairs(record.outputs) do
    if now[name] and now[name].sha256 ~= digest.sha256 then
      edits[#edits + 1] = folder .. "/" .. name
    end
  end
  table.sort(edits)
  return edits
end

--- A file of a finished stage that is no longer there, by path, or nil.
function fingerprint.lacks(folder, record)
  for name in pairs(record.outputs) do
    local path = folder .. "/" .. name
    if not fs.exists(path) then
      return path
    end
  end
  return nil
end

-- A stage's record -----------------------------------------------------------------------------------------------------

--- Whether a path lies below one of `names`, words with spaces between.
local function is_below(path, names)
  for name in (names or ""):gmatch("%S+") do
    if path == name or path:sub(1, #name + 1) == name .. "." then
      return true
    end
  end
  return false
end

local function is_deciding(except, ignores, path)
  for _, pattern in ipairs(UNDECIDING) do
    if path:find(pattern) then
      return false
    end
  end
  return is_below(path, except) or not is_below(path, ignores)
end

--- Every setting below `path`, as literals by dotted path.
local function flatten(value, path, flat)
  if type(value) == "table" and value[1] == nil and next(value) ~= nil then
    for key, item in pairs(value) do
      flatten(item, path == "" and key or path .. "." .. key, flat)
    end
  else
    flat[path] = config.literal(value)
  end
  return flat
end

local function deciding_settings(spec, settings, flags)
  local flat, ignores = flatten(settings, "", {}), spec.ignores
  if type(ignores) == "function" then
    ignores = ignores(settings)
  end
  for path in pairs(flat) do
    if not is_deciding(spec.except, ignores, path) then
      flat[path] = nil
    end
  end
  for name, flag in pairs(spec.flags or {}) do
    if flag.decides ~= false then
      flat["--" .. name] = flags[name] and config.literal(flags[name])
    end
  end
  return flat
end

--- What this stage reads of what those before it left, by their folder.
local function stages_results(spec, settings, flags, known)
  local results = {}
  for _, need in ipairs(spec.needs(settings, flags)) do
    local folder = type(need) == "table" and need[1] or need
    if not fingerprint.done(folder) then
      local text =
        "%s needs %s, which is missing, unfinished or out of date: run scripts/full.lua, or the stage before"
      error(text:format(spec.name, folder), 0)
    end
    local all, read = contents_of(folder, known[folder]), {}
    for index = 2, type(need) == "table" and #need or 0 do
      local path = folder .. "/" .. need[index]
      read[path] = all[path]
    end
    results[folder] = type(need) == "table" and read or all
  end
  return results
end

local function contents(digests)
  local sums = {}
  for name, digest in pairs(digests) do
    sums[name] = digest.sha256
  end
  return sums
end

--- The record of a stage that is about to run. `before` is the last one, whose digests spare reading what stayed.
function fingerprint.record(spec, settings, flags, before)
  local record = {
    stage = spec.name,
    affine = version,
    settings = deciding_settings(spec, settings, flags),
    files = {},
    inputs = stages_results(spec, settings, flags, before and before.inputs or {}),
    others = {},
    outputs = {},
    done = false,
    notes = {},
  }
  local known = before and before.files or {}
  if spec.reads then
    spec.reads(settings, record.files, known, flags)
  end
  for name, digest in pairs(record.files) do
    if known[name] and (digest.sha256 == "" or known[name].sha256 == "") then
      record.files[name] = known[name] -- of a model that was or is not in the Hub's cache nothing can be compared
    end
  end
  return fingerprint.seal(record)
end

--- Computes what a record is compared by, from what is in it now.
function fingerprint.seal(record)
  local results = {}
  for folder, digests in pairs(record.inputs) do
    results[folder] = contents(digests)
  end
  record.fingerprint =
    fs.sha256(config.literal { record.stage, record.settings, contents(record.files), results })
  return record
end

local LONGEST = 60

--- What differs between two stage records, in words.
function fingerprint.difference(before, now)
  local changes, names = {}, {}
  for _, record in ipairs { before, now } do
    for name in pairs(record.settings) do
      names[name] = true
    end
  end
  for name in pairs(names) do
    local was, is = before.settings[name] or "not given", now.settings[name] or "not given"
    if was ~= is then
      local text = ("%s was %s, is %s"):format(name, was, is)
      changes[#changes + 1] = #was + #is > LONGEST and name .. " changed" or text
    end
  end
  add_differences(changes, before.files, now.files)
  for folder, digests in pairs(now.inputs) do
    add_differences(changes, before.inputs[folder] or {}, digests)
  end
  table.sort(changes)
  local shown = table.concat(changes, ", ", 1, math.min(#changes, 3))
  return #changes > 3 and ("%s, and %d more"):format(shown, #changes - 3) or shown
end

return fingerprint
