-- SFT from a script: whole, step by step, resumed, with dropout.
local fs = require("affine.fs")
local json = require("affine.json")
local path = require("affine.path")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()

local function adapted()
  local m = tiny.model()
  m:add_lora { lora_r = 4, lora_dropout = 0.2 }
  return m
end

-- Nine steps: three epochs of windows of 3, 3 and 2 records.
local function sft(m, name, changes)
  local options = {
    data = tiny.records(),
    output_dir = path.join(folder, name),
    num_epochs = 3,
    batch_size = 1,
    gradient_accumulation_steps = 3,
    learning_rate = 5e-3,
    lr_scheduler_type = "cosine",
    warmup_ratio = 0.2,
    save_steps = 4,
    logging_steps = 0,
  }
  for key, value in pairs(changes or {}) do
    options[key] = value
  end
  return trainer.sft(m, options)
end

describe("trainer.sft", function()
  it("runs whole and tells what came of it", function()
    local m = tiny.model()
    local trained = sft(m, "whole", { num_epochs = 20 })
    local before = trained:evaluate(tiny.records())
    local result = trained:run()
    expect(result.steps):equals(60)
    expect(result.records):equals(8)
    expect(trained:evaluate(tiny.records()) < 0.6 * before):equals(true)
    expect(result.final_loss < result.train_loss):equals(true)
    expect(fs.exists(path.join(folder, "whole/model.safetensors"))):equals(true)
  end)

  it("keeps what the script keeps, in a checkpoint whose step was heard with what became of it", function()
    local trained = sft(adapted(), "kept")
    local kept = trained:state()
    for step in trained:steps() do
      kept.count = (kept.count or 0) + 1
      if step.step == 5 then
        -- Who is killed here goes on behind step 4, whose body was run to its end.
        local state = json.decode(fs.read(path.join(folder, "kept/checkpoint-4/trainer_state.json")))
        expect(state.unheard == nil or state.unheard == json.null):equals(true)
        expect(state.script):equals { count = 4 }
      end
    end
    expect(kept.count):equals(9)
  end)

  it("goes step by step", function()
    local count, tokens = 0, 0
    for step in sft(adapted(), "steps"):steps() do
      count = count + 1
      tokens = tokens + step.tokens
      expect(step.step):equals(count)
      expect(step.epoch):near(count / 3)
      expect(step.grad_norm > 0 and step.loss > 0 and step.seconds >= 0):equals(true)
      -- The first rate of a warm-up is 0.
      expect(step.learning_rate == 0):equals(count == 1)
    end
    expect(count):equals(9)
    -- Three epochs of eight replies and the tokens that end them.
    local said = 0
    for _, record in ipairs(tiny.records()) do
      said = said + #tiny.tokenizer:encode(record.messages[2].content) + 1
    end
    expect(tokens):equals(3 * said)
    expect(fs.list(path.join(folder, "steps"))):equals {
      "adapter_config.json",
      "adapter_model.safetensors",
      "checkpoint-8",
      "checkpoint-9",
    }
  end)

  it("resumes with dropout as if it had not stopped", function()
    for _ in sft(adapted(), "straight"):steps() do
    end
    for step in sft(adapted(), "halves"):steps() do
      if step.step == 5 then
        break
      end
    end
    expect(fs.list(path.join(folder, "halves"))):equals { "checkpoint-4" }
    local again = sft(adapted(), "halves", { resume_from_checkpoint = true })
    local first
    for step in again:steps() do
      first = first or step.step
    end
    expect(first):equals(5)
    for _, file in ipairs { "adapter_model.safetensors", "checkpoint-9/optimizer.safetensors" } do
      local sums = {}
      for _, name in ipairs { "straight", "halves" } do
        sums[#sums + 1] = fs.sha256_file(path.join(folder, name, file))
      end
      expect(sums[1]):equals(sums[2])
    end
    local state = json.decode(fs.read(path.join(folder, "halves/checkpoint-9/trainer_state.json")))
    expect(state.global_step):equals(9)
    expect(state.max_steps):equals(9)
  end)

  it("reads a file of records", function()
    local file = path.join(folder, "train.jsonl")
    for _, record in ipairs(tiny.records()) do
      fs.append(file, json.encode(record) .. "\n")
    end
    local from_file = assert(sft(tiny.model(), "file", { data = file }):steps()())
    local from_list = assert(sft(tiny.model(), "list"):steps()())
    expect(from_file.loss):equals(from_list.loss)
  end)

  it("refuses a checkpoint of other data and other models", function()
    expect(function()
      local fewer = table.move(tiny.records(), 1, 7, 1, {})
      sft(adapted(), "halves", { data = fewer, resume_from_checkpoint = true })
    end):raises("checkpoint-9: was made with data = ")
    expect(function()
      sft(tiny.model(), "halves", { resume_from_checkpoint = true })
    end):raises("checkpoint-9: is a checkpoint of another model")
  end)
end)

fs.remove(folder, { recursive = true })
