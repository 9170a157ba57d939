local env = require("affine.env")
local fs = require("affine.fs")
local json = require("affine.json")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local DOUBLE = { program = "print(2 * int(input()))", inputs = "3", output = "6" }

--- Calls `play` with a file that holds one row.
local function with_data(play)
  local folder = fs.tempdir()
  local path = folder .. "/rows.jsonl"
  fs.write(path, json.encode(DOUBLE) .. "\n")
  local played, problem = pcall(play, path)
  fs.remove(folder, { recursive = true })
  if not played then
    error(problem, 0)
  end
end

describe("env.make('abd', { build = 'v1' })", function()
  it("plays an input that a function invents", function()
    with_data(function(data)
      local seen = {}
      local e <close> = env.make("abd", {
        data = data,
        build = "v1",
        invent = function(program, inputs, output, attempt)
          seen[#seen + 1] = { program, inputs, output, attempt }
          -- The old input, none at all, one that the program does not take, and one that it does.
          local replies = { "<INPUT>3</INPUT>", "I have none.", "<INPUT>x</INPUT>", "<INPUT>21</INPUT>" }
          return replies[#seen]
        end,
      })
      local prompt = e:reset(0)
      expect(#seen):equals(4)
      expect(seen[4]):equals { DOUBLE.program, "3", "6", 3 }
      expect(prompt:find("Expected Output:\n```\n42\n", 1, true) ~= nil):equals(true)
      expect(e:expert()):equals("<INPUT>\n21\n</INPUT>")
      local _, reward = e:step(e:expert())
      expect(reward):equals(1)
    end)
  end)

  it("gives a task up when nobody invents an input that the program takes", function()
    with_data(function(data)
      local e <close> = env.make("abd", {
        data = data,
        build = "v1",
        invent = function()
          return "<INPUT>3</INPUT>"
        end,
      })
      expect(function()
        e:reset(0)
      end):raises("task 0 cannot be played: none of 20 invented inputs was a new one")
    end)
  end)

  it("refuses what does not go together", function()
    with_data(function(data)
      expect(function()
        env.make("abd", { data = data, build = "v1" })
      end):raises("invent: expected a function")
      expect(function()
        env.make("abd", { data = data, invent = print })
      end):raises('build: expected "v1" beside `invent`, got "v2"')
      expect(function()
        env.make("abd", { data = data, build = "v3" })
      end):raises('build: unknown value "v3"')
      local e <close> = env.make("abd", { data = data, build = "v1", invent = function() end })
      expect(function()
        e:reset(0)
      end):raises("invent: expected a text with an input between INPUT tags, got nil")
    end)
  end)
end)
