-- `local affine = require "affine"`: the version, and every module as a field, loaded when it is first used.
---@diagnostic disable-next-line: unresolved-require
return setmetatable({ version = require("affine.native.version") }, {
  __index = function(affine, name)
    local module = require("affine." .. tostring(name))
    rawset(affine, name, module)
    return module
  end,
})
