-- What the experts of text environments say before they act: no name that the player has not met, no plan but the one
-- that is then followed.

local env = require("affine.env")
local test = require("affine.test")

local expect = test.expect

--- Plays with the expert and its thoughts; `check(thought, action, text, info)` sees each turn with all that was shown so far.
local function follow(e, task_id, check)
  e:reset(task_id)
  local shown, done, info, turns = {}, false, {}, 0
  for _, message in ipairs(e:messages()) do
    shown[#shown + 1] = message.content
  end
  while not done and turns < 60 do
    local action, thought = e:explain()
    if not action then
      break
    end
    expect(thought ~= nil):equals(true)
    check(thought, action, table.concat(shown, "\n"):lower(), info)
    local reply = e:reply(action, thought)
    expect((e:parse(reply))):equals(action)
    local observation, _
    observation, _, done, info = e:step(action)
    shown[#shown + 1] = observation
    turns = turns + 1
  end
  return turns
end

test.describe("thoughts of experts", function()
  test.it(
    "alfworld: things and places with numbers were shown before or are among the possible commands",
    function()
      local e <close> = env.make("alfworld", { split = "generated" })
      local named = 0
      for task_id = 0, 19 do
        follow(e, task_id, function(thought, _, text, info)
          local known = text .. "\n" .. table.concat(info.admissible or {}, "\n"):lower()
          for name in thought:lower():gmatch("%a+ %d+") do
            named = named + 1
            expect(known:find(name, 1, true) ~= nil):equals(true)
          end
        end)
      end
      expect(named > 50):equals(true)
    end
  )

  test.it(
    "alfworld: what is called closed was not opened since, and with empty hands nothing is carried",
    function()
      local e <close> = env.make("alfworld", { split = "generated" })
      for task_id = 0, 19 do
        local held, opened = false, {}
        follow(e, task_id, function(thought, action)
          if thought:find("I do not carry", 1, true) then
            expect(held):equals(false)
          elseif thought:find("With what I carry", 1, true) or thought:find("what I carry.", 1, true) then
            expect(held):equals(true)
          end
          local closed = thought:match("^(.-) is closed")
          if closed then
            expect(opened[closed] or false):equals(false)
          end
          local verb, rest = action:match("^(%a+) (.*)$")
          opened[rest or ""] = verb == "open" or (verb ~= "close" and opened[rest or ""])
          held = verb == "take" or (held and verb ~= "put" and verb ~= "move")
        end)
      end
    end
  )

  test.it("babyai: the goal is the one that was given", function()
    local e <close> = env.make("babyai")
    for task_id = 0, 39 do
      follow(e, task_id, function(thought, action, text)
        local goal = assert(thought:match("^My goal is to (.-)%. [%u]"))
        expect(text:find(goal:lower(), 1, true) ~= nil):equals(true)
        expect(thought:sub(-#action - 1)):equals(action .. ".")
      end)
    end
  end)

  test.it(
    "webshop: a product that is named is on the page, and what the instruction asks for is in it",
    function()
      local e <close> = env.make("webshop", { num_products = 300 })
      for task_id = 0, 19 do
        follow(e, task_id, function(thought, _, text)
          local product = thought:match("on this page, (%S+) is the one")
          local asked = thought:match("^The instruction asks for (.-), so I choose it")
          for _, name in ipairs { product or "", asked or "" } do
            expect(text:find(name:lower(), 1, true) ~= nil):equals(true)
          end
        end)
      end
    end
  )

  test.it("textcraft: the plan that is told is the one that is followed", function()
    local e <close> = env.make("textcraft", { max_turns = 60 })
    for task_id = 0, 500, 25 do
      local thoughts, actions = {}, {}
      follow(e, task_id, function(thought, action)
        thoughts[#thoughts + 1], actions[#actions + 1] = thought, action
      end)
      for turn, thought in ipairs(thoughts) do
        local gets, crafts = {}, {}
        for later = turn, #actions do
          local get = actions[later]:match("^get (.*)$")
          local count, made = actions[later]:match("^craft (%d+) (.-) using ")
          if get then
            gets[#gets + 1] = get
          elseif crafts[#crafts] and crafts[#crafts].made == made then
            crafts[#crafts].count = crafts[#crafts].count + count
          else
            crafts[#crafts + 1] = { made = made, count = math.tointeger(count) }
          end
        end
        local told = {}
        for index, craft in ipairs(crafts) do
          told[index] = ("%d %s"):format(craft.count, craft.made)
        end
        expect(thought:match("raft (%d.-)%.$")):equals(table.concat(told, ", then "))
        expect(thought:match("I have to gather (.-)%. ")):equals(
          #gets > 0 and table.concat(gets, " and ") or nil
        )
      end
    end
  end)
end)
