-- Tests in Lua: `describe` groups, `it` tests, `expect` compares. A test file is a script. A failed test does not stop
-- the others; the outermost `describe` raises when one of its tests failed.
local test = {}

local titles, failures, count = {}, {}, 0

function test.describe(title, body)
  table.insert(titles, title)
  body()
  table.remove(titles)
  if #titles == 0 and #failures > 0 then
    local summary = string.format("%d of %d tests failed\n%s", #failures, count, table.concat(failures, "\n"))
    failures, count = {}, 0
    error(summary, 0)
  end
end

function test.it(title, body)
  if #titles == 0 then
    error("test.it: expected to be called inside test.describe", 2)
  end
  count = count + 1
  local passed, problem = xpcall(body, debug.traceback)
  if not passed then
    table.insert(failures, string.format("%s %s\n  %s", table.concat(titles, " "), title, problem))
  end
end

local function show(value)
  return type(value) == "string" and string.format("%q", value) or tostring(value)
end

-- Where two values first differ, or nil. Tables are compared key by key.
local function difference(got, wanted, path)
  if type(got) ~= "table" or type(wanted) ~= "table" then
    return got ~= wanted and string.format("%sexpected %s, got %s", path, show(wanted), show(got)) or nil
  end
  for _, keys in ipairs { wanted, got } do
    for key in next, keys do
      local found = difference(got[key], wanted[key], path .. tostring(key) .. ": ")
      if found then
        return found
      end
    end
  end
end

local Expectation = {}
Expectation.__index = Expectation

function test.expect(value)
  return setmetatable({ value = value }, Expectation)
end

-- Equal, tables by their content.
function Expectation:equals(wanted)
  local found = difference(self.value, wanted, "")
  if found then
    error(found, 2)
  end
end

-- A number within `tolerance` (1e-6) of another.
function Expectation:near(wanted, tolerance)
  tolerance = tolerance or 1e-6
  if type(self.value) ~= "number" or not (math.abs(self.value - wanted) <= tolerance) then
    error(string.format("expected %s within %s, got %s", wanted, tolerance, show(self.value)), 2)
  end
end

-- A text, or a caught error, with this part in it, letter by letter.
function Expectation:contains(part)
  local is_text = type(self.value) == "string" or type(self.value) == "userdata"
  if not is_text or not tostring(self.value):find(part, 1, true) then
    error(string.format("expected a text with %s in it, got %s", show(part), show(self.value)), 2)
  end
end

-- A function that raises an error with this part in its message.
function Expectation:raises(part)
  local passed, problem = pcall(self.value)
  if passed or not tostring(problem):find(part, 1, true) then
    local got = passed and "no error" or show(tostring(problem))
    error(string.format("expected an error with %s in it, got %s", show(part), got), 2)
  end
end

return test
