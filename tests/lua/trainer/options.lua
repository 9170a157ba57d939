-- Every wrong option of a trainer is named, with what would be right.
local fs = require("affine.fs")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local m, folder = tiny.model(), fs.tempdir()

local function sft(options)
  return function()
    options.data, options.output_dir = options.data or tiny.records(), options.output_dir or folder
    trainer.sft(m, options)
  end
end

local function ppo(options)
  return function()
    trainer.ppo(m, options)
  end
end

describe("an option", function()
  it("that does not exist is answered with the nearest", function()
    expect(sft { learning_rat = 1 }):raises(
      "learning_rat: unknown option\nhint: did you mean `learning_rate`?"
    )
    expect(sft { max_step = 1 }):raises("did you mean `max_steps`?")
    expect(ppo { clip_rang = 1 }):raises(
      "trainer.ppo: clip_rang: unknown option\nhint: did you mean `clip_range`?"
    )
    expect(ppo { gea_lambda = 1 }):raises("did you mean `gae_lambda`?")
  end)

  it("of another type says what came", function()
    expect(sft { learning_rate = "fast" }):raises('learning_rate: expected number, got string "fast"')
    expect(sft { batch_size = 1.5 }):raises("batch_size: expected a non-negative integer, got number 1.5")
    expect(sft { output_dir = 5 }):raises("output_dir: expected")
    expect(sft { lr_scheduler_type = "cosin" }):raises('unknown value "cosin"\nhint: did you mean `cosine`?')
    expect(sft { resume_from_checkpoint = 5 }):raises(
      "expected true, false or the path of a checkpoint, got number 5"
    )
    expect(sft { data = 5 }):raises("data: expected a file's path or a list of records, got number")
    expect(ppo { gamma = "high" }):raises('gamma: expected number, got string "high"')
    expect(ppo { num_rollouts = "many" }):raises("expected an integer or a table from environment to integer")
    expect(ppo { discount_unit = "episode" }):raises('discount_unit: unknown value "episode"')
  end)

  it("out of its range says which range", function()
    expect(sft { batch_size = -8 }):raises("batch_size: expected a non-negative integer, got number -8")
    expect(sft { num_epochs = 0 }):raises("num_epochs: expected an integer of at least 1, got 0")
    expect(sft { max_steps = 0 }):raises("max_steps: expected an integer of at least 1, got 0")
    expect(sft { learning_rate = -1 }):raises("learning_rate: expected a number of at least 0, got -1")
    expect(sft { warmup_ratio = 2 }):raises("warmup_ratio: expected a number from 0 to 1, got 2")
    expect(sft { max_length = 1 }):raises("max_length: expected an integer of at least 2, got 1")
    expect(sft { weight_decay = 1 / 0 }):raises("weight_decay: expected a finite number")
    local below_one = "expected a number of at least 0 and below 1, got "
    expect(sft { adam_beta1 = 1 }):raises("adam_beta1: " .. below_one .. "1")
    expect(sft { adam_beta2 = 1 }):raises("adam_beta2: " .. below_one .. "1")
    expect(sft { adam_beta1 = -0.1 }):raises("adam_beta1: " .. below_one .. "-0.1")
    expect(sft { adam_epsilon = 0 }):raises("adam_epsilon: expected a number above 0, at most 1, got 0")
    expect(ppo { gamma = 1.5 }):raises("gamma: expected a number from 0 to 1, got 1.5")
    expect(ppo { clip_range = 0 }):raises("clip_range: expected a number between 0 and 1, got 0")
    expect(ppo { temperature = 0 }):raises("temperature: expected a number above 0")
    expect(ppo { first_task_id = 5, last_task_id = 4 }):raises(
      "last_task_id: expected at least first_task_id (5), got 4"
    )
  end)

  it("that is missing is asked for", function()
    expect(function()
      ---@diagnostic disable-next-line: missing-fields, param-type-mismatch
      trainer.sft(m, {})
    end):raises("trainer.sft: data: expected a file of records or a list of them, got nothing")
    expect(function()
      ---@diagnostic disable-next-line: missing-fields, param-type-mismatch
      trainer.sft("model", {})
    end):raises("trainer.sft: argument 1 (model)")
  end)
end)

describe("a record", function()
  it("that is none is named with its place", function()
    expect(sft { data = { { messages = {} } } }):raises("trainer.sft: data")
    expect(sft { data = { { text = 5 } } }):raises("trainer.sft: data")
    expect(sft { data = { { words = "x" } } }):raises(
      "expected an object with `messages`, `text`, or `prompt` and `completion`"
    )
    expect(sft { data = { { messages = { { role = "robot", content = "x" } } } } }):raises("got `robot`")
    expect(sft { data = { { messages = { { role = "usr", content = "x" } } } } }):raises(
      "data[1]: message 1: expected role `system`, `user` or `assistant`, got `usr`, did you mean `user`?"
    )
    expect(sft { data = {} }):raises("none of the 0 records has a token to train on")
    expect(sft { data = "nowhere.jsonl" }):raises("nowhere.jsonl: cannot be read: no such file")
  end)
end)

fs.remove(folder, { recursive = true })
