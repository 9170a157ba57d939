-- Watch an environment's expert, or random play, on one task.
--   affine scripts/examples/play.lua grid 7
--   affine scripts/examples/play.lua scripts/examples/guess.lua 7 random

local env = require("affine.env")
local random = require("affine.random")

local name, task_id, player = arg[1], math.tointeger(tonumber(arg[2] or 0)), arg[3] or "expert"
if not name or not task_id or player ~= "expert" and player ~= "random" then
  error("usage: affine scripts/examples/play.lua ENVIRONMENT [TASK_ID [expert|random]]", 0)
end

local e <close> = env.make(name)
local rng = random.new(0, "play", task_id)
local episode = env.play(e, task_id, function()
  if player == "random" then
    return e:random_action(rng)
  end
  return e:expert()
end)

for _, message in ipairs(episode.messages) do
  print(("%s: %s\n"):format(message.role, message.content))
end
print(("score %g after %d turns"):format(episode.score, episode.turns))
