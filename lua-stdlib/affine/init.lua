-- `local affine = require "affine"`: the version, what concerns the host itself, and every module as a field, loaded
-- when it is first used.

---@diagnostic disable-next-line: unresolved-require
local host = require("affine.native.host")
---@diagnostic disable-next-line: unresolved-require
local version = require("affine.native.version")

local affine = { version = version, memory = host.memory }

--- The tensors among `values`, in tables too, into `kept`. Gives the values back.
local function keep(kept, ...)
  local function visit(value)
    if (type(value) == "userdata" or type(value) == "table") and not kept[value] then
      kept[value] = true
      if type(value) == "table" then
        for key, item in next, value do
          visit(key)
          visit(item)
        end
      end
    end
  end
  for index = 1, select("#", ...) do
    visit((select(index, ...)))
  end
  return ...
end

function affine.scope(body)
  if type(body) ~= "function" then
    error(("affine.scope: argument 1 (body): expected function, got %s"):format(type(body)), 2)
  end
  local made, kept = setmetatable({}, { __mode = "k" }), {}
  local outer = host.watch(made)
  local _ <close> = setmetatable({}, {
    __close = function()
      host.watch(outer)
      for handle in pairs(made) do
        if not kept[handle] then
          handle:close()
        elseif outer then
          outer[handle] = true
        end
      end
    end,
  })
  return keep(kept, body())
end

return setmetatable(affine, {
  __index = function(_, name)
    local module = require("affine." .. tostring(name))
    rawset(affine, name, module)
    return module
  end,
})
