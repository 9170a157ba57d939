-- What env.define accepts, and what an environment's own mistakes become.
local env = require("affine.env")
local fs = require("affine.fs")
local path = require("affine.path")
local random = require("affine.random")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function guess(changes)
  local definition = {
    name = "guess",
    prompt = "Guess.",
    options = { high = 10 },
    reset = function(self, task)
      self.secret = task.rng:int(1, self.options.high)
      return ("From 1 to %d, task %d."):format(self.options.high, task.id)
    end,
    step = function(self, action)
      local right = tonumber(action) == self.secret
      return right and "Right." or "Wrong.",
        right and 1 or 0,
        right,
        { score = right and 1 or 0.25, tries = 1 }
    end,
    expert = function(self)
      return tostring(self.secret)
    end,
    max_turns = 4,
  }
  for key, value in pairs(changes or {}) do
    definition[key] = value
  end
  return env.define(definition)
end

describe("env.define", function()
  it("names a field that is missing, unknown or of another type", function()
    expect(function()
      ---@diagnostic disable-next-line: missing-fields, param-type-mismatch
      env.define { name = "x", prompt = "y", reset = print }
    end):raises("env.define `x`: the field `step` is missing")
    expect(function()
      guess { stepp = print }
    end):raises("unknown field `stepp`")
    expect(function()
      guess { max_turns = "many" }
    end):raises("max_turns: expected a number, got a string")
    expect(function()
      guess { score_range = { 1, 0 } }
    end):raises("score_range: expected { lowest, highest }")
    expect(function()
      guess { name = "a b" }
    end):raises("name: expected letters, digits")
  end)

  it("checks options against their defaults", function()
    expect(function()
      env.make(guess(), { hig = 5 })
    end):raises("unknown option `hig`")
    expect(function()
      env.make(guess(), { high = "5" })
    end):raises("guess.high: expected a number, got a string")
    expect(env.make(guess(), { high = 3 }):reset(1)):contains("From 1 to 3")
  end)
end)

