-- What a stage reads beside its settings, by content: environments, files of data, weights.
--
-- Everything is noted in a table from a name to { sha256, stamp }: the name is what a person is told when it changed,
-- `stamp` spares reading a file that did not.

local code = require("affine.internal.code")
local env = require("affine.env")
local fs = require("affine.fs")
local json = require("affine.json")
---@diagnostic disable-next-line: unresolved-require
local native = require("affine.native.pipeline")
local watch = require("affine.internal.watch")

local inputs = {}

local function add(found, digests)
  for name, digest in pairs(digests) do
    found[name] = digest
  end
end

local function add_fact(found, name, text)
  found[name] = { sha256 = text, stamp = "" }
end

--- A file or all files of a folder; Lua source by what it does.
local function add_path(found, path, known)
  if path:find("%.lua$") and not fs.is_dir(path) then
    add_fact(found, path, code.digest(path))
  else
    add(found, native.digests(path, known, {}))
  end
end

--- Files of data, and folders of them.
function inputs.add_files(found, paths, known)
  for _, path in ipairs(paths) do
    add_path(found, path, known)
  end
end

--- The weights behind a folder or a Hub id, those below an adapter included.
function inputs.add_weights(found, path, known)
  if path == "" then
    return
  elseif not fs.exists(path) then
    add_fact(found, path, native.commit(path) or "") -- empty while the Hub's cache lacks it
    return
  end
  add(found, native.digests(path, known, { "stage.json" }))
  local adapter = path .. "/adapter_config.json"
  if fs.exists(adapter) then
    local ok, about = pcall(json.decode, fs.read(adapter))
    local base = ok and type(about) == "table" and about.base_model_name_or_path
    if type(base) == "string" and base ~= path then
      inputs.add_weights(found, base, known)
    end
  end
end

-- Environments ------------------------------------------------------------------------------------------------------

--- The file of Lua source that an entry of data.environments names, or nil.
local function source_of(name)
  local module = name:match("^custom:(.+)$")
  local path = module and package.searchpath(module, package.path) or name:match("%.lua$") and name
  return path and fs.exists(path) and path or nil
end

-- What environments in Lua have read when they were made or began an episode, by name. A module is run once in a process,
-- so what it read then is kept.
local read_by = {} ---@type table<string, table<string, boolean>>

--- Makes an environment, and remembers what it reads while it is made.
function inputs.make(name, options)
  if not source_of(name) then
    return env.make(name, options)
  end
  read_by[name] = read_by[name] or {}
  local _ <close> = watch.into(read_by[name])
  return (env.make(name, options))
end

local function read_at_start(name, options)
  read_by[name] = read_by[name] or {}
  local _ <close> = watch.into(read_by[name])
  pcall(function()
    env.make(name, options):reset(0)
  end)
  return read_by[name]
end

--- Files and folders that options name. What an environment keeps for itself is none of its inputs.
local function add_options(found, options, known)
  for key, value in pairs(options or {}) do
    if type(value) == "table" then
      add_options(found, value, known)
    elseif type(value) == "string" and key ~= "cache_dir" and not value:find("\n") and fs.exists(value) then
      add_path(found, value, known)
    end
  end
end

-- Data that an environment finds by a variable where no option names any.
local VARIABLES = { alfworld = { ALFWORLD_DATA = "data" }, sciworld = { SCIENCEWORLD_JAR = "jar" } }

local function add_variables(found, name, options, known)
  for variable, option in pairs(VARIABLES[name:match("[^:]+$")] or {}) do
    local path = os.getenv(variable)
    if path and path ~= "" and not (options and options[option]) and fs.exists(path) then
      add_path(found, path, known)
    end
  end
end

--- What the environment says of itself: the version of its generator, and its instructions. A server is not asked.
local function add_description(found, name, options)
  local ok, e = pcall(env.make, name, options)
  if not ok then
    return
  end
  local about = e:describe()
  if about.generator then
    add_fact(found, "generator of " .. about.name, tostring(about.generator))
  end
  if about.instructions then
    add_fact(found, "instructions of " .. about.name, about.instructions.sha256)
  end
  e:close()
end

--- All that decides what an environment does: its source, the modules that it requires, what it reads and what its
--- options name.
function inputs.add_environment(found, name, options, known)
  local source = source_of(name)
  if source then
    local files = code.closure(source, {})
    for path in pairs(read_at_start(name, options)) do
      if path:find("%.lua$") then
        code.closure(path, files)
      else
        add_path(found, path, known)
      end
    end
    for path in pairs(files) do
      add_path(found, path, known)
    end
  elseif not name:find("^https?://") then
    add_description(found, name, options)
  end
  add_options(found, options, known)
  add_variables(found, name, options, known)
  for path in pairs(found) do
    if path:find("affine%-webshop%-%x+%.store$") then
      found[path] = nil -- made from the files beside it
    end
  end
end

--- The SHA-256 of everything found, in one.
function inputs.digest(found)
  local lines = {}
  for name, digest in pairs(found) do
    lines[#lines + 1] = name .. " " .. digest.sha256
  end
  table.sort(lines)
  return fs.sha256(table.concat(lines, "\n"))
end

return inputs
