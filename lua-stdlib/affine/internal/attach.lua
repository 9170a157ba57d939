-- What is typed at `affine attach`: compiled and run in a world in which the names that are in sight where the run is, are
-- what the run has, and what is assigned to them is.

local attach = {}

--- `found` has `names` (a set) and `values` of what is in sight. Gives whether it ran, what was printed or what is wrong, the
--- names that were assigned to, and whether more lines are wanted.
function attach.run(code, found, controls)
  local lines, written = {}, {}
  local own = {
    print = function(...)
      local parts = table.pack(...)
      for index = 1, parts.n do
        parts[index] = tostring(parts[index])
      end
      lines[#lines + 1] = table.concat(parts, "\t", 1, parts.n) .. "\n"
    end,
    affine = require("affine"),
    pause = controls.pause,
    resume = controls.resume,
  }
  local world = setmetatable({}, {
    __index = function(_, name)
      if found.names[name] then
        return found.values[name]
      end
      local value = own[name]
      if value == nil then
        value = rawget(_G, name)
      end
      return value
    end,
    __newindex = function(_, name, value)
      if found.names[name] then
        found.values[name], written[name] = value, true
      else
        rawset(_G, name, value)
      end
    end,
  })

  local chunk, problem = load("return " .. code, "=attached", "t", world)
  if not chunk then
    chunk, problem = load(code, "=attached", "t", world)
  end
  if not chunk then
    local is_unfinished = tostring(problem):find("<eof>$") ~= nil
    return false, tostring(problem), written, is_unfinished
  end
  local results = table.pack(pcall(chunk))
  if not results[1] then
    lines[#lines + 1] = tostring(results[2])
    return false, table.concat(lines), written, false
  end
  if results.n > 1 then
    own.print(table.unpack(results, 2, results.n))
  end
  return true, table.concat(lines), written, false
end

return attach
