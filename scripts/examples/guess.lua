-- A custom environment in one file: guess a number from 1 to 100 within ten turns.
--   affine scripts/examples/play.lua scripts/examples/guess.lua 7
-- (All its episodes begin with the same prompt, so it cannot have held-out tasks: good to learn from, not to train on.)

local env = require("affine.env")

return env.define {
  name = "guess",
  prompt = "I think of a number from 1 to 100. Answer with one number per turn.",

  reset = function(self, task)
    self.secret, self.turns = task.rng:int(1, 100), 0
    self.low, self.high = 1, 100
    return "Guess."
  end,

  step = function(self, action)
    self.turns = self.turns + 1
    local guess, last = math.tointeger(tonumber(action)), self.turns >= 10
    if not guess then
      return "Not a whole number.", 0, last
    elseif guess == self.secret then
      return "Right.", 1, true
    elseif guess < self.secret then
      self.low = math.max(self.low, guess + 1)
      return "Higher.", 0, last
    end
    self.high = math.min(self.high, guess - 1)
    return "Lower.", 0, last
  end,

  -- Halving what is left needs seven guesses at most.
  expert = function(self)
    return tostring((self.low + self.high) // 2)
  end,

  random_action = function(_, rng)
    return tostring(rng:int(1, 100))
  end,

  constant_actions = { "50" },
}
