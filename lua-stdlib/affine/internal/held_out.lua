-- The tasks that are judged, and whether a record is one of them.
--
-- A record is one of them by its environment and task id (a spelling such as "affine:sat" or "textcraft_12" means the
-- same; with other options it is another environment), or by its prompt: word for word with the instructions, or, in
-- whatever words they are, without them. The prompt without its instructions is the first observation, or the whole
-- opening where observations do not tell the tasks apart, less what all tasks of the environment begin and end with.

local collect = require("affine.collect")
local config = require("affine.config")
local env = require("affine.env")

local held_out = {}

-- Fewer words than this may stand in a text by chance: they count only where they end a message, from a line's start.
local FEW = 8
-- Of the tasks' prompts, observations must tell so many apart to stand for them.
local TELLING = 0.9
-- Tasks beside those judged, to see what all have in common.
local OTHERS = 8

--- A text as words and signs, in small letters: white space does not count.
local function words_of(text)
  local words = {}
  for word in text:lower():gsub("[^%w%s\128-\255]", " %0 "):gmatch("%S+") do
    words[#words + 1] = word
  end
  return words
end

-- Tasks ---------------------------------------------------------------------------------------------------------------

--- How a task begins, or nil where it does not.
local function open(e, task_id)
  local ok, observation = pcall(e.reset, e, task_id)
  local messages = ok and e:messages()
  if not messages then
    return nil
  end
  local said, answers = {}, false
  for _, message in ipairs(messages) do
    if message.role == "assistant" then
      answers = true
    else
      said[#said + 1] = message.content
    end
  end
  return {
    task_id = task_id,
    observation = observation,
    opening = table.concat(said, "\n"),
    prompt = env.prompt_hash(messages),
    answers = answers,
  }
end

--- Whether the first observations tell the tasks apart nearly as well as the prompts do.
local function observations_tell(tasks)
  local prompts, observations, counts = {}, {}, { 0, 0 }
  for _, task in ipairs(tasks) do
    for index, pair in ipairs { { prompts, task.prompt }, { observations, task.observation } } do
      local seen, key = pair[1], pair[2]
      counts[index] = counts[index] + (seen[key] and 0 or 1)
      seen[key] = true
    end
  end
  return counts[2] >= TELLING * counts[1]
end

--- How many words all lists begin with; with `from_behind`, end with, `taken` of them being spoken for.
local function in_common(lists, from_behind, taken)
  local count = 0
  while true do
    local common
    for _, words in ipairs(lists) do
      local word = words[from_behind and #words - count or count + 1]
      if not word or count >= #words - taken or common and word ~= common then
        return count
      end
      common = word
    end
    if not common then
      return count
    end
    count = count + 1
  end
end

--- Gives every task its `words`: the prompt without what all tasks have in common.
local function strip(tasks)
  local tell, lists = observations_tell(tasks), {}
  for index, task in ipairs(tasks) do
    lists[index] = words_of(tell and task.observation or task.opening)
    task.told_by_observation = tell
  end
  local first = in_common(lists, false, 0)
  local last = in_common(lists, true, first)
  for index, task in ipairs(tasks) do
    local words = lists[index]
    local is_all = #words <= first + last
    task.words = is_all and words or { table.unpack(words, first + 1, #words - last) }
    task.ending = is_all and {} or { table.unpack(words, #words - last + 1) }
  end
end

--- The judged tasks of one environment.
local function tasks_of(e, label, options, evaluation)
  local about = e:describe()
  local ids = collect.task_ids(about, evaluation.first_task_id, evaluation.num_eval_samples, 0)
  local tasks, is_judged = {}, {}
  local function add(task_id)
    local task = open(e, task_id)
    if task then
      task.env, task.label, task.options = about.name, label, options
      tasks[#tasks + 1] = task
    end
  end
  for _, task_id in ipairs(ids) do
    is_judged[task_id] = true
    add(task_id)
  end
  local judged = #tasks
  for offset = 1, OTHERS do
    local task_id = (ids[#ids] or 0) + offset
    task_id = about.num_tasks and math.tointeger(task_id % about.num_tasks) or task_id
    if not is_judged[task_id] then
      add(task_id)
    end
  end
  strip(tasks)
  return table.move(tasks, 1, judged, 1, {})
end

--- The judged tasks of all environments, in their order: env, label, options, task_id, prompt (its hash), words, and whether
--- the first observation tells it from others.
function held_out.tasks(environments, labels, entry_options, evaluation)
  local all = {}
  for index, e in ipairs(environments) do
    local tasks = tasks_of(e, labels[index], entry_options[index], evaluation)
    table.move(tasks, 1, #tasks, #all + 1, all)
  end
  return all
end

-- Finding them ----------------------------------------------------------------------------------------------------------

local Index = {}
Index.__index = Index

--- An environment's name and a task's number as a record spells them.
local function name_and_id(record)
  local name, id = record.env, record.task_id
  local from_id, number = tostring(id or ""):match("^([%a_-]-)_?(%d+)$")
  id = math.tointeger(tonumber(id) or tonumber(number))
  if type(name) ~= "string" then
    name = from_id
  end
  return name and (name:match("[^:/]*$") or name):lower(), id
end

--- The index of tasks, asked by `index:find(record)`.
function held_out.index(tasks)
  local self = setmetatable({ prompts = {}, ids = {}, starts = {}, few = {}, answers = {} }, Index)
  for _, task in ipairs(tasks) do
    local name = name_and_id(task)
    self.prompts[task.prompt] = self.prompts[task.prompt] or task
    self.ids[name] = self.ids[name] or {}
    self.ids[name][task.task_id] = self.ids[name][task.task_id] or {}
    table.insert(self.ids[name][task.task_id], task)
    self.answers[name] = task.answers
    if #task.words >= FEW then
      local start = table.concat(task.words, " ", 1, FEW)
      self.starts[task.words[1]] = self.starts[task.words[1]] or {}
      self.starts[task.words[1]][start] = self.starts[task.words[1]][start] or {}
      table.insert(self.starts[task.words[1]][start], task)
    else
      local words = table.concat(task.words, " ")
      self.few[words] = task
      self.few[words .. " " .. table.concat(task.ending, " ")] = task
    end
  end
  return self
end

--- Options that decide tasks, as one text: how an environment is called decides none.
local function deciding(options)
  local own = {}
  for key, value in pairs(options or {}) do
    own[key] = key ~= "label" and value or nil
  end
  return config.literal(own)
end

function Index:by_id(record)
  local name, id = name_and_id(record)
  for _, task in ipairs(self.ids[name] and self.ids[name][id] or {}) do
    local is_other = type(record.options) == "table" and deciding(record.options) ~= deciding(task.options)
    if not is_other then
      return task
    end
  end
  return nil
end

--- Whether `words` go on with the task's from `at` on.
local function goes_on(words, at, task)
  for offset, word in ipairs(task.words) do
    if words[at + offset - 1] ~= word then
      return false
    end
  end
  return true
end

function Index:in_words(words)
  for at = 1, #words - FEW + 1 do
    local starts = self.starts[words[at]]
    for _, task in ipairs(starts and starts[table.concat(words, " ", at, at + FEW - 1)] or {}) do
      if goes_on(words, at, task) then
        return task
      end
    end
  end
  return nil
end

--- A prompt of few words at the end of a text, from the start of one of its last lines.
function Index:at_end(text)
  local tail, lines = "", {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  for index = #lines, math.max(1, #lines - FEW), -1 do
    tail = lines[index] .. "\n" .. tail
    local task = self.few[table.concat(words_of(tail), " ")]
    if task then
      return task
    end
  end
  return nil
end

--- The messages of a record in any form that is trained on, and the text before its first reply.
local function messages_of(record)
  local messages = record.messages or record.prompt or record.text
  if type(messages) == "string" then
    return { { role = "user", content = messages } }
  end
  return type(messages) == "table" and messages or {}
end

--- The messages before the first reply; before the second in an environment that lets the model consent first.
function Index:opening(record)
  local name, opening, replies = name_and_id(record), {}, 0
  local consents = self.answers[name] ~= false
  for _, message in ipairs(messages_of(record)) do
    if message.role == "assistant" then
      replies = replies + 1
      if replies > (consents and 1 or 0) then
        break
      end
    elseif type(message.content) == "string" then
      opening[#opening + 1] = message.content
    end
  end
  return opening
end

function Index:word_for_word(record)
  local prompt = {}
  for index, message in ipairs(messages_of(record)) do
    if type(message.content) ~= "string" then
      return nil
    end
    prompt[index] = { role = message.role, content = message.content }
    local task = message.role ~= "assistant" and self.prompts[env.prompt_hash(prompt)]
    if task then
      return task
    elseif index > 4 then
      return nil -- no opening is longer
    end
  end
  return nil
end

--- The judged task that a record is, or nil; and by what it is one.
function Index:find(record)
  local task = self:by_id(record)
  if task then
    return task, "task id"
  end
  task = self:word_for_word(record)
  if task then
    return task, "prompt"
  end
  for _, text in ipairs(self:opening(record)) do
    task = self:in_words(words_of(text)) or self:at_end(text)
    if task then
      return task, "prompt without its instructions"
    end
  end
  return nil
end

return held_out