describe("an environment", function()
  it("begins the same episode for the same task", function()
    local a, b = env.make(guess { options = { high = 1000 } }), env.make(guess { options = { high = 1000 } })
    local secrets = {}
    for task = 0, 5 do
      a:reset(task)
      b:reset(task)
      expect(b:expert()):equals(a:expert())
      secrets[#secrets + 1] = a:expert()
    end
    expect(secrets[1] == secrets[2] and secrets[2] == secrets[3]):equals(false)
    a:reset(0)
    expect(a:expert()):equals(secrets[1])
  end)

  it("tells observation, reward, end and info", function()
    local e = env.make(guess())
    expect(e:reset(3)):equals("From 1 to 10, task 3.")
    expect(e:messages()):equals { { role = "user", content = "Guess.\nFrom 1 to 10, task 3." } }
    expect(e:parse(" 7 ")):equals("7")
    local observation, reward, done, info = e:step("0")
    expect({ observation, reward, done, info.score, info.tries }):equals { "Wrong.", 0, false, 0.25, 1 }
    expect(select(3, e:step(assert(e:expert())))):equals(true)
    expect(e:rule()):equals(nil)
    expect(e:random_action(random.new(1))):equals(nil)
    expect(e:describe()):equals {
      name = "guess",
      score_low = 0,
      score_high = 1,
      success_threshold = 1,
      max_turns = 4,
      turn_limit = "task",
    }
  end)

  it("declares whether its limits are part of the task", function()
    local function play(changes, options, told)
      local e = env.make(
        guess {
          options = { high = 10, max_turns = 3 },
          step = function(self)
            self.steps = (self.steps or 0) + 1
            return "Go on.", 0, self.steps == told, { truncated = self.steps == told }
          end,
          turn_limit = changes,
        },
        options
      )
      local limit = e:describe().turn_limit
      local episode = env.play(e, 1, function()
        return "0"
      end)
      return { limit, episode.ending, episode.turns, episode.finished }
    end
    expect(play()):equals { "task", "terminated", 3, false }
    expect(play("task")):equals { "task", "terminated", 3, false }
    expect(play("outside")):equals { "outside", "truncated", 3, false }
    -- A limit that the step tells is the environment's own; fewer turns than that are the caller's.
    expect(play("task", nil, 2)):equals { "task", "terminated", 2, true }
    expect(play("outside", nil, 2)):equals { "outside", "truncated", 2, true }
    expect(play("task", { max_turns = 2 })):equals { "outside", "truncated", 2, false }
    expect(play("task", { max_turns = 2 }, 1)):equals { "outside", "terminated", 1, true }
    expect(play("task", { max_turns = 5 })):equals { "task", "terminated", 5, false }
    local given_up = env.play(env.make(guess()), 1, function() end)
    expect(given_up.ending):equals(nil)
    expect(function()
      guess { turn_limit = "never" }
    end):raises('turn_limit: expected "task" or "outside", got "never"')
  end)

  it("has a range of scores that rewards can be divided by", function()
    for _, range in ipairs { { 0, math.huge }, { -math.huge, 1 }, { 0 / 0, 1 }, { 0, 0 / 0 }, { 1, 1 } } do
      expect(function()
        guess { score_range = range }
      end):raises(
        "score_range: expected { lowest, highest }, two finite numbers with lowest below highest"
      )
    end
  end)

  it("is played with a function as the player", function()
    local e = env.make(guess())
    local episode = env.play(e, 5, function(environment)
      return environment:expert()
    end)
    expect(episode.success and episode.finished and episode.turns == 1):equals(true)
    local given_up = env.play(e, 5, function(_, messages)
      return #messages < 4 and "0" or nil
    end)
    expect(given_up.turns):equals(2)
    expect(given_up.finished):equals(false)
  end)

  it("tells how an episode stands, whoever takes its turns", function()
    local e = env.make(guess {
      parse = function(_, reply)
        return reply:match("^say (%d+)$"), "Say a number."
      end,
      options = { high = 10, max_turns = 3 },
      score_range = { -1, 1 },
    })
    expect(function()
      e:episode()
    end):raises("no episode has begun; call reset first")
    e:reset(5)
    expect(e:episode()):equals { turns = 0, score = -1, success = false, finished = false }
    local observation, reward, done, info = e:hear("what?")
    expect({ observation, reward, done, info.score }):equals { "Say a number.", 0, false, -1 }
    expect(e:episode()):equals { turns = 1, score = -1, success = false, finished = false }
    e:step("0")
    expect(e:episode()):equals { turns = 2, score = 0.25, success = false, finished = false }
    e:hear("what?")
    expect(e:episode()):equals {
      turns = 3,
      score = 0.25,
      success = false,
      finished = false,
      ending = "terminated",
    }
    e:reset(5)
    e:hear("say " .. e:expert())
    expect(e:episode()):equals { turns = 1, score = 1, success = true, finished = true, ending = "terminated" }
  end)

  it("has equal hashes for equal openings", function()
    local e = env.make(guess {
      reset = function(_, task)
        return task.id % 2 == 0 and "even" or "odd"
      end,
    })
    expect(e:prompt_hash(2)):equals(e:prompt_hash(4))
    expect(e:prompt_hash(2) == e:prompt_hash(3)):equals(false)
    expect(#e:prompt_hash(2)):equals(64)
  end)

  it("comes from a file, too, and is answered with the nearest name", function()
    local folder = fs.tempdir()
    local file = path.join(folder, "coin.lua")
    fs.write(
      file,
      [[
      return require("affine.env").define {
        name = "coin", prompt = "Heads or tails?",
        reset = function() return "" end,
        step = function() return "", 1, true end,
      }]]
    )
    expect(env.make(file):describe().name):equals("coin")
    fs.write(file, "return 5")
    expect(function()
      env.make(file)
    end):raises("expected what env.define returns, got number")
    fs.remove(folder, { recursive = true })
    expect(function()
      env.make("gird")
    end):raises('no environment is called "gird"\nhint: did you mean "grid"?')
    expect(function()
      env.make("sat", { clauses = 5 })
    end):raises("clauses: unknown option")
  end)

  it("cannot be used once it is closed", function()
    local e = env.make(guess())
    e:close()
    expect(function()
      e:reset(0)
    end):raises("this environment was closed")
  end)
end)

describe("a mistake in an environment", function()
  local function broken(changes)
    local e = env.make(guess(changes))
    return function()
      e:reset(0)
      e:parse("x")
      e:messages()
      e:step("x")
      e:reply("x")
    end
  end
  local function returns(...)
    local values = table.pack(...)
    return function()
      return table.unpack(values, 1, values.n)
    end
  end

  it("is told with the environment and the function", function()
    expect(broken {
      reset = function()
        error("boom")
      end,
    }):raises("environment guess: reset: ")
    expect(broken { reset = returns(5) }):raises(
      "reset: expected the first observation as a string, got number"
    )
    expect(broken { parse = returns(5) }):raises("parse: expected an action as a string, got number")
    expect(broken { reply = returns(5) }):raises("reply: expected a string, got number")
    expect(broken { parse = returns(nil) }):raises(
      "parse: expected an action, or nil and a complaint, got nil"
    )
    expect(broken { messages = returns(5) }):raises("messages: expected a list of { role =, content = }")
    expect(broken { messages = returns { { role = "user" } } }):raises("missing field `content`")
    expect(broken { step = returns(nil) }):raises("step: expected the observation as a string, got nil")
    expect(broken { step = returns("", "1", true) }):raises(
      "step: expected the reward as a number, got string"
    )
    expect(broken { step = returns("", 0 / 0, true) }):raises("step: expected the reward as a number, got")
    expect(broken { step = returns("", 1) }):raises(
      "step: expected true or false as third result (done), got nil"
    )
    expect(broken { step = returns("", 1, true, 5) }):raises("fourth result (info), got number")
    expect(broken { step = returns("", 1, true, { "a" }) }):raises("fourth result (info), got table")
    expect(broken { step = returns("", 1, true, { score = "1" }) }):raises(
      'info.score: expected a number, got "1"'
    )
    expect(broken { step = returns("", 1, true, { truncated = 1 }) }):raises(
      "info.truncated: expected true or false"
    )
    expect(broken { step = returns("", 1, true, { f = print }) }):raises("step: info: f: ")
  end)
end)
