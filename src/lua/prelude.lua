-- What every state starts with, before any script: errors that a script catches are strings, an interruption is not
-- caught, and output reaches its reader line by line. `host` holds the native functions used here.
local host = ...
local pcall_raw, close_raw, resume_raw = pcall, coroutine.close, coroutine.resume

-- Native errors travel as userdata; `host.describe` makes the string of one, and raises an interruption again.
local function settle(ok, first, ...)
  if ok then
    return ok, first, ...
  end
  if type(first) == "userdata" then
    first = host.describe(first)
  end
  return ok, first, ...
end

function pcall(f, ...)
  return settle(pcall_raw(f, ...))
end

-- The handler sees the failing stack, except for a native error, which brings its own position.
local xpcall_raw = xpcall
function xpcall(f, handler, ...)
  local native = false
  local function finish(ok, first, ...)
    if ok or not native then
      return ok, first, ...
    end
    return false, handler(host.describe(first))
  end
  return finish(xpcall_raw(f, function(message)
    native = type(message) == "userdata"
    return native and message or handler(message)
  end, ...))
end

function coroutine.resume(thread, ...)
  return settle(resume_raw(thread, ...))
end

function coroutine.close(thread)
  return settle(close_raw(thread))
end

-- `load` hands back what its reader function raised.
local load_raw = load
function load(...)
  local chunk, message = load_raw(...)
  if type(message) == "userdata" then
    message = host.describe(message)
  end
  return chunk, message
end

-- mlua's safe libraries leave `debug` out; this one function of it is harmless and useful with xpcall.
debug = { traceback = host.traceback }

-- Output read through a pipe should not wait for 4096 bytes, and a reader that has gone (`| head`) ends the script
-- quietly instead of letting it print to nobody. Only a flush of a full buffer tells of that: in line buffering glibc
-- counts a line that it could not pass on as written.
local function flush()
  local flushed, _, code = io.stdout:flush()
  if not flushed and code == host.EPIPE then
    host.reader_gone()
  end
end

function print(...)
  local texts = table.pack(...)
  for i = 1, texts.n do
    texts[i] = tostring(texts[i])
  end
  io.stdout:write(table.concat(texts, "\t"), "\n")
  flush()
end

function io.write(...)
  local file, message, code = io.output():write(...)
  if file == io.stdout then
    flush()
  end
  return file, message, code
end
