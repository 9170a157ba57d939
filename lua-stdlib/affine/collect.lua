-- Collecting records: one source at a time, every task tried noted in a journal, so that an interruption loses nothing.
--
-- A source is { name, key, tasks, draw }: `key` is what decides its records, `tasks` an iterator over task ids, `draw`
-- gives the record of a task, or nil and why not. Its journal holds a line per task tried; a journal of the same key is
-- read first and goes on, so num_samples can grow.

local config = require("affine.config")
local data = require("affine.data")
local fs = require("affine.fs")
local json = require("affine.json")
local log = require("affine.log")
local random = require("affine.random")
---@diagnostic disable-next-line: unresolved-require
local version = require("affine.native.version")

local collect = {}

--- A journal's entries by task id; a last line that an interruption left half written is cut off.
local function read_journal(path)
  if not fs.exists(path) then
    return {}
  end
  local text = fs.read(path)
  local whole = text:match("^.*\n") or ""
  if whole ~= text then
    fs.write(path, whole)
  end
  local entries = {}
  for line in whole:gmatch("[^\n]+") do
    local entry = json.decode(line)
    entries[entry.task_id] = entry
  end
  return entries
end

--- Where a source's journal is: its name and what decides its records.
local function journal_path(folder, source)
  local name = source.name:gsub("[^%w_.-]+", "-") -- a label may have what a file's name should not
  return ("%s/%s-%s.jsonl"):format(folder, name, fs.sha256(config.literal(source.key)):sub(1, 16))
end

