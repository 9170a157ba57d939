-- The command that a script was started by, as a shell takes it.

local secrets = require("affine.internal.secrets")

local command = {}

--- An argument as a shell reads it as one word.
local function quoted(argument)
  if argument:find("^[%w_./:=,+@%%-]+$") then
    return argument
  end
  return "'" .. argument:gsub("'", "'\\''") .. "'"
end

--- `affine scripts/full.lua --preset demo`, from the table `arg` of a script; nil where there is none.
function command.line(arguments)
  local script = arguments and arguments[0]
  if type(script) ~= "string" then
    return nil
  end
  local words = { "affine", quoted(script) }
  for _, argument in ipairs(arguments) do
    words[#words + 1] = quoted(secrets.hidden(argument))
  end
  return table.concat(words, " ")
end

return command
