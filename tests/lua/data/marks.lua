-- Other people's files: turns that carry no loss, byte order marks, compressed lines; rows that cannot be trained on.

local collect = require("affine.collect")
local data = require("affine.data")
local fs = require("affine.fs")
local json = require("affine.json")
local test = require("affine.test")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local work <close> = setmetatable({ path = fs.tempdir() }, {
  __close = function(self)
    fs.remove(self.path, { recursive = true })
  end,
})

local function file(name, text)
  local path = work.path .. "/" .. name
  fs.write(path, text)
  return path
end

local function turn(from, value, mark)
  return { from = from, value = value, loss = mark }
end

local function row(...)
  return { item_id = "webshop_0", conversations = { ... } }
end

describe("a conversation of AgentTraj", function()
  local path = file("traj.json", "\u{FEFF}" .. json.encode {
    row(
      turn("human", "red", json.null),
      turn("gpt", "green", false),
      turn("human", "red"),
      turn("gpt", "blue", true)
    ),
  })

  it("keeps its turns without loss, and trains the others", function()
    local records = collect.read(path, 0)
    expect(#records):equals(1)
    local marks = {}
    for index, message in ipairs(records[1].messages) do
      marks[index] = message.loss == nil and "-" or message.loss
    end
    expect(marks):equals { "-", false, "-", "-" }
    expect(tiny.tokenizer:preview(records[1].messages)):contains("green<|im_end|>")
    local shown = tiny.tokenizer:preview(records[1].messages)
    expect(shown:find("⟦green", 1, true)):equals(nil)
    expect(shown:find("⟦blue", 1, true) ~= nil):equals(true)
    -- As a stage writes it, a trainer reads it.
    local lines = file("sft.jsonl", json.encode(records[1]) .. "\n")
    expect(data.read(lines)[1].messages[2].loss):equals(false)
  end)

  it("that cannot be trained on is left out and counted", function()
    local rows = file(
      "bad.jsonl",
      table.concat({
        json.encode(row(turn("human", "a"), turn("gpt", "b", 0.5))),
        json.encode(row(turn("human", "a", true), turn("gpt", "b"))),
        json.encode(row(turn("human", "a"), turn("gpt", "b", false))),
        json.encode(row(turn("human", "a"), turn("robot", "b"))),
        json.encode(row(turn("human", "a"), turn("gpt", "b", 1))),
      }, "\n")
    )
    local records, left_out = collect.read(rows, 0)
    expect(#records):equals(1)
    expect(left_out):equals {
      ["turn 2 of its conversation: `loss`: expected true, false, 0 or 1, got 0.5"] = 1,
      ["turn 1 of its conversation: `loss` asks to train what the user says"] = 1,
      ["every reply in it is marked to carry no loss"] = 1,
      ["turn 2 of its conversation has no role or text that is known"] = 1,
    }
  end)

  it("shows a model the same prompt, marked or not", function()
    local env = require("affine.env")
    local plain = { { role = "user", content = "a" }, { role = "assistant", content = "b" } }
    local marked = { plain[1], { role = "assistant", content = "b", weight = 0 } }
    expect(env.prompt_hash(marked)):equals(env.prompt_hash(plain))
  end)
end)

describe("rows", function()
  it("come with their places, from any file of them", function()
    local path = file("x.txt", '{"a": 1}\n\n{"a": 2}\n')
    local rows, places = data.rows(path)
    expect(rows[2].a):equals(2)
    expect(places):equals { "line 1", "line 3" }
    expect(function()
      data.rows(file("y.jsonl", '{"a": 1}\n{"a"\n'))
    end):raises("y.jsonl: line 2: not JSON: ")
  end)

  it("in JSON may follow a byte order mark", function()
    expect(json.decode("\u{FEFF}[1]")):equals { 1 }
    expect(function()
      json.decode("\xFF\xFE[\0")
    end):raises("text in UTF-16")
  end)
end)
