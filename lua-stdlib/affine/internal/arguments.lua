-- The command line of a script: the flags that every script with settings has, and its own.

local suggest = require("affine.internal.suggest")

local arguments = {}

local COMMON = {
  config = {
    value = "FILE",
    doc = "settings laid over the preset; without it ./config.lua, else the built-in copy",
  },
  preset = { value = "NAME", doc = "one of the presets of config.lua" },
  experiment = {
    value = "NAME",
    doc = "keep data_cache, models, checkpoints and logs apart, below experiments/NAME",
  },
  set = { value = "SECTION.KEY=VALUE", doc = "change one setting; may be repeated" },
  help = { doc = "print this" },
}

--- All flags of a script, with its own (`extra`) beside the common ones, and their names in order.
local function known_flags(extra)
  local flags, names = {}, {} ---@type table<string, affine.config.Flag>, string[]
  for _, set in ipairs { COMMON, extra } do
    for name, flag in pairs(set) do
      flags[name] = flag
    end
  end
  for name in pairs(flags) do
    names[#names + 1] = name
  end
  table.sort(names)
  return flags, names
end

--- Splits the command line into values by flag, true for a flag without a value; `set` collects a list.
function arguments.parse(arg, extra)
  local flags, names = known_flags(extra)
  local given, index = { set = {} }, 1
  while arg[index] do
    local name, equals, value = arg[index]:match("^%-%-([%w-]+)(=?)(.*)$")
    local flag = name and flags[name]
    if not flag then
      local nearest = name and suggest.nearest(name, names) or "help"
      error(("unknown argument `%s`, did you mean `--%s`?"):format(arg[index], nearest), 0)
    end
    if not flag.value and equals ~= "" then
      error(("--%s: takes no value, got `%s`"):format(name, value), 0)
    end
    if flag.value and equals == "" then
      index = index + 1
      value = arg[index] or error(("--%s: expected %s behind it"):format(name, flag.value), 0)
    end
    if name == "set" then
      table.insert(given.set, value)
    else
      given[name] = not flag.value or value
    end
    index = index + 1
  end
  return given
end

--- Prints what the flags of a script are.
function arguments.help(arg, extra)
  print(("usage: affine %s [options]\n"):format(arg[0] or "script.lua"))
  local flags, names = known_flags(extra)
  for _, name in ipairs(names) do
    local flag = flags[name]
    print(("  %-46s %s"):format("--" .. name .. (flag.value and " " .. flag.value or ""), flag.doc))
  end
end

return arguments
