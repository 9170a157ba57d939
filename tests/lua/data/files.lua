-- Files of records: read, changed in Lua, written, trained on.

local affine = require("affine")
local test = require("affine.test")
local tiny = dofile("tests/lua/tiny.lua")
local data, fs, trainer = affine.data, affine.fs, affine.trainer
local describe, it, expect = test.describe, test.it, test.expect

local work <close> = setmetatable({ path = fs.tempdir() }, {
  __close = function(self)
    fs.remove(self.path, { recursive = true })
  end,
})

local function calling(f, ...)
  local args = table.pack(...)
  return function()
    return f(table.unpack(args, 1, args.n))
  end
end

local GOLDEN = "tests/golden/records/"

describe("a file of records", function()
  it("is read as tables and written as it was", function()
    local records = data.read(GOLDEN .. "mixed.parquet")
    expect(#records):equals(3)
    expect(records[1].messages[2]):equals { role = "assistant", content = "Yo" }
    expect(records[1].task_id):equals(7)
    expect(records[2].prompt[1].content):equals("2 + 2 =")
    records[1].task_id = 8
    local path = work.path .. "/copy.jsonl.zst"
    data.write(path, records)
    expect(data.read(path)[1].task_id):equals(8)
  end)

  it("of another form is refused by name", function()
    expect(calling(data.read, "nowhere.jsonl")):raises("nowhere.jsonl: cannot be read: no such file")
    expect(calling(data.write, "x.json", {})):raises(
      "x.json: expected a name that ends in .jsonl or .jsonl.zst"
    )
    expect(calling(data.write, "x.jsonl", { { txt = 1 } })):raises("data.write: records")
    expect(calling(data.read)):raises("data.read: argument 1 (path)")
  end)
end)

describe("SFT", function()
  local function train(records, changes)
    local options = { data = records, output_dir = work.path .. "/sft", max_steps = 1, logging_steps = 0 }
    for key, value in pairs(changes or {}) do
      options[key] = value
    end
    return trainer.sft(tiny.model(), options):run()
  end

  it("trains on each form of record, from a file and from tables", function()
    local pairs_file = GOLDEN .. "pairs.parquet"
    expect(train(pairs_file).final_loss):equals(train(data.read(pairs_file)).final_loss)
    local whole =
      { { messages = { { role = "user", content = "red" }, { role = "assistant", content = "blue" } } } }
    local split = { { prompt = { whole[1].messages[1] }, completion = { whole[1].messages[2] } } }
    expect(train(split).final_loss):equals(train(whole).final_loss)
  end)

  it("counts what is cut and what is left out", function()
    local reply = { role = "assistant", content = ("blue "):rep(100) }
    local records = {
      { messages = { { role = "user", content = "red" }, reply } },
      { messages = { { role = "user", content = ("red "):rep(100) }, reply } },
      { prompt = "red", completion = " blue" },
    }
    local function counts(changes)
      local result = train(records, changes)
      return { result.records, result.records_cut, result.records_left_out }
    end
    -- The second is cut, too, but nothing of it is trained then.
    expect(counts()):equals { 2, 1, 1 }
    expect(counts { packing = true }):equals { 2, 1, 1 }
    -- What is evaluated on is not counted.
    expect(counts { eval_data = records, eval_steps = 1 }):equals { 2, 1, 1 }
    data.write(work.path .. "/three.jsonl", records)
    records = work.path .. "/three.jsonl"
    expect(counts()):equals { 2, 1, 1 }
  end)

  it("names the record that cannot be trained on", function()
    local question = { messages = { { role = "user", content = "red" } } }
    expect(calling(train, { { text = "red" }, question })):raises(
      "record 2: a record needs an assistant message to train on, got none"
    )
    local path = work.path .. "/questions.jsonl"
    data.write(path, { question, { text = "red" }, question })
    expect(calling(train, path)):raises(
      "2 of 3 records cannot be trained on: a record needs an assistant message to train on, got none ("
        .. path
        .. ": line 1, "
        .. path
        .. ": line 3)"
    )
  end)

  it("leaves out the loss of turns that are marked so", function()
    local function loss_of(mark, value)
      local messages = {}
      for _, word in ipairs { "green", "blue" } do
        messages[#messages + 1] = { role = "user", content = "red" }
        messages[#messages + 1] = { role = "assistant", content = word }
      end
      if mark then
        messages[2][mark] = value
      end
      return train({ { messages = messages } }).tokens
    end
    local all = loss_of()
    for _, mark in ipairs { "loss", "weight", "train", "training", "trainable", "loss_mask" } do
      expect(loss_of(mark, true)):equals(all)
      expect(loss_of(mark, 1.0)):equals(all)
      expect(loss_of(mark, false) < all):equals(true)
      expect(loss_of(mark, 0)):equals(loss_of(mark, false))
    end
    expect(calling(loss_of, "weight", 0.5)):raises("expected true, false, 0 or 1")
  end)
end)
