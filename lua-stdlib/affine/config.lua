-- The pipeline's settings: `config.lua` and its presets, a user's file, and the command line, checked and merged.
--
-- Boundary: knows the form of config.lua and of the command line, nothing of what a setting does.

local arguments = require("affine.internal.arguments")
---@diagnostic disable-next-line: unresolved-require
local host = require("affine.native.host")
local suggest = require("affine.internal.suggest")

local config = {}

-- Settings whose type is not simply that of their default.
config.by_environment = {
  ["data.num_samples"] = true,
  ["data.expert_noise"] = true,
  ["data.min_score"] = true,
  ["data.base.num_samples"] = true,
  ["rl.num_rollouts"] = true,
}
local LIST = { ["data.files"] = true, ["huggingface.language"] = true }
local NAME_OR_LIST = { ["training.target_modules"] = true }
local AUTO_OR_NUMBER = { ["rl.max_sampler_gap"] = true }
local AUTO_OR_BOOLEAN = { ["model.use_flash_attention"] = true, ["model.use_cuda_graph"] = true }
local MAY_BE_NEGATIVE = { ["training.max_steps"] = true }

local function fail(text, ...)
  error(text:format(...), 0)
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    if type(a) == type(b) then
      return a < b
    end
    return type(a) == "number"
  end)
  return keys
end

