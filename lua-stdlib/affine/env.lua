-- Environments: defining one in Lua, and playing an episode with a Lua function as the player.
--
-- Boundary: `define` checks a definition and nothing else; the native `env.make` turns it into a playable handle.

local suggest = require("affine.internal.suggest")

---@diagnostic disable-next-line: unresolved-require
local env = require("affine.native.env")

local Definition = { __name = "affine.env.definition" }

-- What a definition may hold: the accepted types, and whether it must be there.
---@type table<string, { [integer]: string, required?: boolean }>
local FIELDS = {
  name = { "string", required = true },
  system = { "string", "function" },
  prompt = { "string", "function" },
  options = { "table" },
  reset = { "function", required = true },
  step = { "function", required = true },
  messages = { "function" },
  parse = { "function" },
  expert = { "function" },
  explain = { "function" },
  reply = { "function" },
  random_action = { "function" },
  rule = { "function" },
  constant_actions = { "table" },
  max_turns = { "number" },
  turn_limit = { "string" },
  num_tasks = { "number" },
  score_range = { "table" },
  success_threshold = { "number" },
}

local function check_fields(definition, complain)
  local names = {}
  for name in pairs(FIELDS) do
    names[#names + 1] = name
  end
  table.sort(names)
  for key, value in pairs(definition) do
    local types = FIELDS[key]
    if not types then
      complain("unknown field `%s`%s", tostring(key), suggest.ending(tostring(key), names))
    end
    local found = false
    for _, expected in ipairs(types) do
      found = found or type(value) == expected
    end
    if not found then
      complain("%s: expected a %s, got a %s", key, table.concat(types, " or a "), type(value))
    end
  end
  for _, name in ipairs(names) do
    if FIELDS[name].required and definition[name] == nil then
      complain("the field `%s` is missing", name)
    end
  end
end

local function check_values(definition, complain)
  if not definition.name:match("^[%w_-]+$") then
    complain('name: expected letters, digits, "_" and "-", got "%s"', definition.name)
  end
  if not definition.prompt and not definition.messages then
    complain("either `prompt` (the instructions) or `messages` must be given")
  end
  for _, key in ipairs { "max_turns", "num_tasks" } do
    local count = definition[key]
    if count and (not math.tointeger(count) or count < 1) then
      complain("%s: expected a whole number of at least 1, got %s", key, count)
    end
  end
  local limit = definition.turn_limit
  if limit ~= "task" and limit ~= "outside" then
    complain('turn_limit: expected "task" or "outside", got "%s"', limit)
  end
  local low, high = definition.score_range[1], definition.score_range[2]
  -- Rewards are divided by the width of the range, so an infinite one would leave nothing of them.
  if type(low) ~= "number" or type(high) ~= "number" or not (low < high and high - low < math.huge) then
    complain("score_range: expected { lowest, highest }, two finite numbers with lowest below highest")
  end
  for index, action in ipairs(definition.constant_actions) do
    if type(action) ~= "string" then
      complain("constant_actions[%d]: expected a string, got a %s", index, type(action))
    end
  end
  for name in pairs(definition.options) do
    if type(name) ~= "string" then
      complain("options: expected named options with their defaults, got the key %s", tostring(name))
    elseif name == "label" then
      complain("options: `label` is what env.make calls an environment, choose another name")
    end
  end
end

--- Checks an environment's definition and fills in its defaults. The result goes to `env.make`, or is what a file of
--- its own returns. Errors name the line that called `define`.
function env.define(definition)
  local function complain(text, ...)
    local name = type(definition) == "table" and type(definition.name) == "string" and definition.name
    error(("env.define%s: %s"):format(name and (" `%s`"):format(name) or "", text:format(...)), 4)
  end
  if type(definition) ~= "table" then
    error(("env.define: expected a table, got a %s"):format(type(definition)), 2)
  end
  check_fields(definition, complain)
  local checked = {
    options = {},
    constant_actions = {},
    max_turns = 30,
    turn_limit = "task",
    score_range = { 0, 1 },
    success_threshold = 1,
  }
  for key, value in pairs(definition) do
    checked[key] = value
  end
  check_values(checked, complain)
  return setmetatable(checked, Definition)
end

--- Whether a value came out of `env.define`.
function env.is_definition(value)
  return getmetatable(value) == Definition
end

--- A definition's options with `changes` laid over them; unknown names and other types are errors.
function env.merge_options(definition, changes)
  local names, merged = {}, {}
  for name, default in pairs(definition.options) do
    names[#names + 1] = name
    merged[name] = default
  end
  table.sort(names)
  for name, value in pairs(changes or {}) do
    local default = definition.options[name]
    if default == nil then
      local ending = suggest.ending(tostring(name), names)
      error(("%s: unknown option `%s`%s"):format(definition.name, tostring(name), ending), 2)
    elseif type(value) ~= type(default) then
      local expected, got = type(default), type(value)
      error(("%s.%s: expected a %s, got a %s"):format(definition.name, name, expected, got), 2)
    end
    merged[name] = value
  end
  return merged
end

--- Plays the episode of `task_id`; `choose(e, messages)` gives each reply, nil gives up. Returns
--- { messages, turns, score, success, finished, ending }, the messages ending with the last reply.
function env.play(e, task_id, choose)
  e:reset(task_id)
  local messages, episode = e:messages(), e:episode()
  while not episode.ending do
    local reply = choose(e, messages)
    if not reply then
      messages[episode.turns > 0 and #messages or #messages + 1] = nil -- an observation that nobody answered
      break
    end
    messages[#messages + 1] = { role = "assistant", content = reply }
    local observation = e:hear(reply)
    episode = e:episode()
    if not episode.ending then
      messages[#messages + 1] = { role = "user", content = observation }
    end
  end
  return {
    messages = messages,
    turns = episode.turns,
    score = episode.score,
    success = episode.success,
    finished = episode.finished,
    ending = episode.ending,
  }
end

return env
