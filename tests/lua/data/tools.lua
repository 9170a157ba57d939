-- Tools beside a conversation: refused with the file and the row, wherever conversations are read.
local collect = require("affine.collect")
local data = require("affine.data")
local fs = require("affine.fs")
local json = require("affine.json")
local path = require("affine.path")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()
local turns = { { role = "user", content = "a" }, { role = "assistant", content = "b" } }
local tool = { { type = "function", ["function"] = { name = "f" } } }

local function file(rows)
  local lines = {}
  for index, row in ipairs(rows) do
    lines[index] = json.encode(row) .. "\n"
  end
  local name = path.join(folder, "rows.jsonl")
  fs.write(name, table.concat(lines))
  return name
end

describe("tools beside a conversation", function()
  it("are refused with file and line", function()
    local name = file { { messages = turns }, { messages = turns, tools = tool } }
    expect(function()
      data.read(name)
    end):raises("rows.jsonl: line 2: `tools`: tools and their calls are not supported yet")
    expect(function()
      collect.read(name, 0)
    end):raises("rows.jsonl: line 2: `tools`: tools and their calls are not supported yet")
    expect(function()
      trainer.sft(tiny.model(), { data = { { messages = turns, tools = tool } }, output_dir = folder })
    end):raises("`tools`: tools and their calls are not supported yet")
  end)

  it("are no harm where there are none", function()
    local name = file { { messages = turns, tools = json.array {}, score = 1 } }
    expect(#data.read(name)):equals(1)
    expect(#collect.read(name, 0)):equals(1)
  end)

  it("are counted where a turn calls one", function()
    local calls = { turns[1], { role = "assistant", content = "", tool_calls = tool } }
    local records, left_out = collect.read(file { { messages = calls } }, 0)
    expect(#records):equals(0)
    expect(left_out):equals { ["turn 2 of its conversation calls a tool, which is not supported yet"] = 1 }
  end)
end)

fs.remove(folder, { recursive = true })
