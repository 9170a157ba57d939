-- What Lua code reads while it runs: the modules that it requires and the files that it opens.
--
-- The functions below are replaced when something is watched for the first time, and note what they are asked for while
-- one watches; a module that keeps one of them in a local goes on with a function that works.

local data = require("affine.data")
local fs = require("affine.fs")

local watch = {}

local noted ---@type table<string, boolean>?

local function note(path)
  if noted and type(path) == "string" and fs.exists(path) then
    noted[path] = true
  end
end

local function replace(where, name, path_of)
  local original = where[name]
  where[name] = function(...)
    if noted then
      note(path_of(...))
    end
    return original(...)
  end
end

local function same(path)
  return path
end

local function when_reading(path, mode)
  return (not mode or mode:find("^r")) and path or nil
end

local function module_file(name)
  local is_own = type(name) ~= "string" or name:find("^affine%f[.\0]")
  return not is_own and package.searchpath(name, package.path) or nil
end

local is_ready = false

local function replace_all()
  replace(_G, "require", module_file)
  replace(_G, "dofile", same)
  replace(_G, "loadfile", same)
  replace(io, "open", when_reading)
  replace(io, "lines", same)
  replace(fs, "read", same)
  replace(fs, "lines", same)
  replace(data, "read", same)
  is_ready = true
end

--- Adds the paths of what is read from now on to the set `seen`, until the value that this gives is closed.
function watch.into(seen)
  if not is_ready then
    replace_all()
  end
  local before = noted
  noted = seen
  return setmetatable({}, {
    __close = function()
      noted = before
    end,
  })
end

return watch
