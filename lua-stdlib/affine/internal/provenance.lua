-- Where a model's training data is from, in the model card's words: from the notes that collecting left.

local config = require("affine.config")
local history = require("affine.internal.history")
local licences = require("affine.internal.licences")
local report = require("affine.report")
local secrets = require("affine.internal.secrets")

local provenance = {}

--- Whether an environment was given the original's data, where it can also do without.
function provenance.has_data(source)
  local options = source.options or {}
  return options.data ~= nil or options.game ~= nil or source.env == "alfworld" and source.num_tasks ~= nil
end

--- How often which reason left something out, in words.
local function left_out(source)
  local reasons = {}
  for reason, count in pairs(source.left_out or {}) do
    reasons[#reasons + 1] = ("%d %s"):format(count, reason)
  end
  table.sort(reasons)
  return #reasons > 0 and "; left out: " .. table.concat(reasons, ", ") or ""
end

local PLAYERS = { random = "random play", expert = "the expert" }

local function played_by(source)
  if source.kind == "model" then
    return ("the model `%s`, whose own licence counts for its replies"):format(source.policy)
  end
  local noise = source.policy:match("(%S+ %%) random$")
  return PLAYERS[source.kind] .. (noise and (" with %s of its actions random"):format(noise) or "")
end

local function of_environment(source)
  local parts = { ("- `%s`"):format(report.cell(source.label)) }
  if source.options then
    parts[#parts + 1] = (" (`%s`)"):format(secrets.hidden(config.literal(source.options)))
  end
  local text = ": %d episodes by %s, %d of them successes, task ids from %s%s. Data: %s."
  parts[#parts + 1] = text:format(
    source.records,
    played_by(source),
    source.successes,
    source.first_task_id,
    left_out(source),
    licences.of(source.env, provenance.has_data(source))
  )
  return table.concat(parts)
end

local function of_file(source, record)
  local digest = record.files[source.file]
  local sum = digest and digest.sha256 ~= "" and (" (SHA-256 `%s`)"):format(digest.sha256) or ""
  local text = "- File `%s`%s: %d %s%s. Licence: %s."
  local noun = source.records == 1 and "record" or "records"
  return text:format(
    secrets.hidden(source.file),
    sum,
    source.records,
    noun,
    left_out(source),
    licences.NOT_STATED
  )
end

--- How many demonstrations were trained on, in one sentence.
local function demonstrations(record)
  local counts = record.notes.records
  local text = "%d demonstrations were trained on, %d kept for the validation loss; duplicates are %s."
  local drops = history.value(record, "data.deduplicate") and "left out" or "kept"
  return text:format(counts.train, counts.validation, drops)
end

--- What was trained on, a line per source: from the records of the stages by their names, as far as there are any.
---@param records table<string, table>
---@return string
function provenance.text(records)
  local collect = records.collect
  if not collect or not collect.notes.sources then
    return "Where the training data is from was not recorded."
  end
  local lines = {}
  for _, source in ipairs(collect.notes.sources) do
    if source.kind == "random" and records.base or source.kind ~= "random" and records.sft then
      lines[#lines + 1] = source.file and of_file(source, collect) or of_environment(source)
    end
  end
  if records.sft then
    lines[#lines + 1] = "\n" .. demonstrations(collect)
  end
  if records.rl then
    local text =
      "\nRL played tasks of the same environments with ids from %s to %s; those that are judged were left out."
    local first, last = "rl.first_task_id", "rl.last_task_id"
    lines[#lines + 1] = text:format(history.setting(records.rl, first), history.setting(records.rl, last))
  end
  return table.concat(lines, "\n")
end

--- The data sets of the Hub among it, by their ids; `id_of` gives the id of a path.
function provenance.datasets(record, id_of)
  local ids, seen = {}, {}
  for _, source in ipairs(record and record.notes.sources or {}) do
    local path = source.file or source.options and source.options.data
    local id = type(path) == "string" and id_of(path)
    if id and not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
  return ids
end

return provenance