--- A value as a Lua literal, the same text for equal values: what `--help` prints and what a fingerprint is made of.
function config.literal(value)
  if type(value) == "table" then
    local parts = {}
    for _, key in ipairs(sorted_keys(value)) do
      local prefix = ""
      if type(key) ~= "number" then
        prefix = (key:match("^[%a_][%w_]*$") and key or ('["%s"]'):format(key)) .. " = "
      end
      parts[#parts + 1] = prefix .. config.literal(value[key])
    end
    return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
  elseif math.type(value) == "float" then
    local short = ("%.14g"):format(value)
    return tonumber(short) == value and short or ("%.17g"):format(value)
  elseif type(value) == "string" then
    return '"' .. value:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
  end
  return tostring(value)
end

local function show(value)
  return type(value) == "table" and "a table" or ("%s %s"):format(type(value), config.literal(value))
end

--- A table of named settings, as opposed to a value that happens to be a table.
local function is_section(default)
  return type(default) == "table" and default[1] == nil and next(default) ~= nil
end

local function check_number(path, value, default)
  if type(value) ~= "number" then
    fail("%s: expected a number, got %s", path, show(value))
  elseif value ~= value or value == math.huge then
    fail("%s: expected a finite number, got %s", path, config.literal(value))
  elseif value < 0 and not MAY_BE_NEGATIVE[path] then
    fail("%s: expected a number that is not negative, got %s", path, config.literal(value))
  elseif math.type(default) == "integer" then
    return math.tointeger(value) or fail("%s: expected a whole number, got %s", path, config.literal(value))
  end
  return value + 0.0
end

--- A list has no holes and no names: `{ "a", nil, "b" }` would end at its hole.
local function check_is_list(path, value)
  for key in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 or key > #value then
      fail("%s: expected a list without names and holes, got %s", path, config.literal(value))
    end
  end
  for index = 1, #value do
    if value[index] == nil then
      fail("%s: expected a list without names and holes, got %s", path, config.literal(value))
    end
  end
end

local function check_environments(path, list)
  if type(list) ~= "table" or #list == 0 then
    fail('%s: expected a list of environments such as { "affine:sat", "grid" }, got %s', path, show(list))
  end
  check_is_list(path, list)
  for index, entry in ipairs(list) do
    local name = type(entry) == "table" and entry.name or entry
    if type(name) ~= "string" then
      fail("%s[%d]: expected a name, or { name, option = … }, got %s", path, index, show(entry))
    end
    for key in pairs(type(entry) == "table" and entry or {}) do
      if type(key) ~= "string" then
        fail("%s[%d]: expected options by name, got %s without one", path, index, show(entry[key]))
      end
    end
  end
  return list
end

local function check_list_of_strings(path, value)
  check_is_list(path, value)
  for index, item in ipairs(value) do
    if type(item) ~= "string" then
      fail("%s[%d]: expected a string, got %s", path, index, show(item))
    end
  end
  return value
end

--- Written on the command line, true and false come as texts.
local function check_auto_or_boolean(path, value)
  local known = { auto = "auto", ["true"] = true, ["false"] = false }
  local found = known[tostring(value)]
  if found == nil then
    fail('%s: expected true, false or "auto", got %s', path, show(value))
  end
  return found
end

--- The value of one setting, with its type checked against the default's.
local function check(path, value, default)
  if path == "data.environments" then
    return check_environments(path, value)
  elseif config.by_environment[path] and type(value) == "table" then
    local numbers = {}
    for name, number in pairs(value) do
      if type(name) ~= "string" then
        fail("%s: expected one number, or numbers by environment, got %s", path, config.literal(value))
      end
      numbers[name] = check_number(path .. "." .. name, number, default)
    end
    return numbers
  elseif (LIST[path] or NAME_OR_LIST[path]) and type(value) == "table" then
    return check_list_of_strings(path, value)
  elseif AUTO_OR_BOOLEAN[path] then
    return check_auto_or_boolean(path, value)
  elseif AUTO_OR_NUMBER[path] then
    return value == "auto" and value or check_number(path, value, 0.0)
  elseif type(default) == "number" then
    return check_number(path, value, default)
  elseif type(value) ~= type(default) then
    fail("%s: expected a %s, got %s", path, type(default), show(value))
  end
  return value
end

--- Lays `changes` over `settings` in place; `defaults` says which keys exist and of which type.
local function lay_over(settings, changes, defaults, prefix)
  for _, key in ipairs(sorted_keys(changes)) do
    local value, default, path = changes[key], defaults[key], prefix .. tostring(key)
    if default == nil then
      local where = prefix == "" and "the configuration" or prefix:sub(1, -2)
      fail(
        "%s has no setting `%s`%s",
        where,
        tostring(key),
        suggest.ending(tostring(key), sorted_keys(defaults))
      )
    elseif is_section(default) then
      if type(value) ~= "table" then
        fail("%s: expected a table of settings, got %s", path, show(value))
      end
      lay_over(settings[key], value, default, path .. ".")
    else
      settings[key] = check(path, value, default)
    end
  end
end

local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local result = {}
  for key, item in pairs(value) do
    result[key] = copy(item)
  end
  return result
end

--- Runs the text of a configuration file; returns its sections, its presets (or nil) and its choice of preset.
local function evaluate(text, name)
  local chunk, problem = load(text, "@" .. name, "t")
  if not chunk then
    error(problem, 0)
  end
  local tables, more = chunk()
  if type(tables) ~= "table" then
    fail("%s: expected a file that returns a table of settings, got %s", name, show(tables))
  elseif more ~= nil then
    fail("%s: expected a file that returns one table of settings, got more behind it", name)
  end
  tables = copy(tables)
  local presets = tables.presets
  tables.presets = nil
  return tables, presets
end

--- Adds the name of the file or option to an error that `lay_over` raises.
local function within(source, ...)
  local ok, problem = pcall(lay_over, ...)
  if not ok then
    fail("%s: %s", source, problem)
  end
end

--- Every documented key in the order of config.lua: { path, comment }. The comment behind a key is its documentation.
local function documentation(text)
  local entries, sections = {}, {}
  for line in text:gmatch("[^\n]+") do
    local indent, key, rest = line:match("^(%s+)([%w_]+) = (.*)$")
    if key == "presets" then
      break
    elseif key then
      local depth = #indent // 2
      sections[depth] = key
      local comment = rest:match(", %-%- (.*)$")
      if comment then
        entries[#entries + 1] = { path = table.concat(sections, ".", 1, depth), comment = comment }
      end
    end
  end
  return entries
end

--- The value at a dotted path.
function config.get(settings, path)
  local value = settings
  for key in path:gmatch("[^.]+") do
    value = type(value) == "table" and value[key] or nil
  end
  return value
end

--- What is written behind `--set key=` as one Lua literal: a number, a boolean, a quoted string or a table; nil where it
--- is none. A list of values, a comment or an expression is none either.
local function literal_of(written)
  local wraps = written:find("0[xX]%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x") -- beyond 64 bits Lua begins again at 0
  local number = not wraps and written:find("^%s*-?[%d.]") and tonumber(written)
  if number then
    return number
  elseif written == "true" or written == "false" then
    return written == "true"
  elseif not written:find("^%s*[{\"']") then
    return nil
  end
  -- Between brackets is one expression, or the chunk is none; a comment would hide the bracket.
  local chunk = load("return (" .. written .. ")", "=--set", "t", {})
  local ok, value = pcall(chunk or error)
  return ok and (type(value) == "table" or type(value) == "string") and value or nil
end

--- `a.b=value` as nested tables. The value is a Lua literal; anything else is taken as a string, and so is what a setting
--- that holds a string is given, but for a quoted one.
local function parse_set(text, defaults)
  local path, written = text:match("^([%w_.]+)=(.*)$")
  if not path then
    fail("--set %s: expected section.key=value", text)
  elseif path == "preset" then
    fail("--set %s: a preset is chosen by --preset", text)
  end
  local value = literal_of(written)
  if value == nil or type(config.get(defaults, path)) == "string" and type(value) ~= "table" then
    value = type(value) == "string" and value or written
  end
  local keys = {}
  for key in path:gmatch("[^.]+") do
    keys[#keys + 1] = key
  end
  for index = #keys, 1, -1 do
    value = { [keys[index]] = value }
  end
  return value
end

local function print_settings(settings, entries, presets)
  local names = table.concat(sorted_keys(presets), ", ")
  print(('\nSettings, with the values of preset "%s" (presets: %s):\n'):format(settings.preset, names))
  for _, entry in ipairs(entries) do
    local setting = entry.path .. " = " .. config.literal(config.get(settings, entry.path))
    print(("  %-46s %s"):format(setting, entry.comment))
  end
end

local function user_file(path)
  local file, problem = io.open(path or "config.lua", "rb")
  if not file then
    return path and fail("--config: %s", problem) or nil
  end
  local text = file:read("a")
  file:close()
  if text:find("^\xFF\xFE") or text:find("^\xFE\xFF") then
    fail("%s: text in UTF-16: expected UTF-8; save it in that encoding", path or "config.lua")
  end
  return (text:gsub("^\xEF\xBB\xBF", "")) -- a byte order mark, which `load` does not skip
end

--- Settings and flags from the command line `arg`. `extra` declares a script's own flags:
--- { model = { value = "PATH", doc = "…" }, force = { doc = "…" } }.
function config.load(arg, extra)
  local given = arguments.parse(arg, extra or {})
  local text = host.default_config()
  local defaults, presets = evaluate(text, "config.lua")
  local settings, changes = copy(defaults), {}
  local user = user_file(given.config)
  local source = given.config or "config.lua"
  if user then
    local own_presets
    changes, own_presets = evaluate(user, source)
    for name, preset in pairs(own_presets or {}) do
      presets[name] = preset
    end
    if own_presets then -- the sections of a file with presets of its own lie below these, as in the shipped one
      within(source, settings, changes, defaults, "")
      changes = {}
    end
  end

  local name = given.preset or changes.preset or settings.preset
  if not presets[name] then
    fail("no preset `%s`%s", name, suggest.ending(name, sorted_keys(presets)))
  end
  within(("preset %s"):format(name), settings, presets[name], defaults, "")
  within(source, settings, changes, defaults, "")
  for _, change in ipairs(given.set) do
    within("--set", settings, parse_set(change, defaults), defaults, "")
  end
  settings.preset = name
  settings.experiment = given.experiment or settings.experiment
  if not settings.experiment:find("^[%w_-][%w_.-]*$") and (settings.experiment ~= "" or given.experiment) then
    local sentence = 'experiment: expected letters, digits, "_", "-" and ".", no "." first, got "%s"'
    fail(sentence, settings.experiment)
  end

  if given.help then
    arguments.help(arg, extra or {})
    print_settings(settings, documentation(text), presets)
    os.exit(0)
  end
  given.config, given.preset, given.set, given.experiment = nil, nil, nil, nil
  return settings, given
end

return config
