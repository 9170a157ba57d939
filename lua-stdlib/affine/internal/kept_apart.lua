-- Whether the judged tasks were kept apart from what was trained on, asked of the records themselves.

local fs = require("affine.fs")
local held_out = require("affine.internal.held_out")
local json = require("affine.json")

local kept_apart = {}

-- So many collisions are named with file and line.
local NAMED = 10

--- The files of a data folder that were trained on, and the journals that they were written from.
local function files_of(folder)
  local files = {}
  for _, name in ipairs { "sft.jsonl", "base.jsonl" } do
    local path = folder .. "/" .. name
    files[#files + 1] = fs.exists(path) and path or nil
  end
  local stage = folder .. "/stage.json"
  local notes = fs.exists(stage) and json.decode(fs.read(stage)).notes or {}
  for _, path in ipairs(notes.journals or {}) do
    files[#files + 1] = fs.exists(path) and path or nil
  end
  return files
end

--- Looks for judged tasks in a file of records or of a journal's entries; how many records it holds.
local function look(path, index, on_found)
  local count, number = 0, 0
  for line in fs.lines(path) do
    number = number + 1
    local row = line:find("%S") and json.decode(line) or {}
    local record = row.left_out == nil and (row.record or row) or {}
    if record.messages or record.prompt or record.text then
      count = count + 1
      local task, by = index:find(record)
      if task then
        on_found(task, by, number)
      end
    end
  end
  return count
end

--- What evaluate.lua reports: `records` (how many in which file), `envs` (of each environment's judged tasks `n`, how
--- many were `trained_on`, and how many were `not_excluded` from the rollouts of RL), `not_held_out` (all of these),
--- `found` (the first of them, by file and line).
function kept_apart.check(tasks, names, folder)
  local index = held_out.index(tasks)
  local result = { records = {}, envs = {}, found = json.array {}, tasks = #tasks }
  for _, name in ipairs(names) do
    result.envs[name] = { n = 0, trained_on = 0, not_excluded = 0 }
  end
  local is_trained_on = {}
  for _, path in ipairs(files_of(folder)) do
    result.records[path] = look(path, index, function(task, by, line)
      is_trained_on[task] = true
      if #result.found < NAMED then
        local found = { file = path, line = line, env = task.label, task_id = task.task_id, by = by }
        table.insert(result.found, found)
      end
    end)
  end

  local excluded = {}
  for _, hash in ipairs(json.decode(fs.read(folder .. "/held_out.json"))) do
    excluded[hash] = true
  end
  result.not_held_out = 0
  for _, task in ipairs(tasks) do
    local own, is_excluded = result.envs[task.label], excluded[task.prompt]
    own.n = own.n + 1
    own.trained_on = own.trained_on + (is_trained_on[task] and 1 or 0)
    own.not_excluded = own.not_excluded + (is_excluded and 0 or 1)
    result.not_held_out = result.not_held_out + ((is_trained_on[task] or not is_excluded) and 1 or 0)
  end
  return result
end

return kept_apart
