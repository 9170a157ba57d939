local env = require("affine.env")
local held_out = require("affine.internal.held_out")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

--- Sums: the whole task is in the prompt, and of few words.
local sums = env.make(env.define {
  name = "sums",
  prompt = function(self)
    return ("What is %d + %d ? Answer in digits."):format(self.a, self.b)
  end,
  reset = function(self, task)
    self.a, self.b = task.id, task.id + 1
    return "Go."
  end,
  step = function()
    return "", 0, true
  end,
})

local evaluation = { first_task_id = 10, num_eval_samples = 2 }
local tasks = held_out.tasks({ sums, env.make("grid") }, { "sums", "grid" }, { {}, {} }, evaluation)
local index = held_out.index(tasks)

local function user(text)
  return { messages = { { role = "user", content = text }, { role = "assistant", content = "21" } } }
end

local function by(record)
  local _, how = index:find(record)
  return how or "nothing"
end

describe("a judged task", function()
  it("is what tells it from others", function()
    expect(table.concat(tasks[1].words, " ")):equals("10 + 11")
    expect(tasks[1].told_by_observation):equals(false)
    expect(tasks[3].told_by_observation):equals(true)
  end)

  it("is known by environment and id in any spelling", function()
    for _, record in ipairs {
      { env = "sums", task_id = 10 },
      { env = "affine:sums", task_id = "11" },
      { env = "SUMS", task_id = 10.0, options = {} },
      { task_id = "sums_11" },
      { env = "sums", task_id = "sums_10" },
    } do
      expect(by(record)):equals("task id")
    end
    for _, record in ipairs {
      { env = "sums", task_id = 12 },
      { env = "grids", task_id = 10 },
      { env = "sums", task_id = 10, options = { size = 3 } },
      { env = "sums" },
      {},
    } do
      expect(by(record)):equals("nothing")
    end
  end)

  it("is known by its prompt, with other instructions too", function()
    expect(by(user("What is 10 + 11 ? Answer in digits.\nGo."))):equals("prompt")
    expect(by(user("Add up:\n  10 +  11"))):equals("prompt without its instructions")
    expect(by(user("Where does 10 + 11 lead, and 12 + 13?"))):equals("nothing")
    expect(by(user("110 + 11"))):equals("nothing")
    expect(by { prompt = "10 + 11", completion = "21" }):equals("prompt without its instructions")
  end)

  it("is known by what is seen first, but not by what is seen later", function()
    local seen = tasks[3].observation
    expect(by(user("Go!\n" .. seen:gsub(", ", ",\n")))):equals("prompt without its instructions")
    local episode = user("Go!")
    table.insert(episode.messages, { role = "user", content = seen })
    episode.env = "grid"
    expect(by(episode)):equals("nothing")
    episode.env = nil -- it may be an environment whose model consents to its instructions first
    expect(by(episode)):equals("prompt without its instructions")
  end)
end)
