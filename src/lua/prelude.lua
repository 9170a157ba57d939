-- What every state starts with, before any script: errors that a script catches read like strings, an interruption is
-- not caught, modules that require each other are told so, and output reaches its reader line by line. `host` holds the
-- native functions used here.
local host = ...

-- Native errors -----------------------------------------------------------------------------------------------------

-- They travel as userdata. This gives them a string's methods and fields of their own (see caught.rs).
local errors = host.errors

errors.__name = "error"
errors.__tostring = host.text

function errors.__index(err, key)
  local method = string[key]
  if not method then
    return host.field(err, key)
  end
  return function(self, ...)
    return method(host.text(self), ...)
  end
end

local function joinable(value)
  local kind = type(value)
  return kind == "string" or kind == "number" or kind == "userdata"
end

function errors.__concat(left, right)
  if not joinable(left) or not joinable(right) then
    error(("attempt to concatenate a %s value"):format(type(joinable(left) and right or left)), 2)
  end
  return host.text(left) .. host.text(right)
end

function errors.__len(err)
  return #host.text(err)
end

function errors.__eq(left, right)
  return host.text(left) == host.text(right)
end

-- Catching ----------------------------------------------------------------------------------------------------------

local pcall_raw, xpcall_raw, close_raw, resume_raw, running = pcall, xpcall, coroutine.close, coroutine.resume, coroutine.running

-- What a protected call gave; `host.pass` raises an interruption again.
local function settle(ok, ...)
  local first = ...
  if not ok and type(first) == "userdata" then
    host.pass(first)
  end
  return ok, ...
end

function pcall(f, ...)
  return settle(pcall_raw(f, ...))
end

-- The handler sees the failing stack, except for a native error, which brings its own traceback.
function xpcall(f, handler, ...)
  local native = false
  local function finish(ok, ...)
    if ok or not native then
      return ok, ...
    end
    local first = ...
    host.pass(first)
    return false, handler(first)
  end
  return finish(xpcall_raw(f, function(message)
    native = type(message) == "userdata"
    return native and message or handler(message)
  end, ...))
end

-- Ctrl-C stops the coroutine that runs, so the host must know which one does.
local function resumed(before, ok, ...)
  host.running(before)
  return settle(ok, ...)
end

-- Who is attached sees what is in sight of the coroutine that runs, and of those that led to it.
local resumers = setmetatable({}, { __mode = "k" })

function host.resumer(thread)
  return resumers[thread]
end

function coroutine.resume(thread, ...)
  local before = running()
  host.running(thread)
  resumers[thread] = before
  return resumed(before, resume_raw(thread, ...))
end

function coroutine.close(thread)
  local before = running()
  host.running(thread)
  return resumed(before, close_raw(thread))
end

-- As Lua's own, but the coroutine's lines are kept for the traceback.
function coroutine.wrap(f)
  local thread = coroutine.create(f)
  local function finish(ok, ...)
    if ok then
      return ...
    end
    local first = ...
    if coroutine.status(thread) == "dead" then
      host.remember(first, thread)
      close_raw(thread)
    end
    error(first, 0)
  end
  return function(...)
    return finish(coroutine.resume(thread, ...))
  end
end

-- What they start hears Ctrl-C although this process blocks it (see process.rs).
os.execute, io.popen = host.execute, host.popen

-- Loading -----------------------------------------------------------------------------------------------------------

-- Source text only: Lua trusts bytecode blindly, and a broken piece of it ends the process.
local load_raw, loadfile_raw = load, loadfile
function load(chunk, name, _, ...)
  local loaded, message = load_raw(chunk, name, "t", ...)
  if not loaded then
    settle(false, message)
  end
  return loaded, message
end

function loadfile(path, _, ...)
  return loadfile_raw(path, "t", ...)
end

function dofile(path)
  local chunk, message = loadfile(path)
  if not chunk then
    error(message, 0)
  end
  return chunk()
end

-- Lua would run in circles until its stack is full.
local require_raw, loading = require, {}
function require(name)
  if package.loaded[name] ~= nil or type(name) ~= "string" then
    return require_raw(name)
  end
  for first, other in ipairs(loading) do
    if other == name then
      local circle = table.concat(loading, " -> ", first) .. " -> " .. name
      error(("modules that require each other: %s"):format(circle), 2)
    end
  end
  loading[#loading + 1] = name
  local _ <close> = setmetatable({}, {
    __close = function()
      loading[#loading] = nil
    end,
  })
  return require_raw(name)
end

-- mlua's safe libraries leave `debug` out; this one function of it is harmless and useful with xpcall.
debug = { traceback = host.traceback }

-- Output ------------------------------------------------------------------------------------------------------------

-- Output read through a pipe should not wait for 4096 bytes, and a reader that has gone (`| head`) ends the script
-- quietly instead of letting it print to nobody; a disk that is full ends it with an error. Only a flush of a full
-- buffer tells of either: in line buffering glibc counts a line that it could not pass on as written.
local function settle_output(written, _, code)
  if not written then
    host.not_written(code)
  end
end

function print(...)
  local texts = table.pack(...)
  for i = 1, texts.n do
    texts[i] = tostring(texts[i])
  end
  settle_output(io.stdout:write(table.concat(texts, "\t"), "\n"))
  settle_output(io.stdout:flush())
end

function io.write(...)
  local out = io.output()
  local file, message, code = out:write(...)
  if out == io.stdout then
    settle_output(file, message, code)
    settle_output(out:flush())
  end
  return file, message, code
end

-- A script that has lost its output did not succeed.
local exit_raw = os.exit
function os.exit(code, close)
  if code == nil or code == true or code == 0 then
    host.check_output()
  end
  host.end_runs(math.type(code) == "integer" and code or code == false and 1 or 0)
  exit_raw(code, close)
end
