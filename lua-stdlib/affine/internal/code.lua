-- Lua source by what it does: comments, blank lines and indentation do not count.

local fs = require("affine.fs")

local code = {}

--- Where the string or long bracket that begins at `from` ends, or nil where it does not.
local function end_of_string(text, from)
  local level = text:match("^%[(=*)%[", from)
  if level then
    local _, stop = text:find("]" .. level .. "]", from, true)
    return stop
  end
  local quote, at = text:sub(from, from), from + 1
  while true do
    at = text:find("[\\\n" .. quote .. "]", at)
    local found = at and text:sub(at, at)
    if found == quote then
      return at
    elseif found ~= "\\" then
      return nil
    end
    at = at + 2
    at = text:sub(at - 1, at - 1) == "z" and text:find("%S", at) or at -- `\z` passes over white space, line ends too
  end
end

--- Where the white space or comment that begins at `from` ends, or nil where it is none or does not end.
local function end_of_blank(text, from)
  if text:find("^%s", from) then
    return (text:find("%S", from) or #text + 1) - 1
  elseif text:find("^%-%-%[=*%[", from) then
    return end_of_string(text, from + 2)
  elseif text:find("^%-%-", from) then
    return text:find("\n", from, true) or #text
  end
  return nil
end

--- The source with a single space for every run of white space and comments; nil where a string or comment has no end.
function code.essence(text)
  text = text:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", "")
  local parts, at, blank = {}, 1, true
  while at <= #text do
    local from = text:find("[%s'\"%[%-]", at) or #text + 1
    if from > at then
      parts[#parts + 1] = text:sub(at, from - 1)
      at, blank = from, false
    else
      local is_string = text:find("^['\"]", at) or text:find("^%[=*%[", at)
      local stop = end_of_blank(text, at)
      if stop then
        parts[#parts + 1] = not blank and " " or nil
        blank = true
      else
        stop = not is_string and at or end_of_string(text, at)
        if not stop or text:find("^%-%-", at) then
          return nil
        end
        parts[#parts + 1] = text:sub(at, stop)
        blank = false
      end
      at = stop + 1
    end
  end
  return (table.concat(parts):gsub(" $", ""))
end

--- SHA-256 of what a file of Lua source does.
function code.digest(path)
  local text = fs.read(path)
  return fs.sha256(code.essence(text) or text)
end

--- The files of the modules that a file of Lua source requires by a written-out name, and theirs, added to `found`, which
--- holds the file itself in the end.
function code.closure(path, found)
  if found[path] then
    return found
  end
  found[path] = true
  local text = fs.read(path)
  text = code.essence(text) or text
  for _, pattern in ipairs { "require ?%(? ?[\"']([^\"']+)[\"']", "require ?%(? ?%[%[([^%]]+)%]%]" } do
    for name in text:gmatch(pattern) do
      local file = not name:find("^affine%f[.\0]") and package.searchpath(name, package.path)
      if file then
        code.closure(file, found)
      end
    end
  end
  return found
end

return code