--- How many of a journal's records another version of affine made, in words.
local function of_other_versions(entries)
  local now, counts, words = "affine " .. version, {}, {}
  for _, entry in pairs(entries) do
    local made_by = entry.record and entry.record.source
    if type(made_by) == "string" and made_by:find("^affine %d") and made_by ~= now then
      counts[made_by] = (counts[made_by] or 0) + 1
    end
  end
  for made_by, count in pairs(counts) do
    words[#words + 1] = ("; %d of its records are of %s"):format(count, made_by)
  end
  table.sort(words)
  return table.concat(words)
end

--- Records of a source, `count` of them or as many as its tasks give, in the order of its tasks; and a table of how
--- often which reason left a task out; and the journal. `on_entry` hears of every task.
function collect.run(folder, source, count, on_entry)
  fs.mkdir(folder)
  local path = journal_path(folder, source)
  local _ <close> = fs.lock(path)
  local before = read_journal(path)
  local records, left_out, seen = {}, {}, {}
  if next(before) then
    log.info(("%s: goes on with the journal %s%s"):format(source.name, path, of_other_versions(before)))
  end
  for task_id in source.tasks() do
    if #records >= count then
      break
    end
    local entry = before[task_id]
    if not entry then
      local record, reason = source.draw(task_id)
      entry = { task_id = task_id, record = record, left_out = not record and reason or nil }
      fs.append(path, json.encode(entry) .. "\n")
    end
    local reason = entry.left_out
    if entry.record and source.deduplicate then
      local hash = fs.sha256(json.encode(entry.record.messages))
      reason = seen[hash] and "duplicate" or nil
      seen[hash] = true
    end
    if reason then
      left_out[reason] = (left_out[reason] or 0) + 1
    else
      records[#records + 1] = entry.record
    end
    on_entry(#records, left_out, reason)
  end
  return records, left_out, path
end

--- Whether a task is trained on or validates: by a hash of environment and id, so the same task is always on one side.
function collect.trains(name, task_id, train_split)
  local number = tonumber(fs.sha256(("%s:%s"):format(name, task_id)):sub(1, 8), 16)
  return number < train_split * 2 ^ 32
end

--- Records as two lists, training and validation, and each record's `split` says which. "task" asks `collect.trains`;
--- "order" takes the last for validation.
function collect.split(records, train_split, how)
  local train, validation = {}, {}
  local border = math.floor(train_split * #records)
  for index, record in ipairs(records) do
    local trains = index <= border
    if how == "task" then
      trains = collect.trains(record.env, record.task_id, train_split)
    end
    record.split = trains and "train" or "validation"
    table.insert(trains and train or validation, record)
  end
  return train, validation
end

-- Task ids ----------------------------------------------------------------------------------------------------------

-- Of an environment with few tasks the evaluation takes at most this share, and the choice of a constant as much.
local SHARE = 4

-- Beyond it a float, as other programs keep task ids, is no integer any more; and as many as a list of them should have.
local LAST_TASK, MOST_TASKS = 1 << 53, 10000000

--- A number of tasks, or of one, as an integer; an error at the caller's caller where it is none.
local function whole(name, argument, value, most)
  local integer = type(value) == "number" and math.tointeger(value)
  if not integer or integer < 0 or integer > most then
    local text = "collect.%s: %s: expected an integer from 0 to %d, got %s"
    error(text:format(name, argument, most, value), 3)
  end
  return integer
end

--- The ids `first .. first + count - 1` where the environment has them; else ids spread evenly over all it has, at most
--- a quarter of them, `offset` (0 or more) behind each step's first. The second result is how many tasks there are, where
--- they were spread.
function collect.task_ids(about, first, count, offset)
  first, count = whole("task_ids", "first", first, LAST_TASK), whole("task_ids", "count", count, MOST_TASKS)
  local ids, tasks = {}, about.num_tasks
  if not tasks or first + count <= tasks then
    for id = first, first + count - 1 do
      ids[#ids + 1] = id
    end
    return ids
  end
  count = math.max(1, math.min(count, tasks // SHARE))
  for index = 0, count - 1 do
    ids[#ids + 1] = math.min(index * tasks // count + offset, tasks - 1)
  end
  return ids, tasks
end

--- An iterator over the ids to learn from: from `first` on where the environment has `count` from there, else all it has,
--- shuffled.
function collect.training_ids(about, first, count)
  first, count =
    whole("training_ids", "first", first, LAST_TASK), whole("training_ids", "count", count, LAST_TASK)
  local tasks = about.num_tasks
  if not tasks or first + count <= tasks then
    local id, last = first - 1, tasks and tasks - 1 or math.maxinteger
    return function()
      id = id + 1
      return id <= last and id or nil
    end
  end
  whole("training_ids", "about.num_tasks", tasks, MOST_TASKS)
  local ids, rng = {}, random.new(0, "collect tasks " .. about.name, 0)
  for id = 0, tasks - 1 do
    ids[id + 1] = id
  end
  for last = #ids, 2, -1 do
    local other = rng:int(1, last)
    ids[last], ids[other] = ids[other], ids[last]
  end
  local place = 0
  return function()
    place = place + 1
    return ids[place]
  end
end

-- Other files --------------------------------------------------------------------------------------------------------

local ROLES = { system = "system", user = "user", assistant = "assistant", human = "user", gpt = "assistant" }

--- Whether a list has an item; some data sets write it as a text.
local function holds_something(list)
  return type(list) == "table" and next(list) ~= nil or type(list) == "string" and list:find("%w") ~= nil
end

-- What says of a turn whether it is trained: AgentTraj's `loss`, and how other trainers spell it.
local MARKS = { "loss", "weight", "train", "training", "trainable", "loss_mask" }
local TRUTHS = { [true] = true, [false] = false, [1] = true, [0] = false }

--- Whether a turn is trained, or nil where nothing says it; or nil and what is wrong.
local function mark_of(turn, role)
  local trained
  for _, key in ipairs(MARKS) do
    local value = turn[key]
    if value ~= nil and value ~= json.null then
      local truth = TRUTHS[value]
      if truth == nil then
        local shown = json.encode(value)
        return nil, ("`%s`: expected true, false, 0 or 1, got %s"):format(key, shown)
      elseif trained ~= nil and trained ~= truth then
        return nil, ("`%s` contradicts what stands beside it"):format(key)
      elseif truth and role ~= "assistant" then
        return nil, ("`%s` asks to train what the %s says"):format(key, role)
      end
      trained = truth
    end
  end
  return trained
end

--- A conversation in either spelling as messages, or nil and what is wrong.
local function messages_of(conversation)
  local messages, trains = {}, false
  for index, turn in ipairs(type(conversation) == "table" and conversation or {}) do
    turn = type(turn) == "table" and turn or {}
    local role, content = ROLES[turn.role or turn.from or ""], turn.content or turn.value
    if not role or type(content) ~= "string" then
      return nil, ("turn %d of its conversation has no role or text that is known"):format(index)
    elseif holds_something(turn.tool_calls) then
      return nil, ("turn %d of its conversation calls a tool, which is not supported yet"):format(index)
    end
    local trained, problem = mark_of(turn, role)
    if problem then
      return nil, ("turn %d of its conversation: %s"):format(index, problem)
    end
    local marked = role == "assistant" and trained == false
    messages[index] = { role = role, content = content }
    if marked then
      messages[index].loss = false
    end
    trains = trains or role == "assistant" and not marked
  end
  if #messages == 0 then
    return nil, "it has no conversation"
  elseif messages[#messages].role ~= "assistant" then
    return nil, "it does not end with a reply"
  elseif not trains then
    return nil, "every reply in it is marked to carry no loss"
  end
  return messages
end

--- A validator's published result as messages, environment, task id and score: the shape until November 2025, with
--- `challenge`, `response` and `evaluation`, or the flat one after it.
local function of_result(row)
  if type(row.challenge) == "table" then
    local challenge, response, evaluation = row.challenge, row.response or {}, row.evaluation or {}
    local messages =
      { { role = "user", content = challenge.prompt }, { role = "assistant", content = response.response } }
    local conversation = evaluation.extra and evaluation.extra.conversation
    return conversation or messages, challenge.env, challenge.challenge_id, evaluation.score
  end
  local extra = row.extra or {}
  local request = extra.request or {}
  return extra.conversation, row.env, row.task_id or request.task_id, row.score
end

--- The rows of a file, whichever of the forms of `data.rows` it has, and the place of each.
local function rows_of(path)
  local ok, rows, places = pcall(data.rows, path)
  if not ok then
    ---@cast rows affine.Error
    local problem = rows.message or tostring(rows)
    if problem:find("JSON", 1, true) then
      local broken = "%s: is no whole JSON file, perhaps half downloaded; nothing of it was taken (%s)"
      problem = broken:format(path, problem)
    end
    error(problem, 0)
  end
  return rows, places
end

-- At most this many places of a fault are named.
local FEW = 5

--- Names the rows that cannot be trained on: `faults` are lists of places by what is wrong there.
local function tell(path, faults, count)
  local named, together = {}, 0
  for problem, places in pairs(faults) do
    together = together + #places
    local more = #places > FEW and (", and %d more"):format(#places - FEW) or ""
    local first = table.concat(places, ", ", 1, math.min(FEW, #places))
    named[#named + 1] = ("%s (%s%s)"):format(problem, first, more)
  end
  table.sort(named)
  if together > 0 then
    local text = "%s: %d of %d rows cannot be trained on: %s"
    log.warn(text:format(path, together, count, table.concat(named, "; ")))
  end
end

--- The records of a file of published results or of conversations (AgentTraj's `conversations`, or `messages`), those
--- that score at least `min_score`, and how often which reason left a row out. A row without a score is kept unless it
--- is a result. `judged:find(record)` says whether a record is a task that is judged.
function collect.read(path, min_score, judged)
  local records, left_out, seen, faults = {}, {}, {}, {}
  local function leave(reason)
    left_out[reason] = (left_out[reason] or 0) + 1
  end
  local rows, places = rows_of(path)
  for index, row in ipairs(rows) do
    row = type(row) == "table" and row or {}
    if holds_something(row.tools) then
      local text = "%s: %s: `tools`: tools and their calls are not supported yet"
      error(text:format(path, places[index]), 0)
    end
    local conversation, name, task_id, score =
      row.conversations or row.messages, row.env, row.task_id or row.item_id or row.id, row.score
    if not conversation then
      conversation, name, task_id, score = of_result(row)
      score = type(score) == "number" and score or -math.huge
    end
    local messages, problem = messages_of(conversation)
    local hash = messages and fs.sha256(json.encode(messages))
    local about = { messages = messages, env = name, task_id = task_id, options = row.options }
    if not messages then
      leave(problem)
      faults[problem] = faults[problem] or {}
      table.insert(faults[problem], places[index])
    elseif score and score < min_score then
      leave("score below data.min_score")
    elseif judged and judged:find(about) then
      leave("held out")
    elseif seen[hash] then
      leave("duplicate")
    else
      seen[hash] = true
      records[#records + 1] = {
        messages = messages,
        env = type(name) == "string" and name:match("[^:]+$")
          or tostring(task_id or ""):match("^[%a]+")
          or "unknown",
        options = row.options,
        task_id = task_id or ("row %d"):format(#records + 1), -- no number, which would name another task
        policy = "file",
        source = path,
        score = score,
      }
    end
  end
  tell(path, faults, #rows)
  return records, left_out
end

return collect
