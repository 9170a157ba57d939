-- What computes on the CPU: chosen, forced, and kept by a run.
local fs = require("affine.fs")
local json = require("affine.json")
local model = require("affine.model")
local path = require("affine.path")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()

local function sft(m, steps)
  return trainer.sft(m, {
    data = tiny.records(),
    output_dir = path.join(folder, "run"),
    max_steps = steps,
    lr_scheduler_type = "constant",
    save_steps = 1,
    resume_from_checkpoint = true,
  })
end

describe("kernels", function()
  it("are affine's own with the library that is faster here, or those that are named", function()
    local found = model.kernels()
    expect(found == "onednn" or found == "mkl"):equals(true)
    for _, name in ipairs { "libtorch", "mkl", "onednn" } do
      expect(model.kernels(name)):equals(name)
      expect(model.kernels()):equals(name)
    end
    expect(model.kernels("auto")):equals(found)
  end)

  it("say the same whatever they are", function()
    local m <close> = tiny.model()
    m:add_lora { lora_r = 2 }
    sft(m, 1):run()
    fs.remove(path.join(folder, "run"), { recursive = true })
    local ids = tiny.tokenizer:encode("red blue green one two three")
    local said = {}
    for _, name in ipairs { "libtorch", "mkl", "onednn" } do
      model.kernels(name)
      said[#said + 1] = m:logprobs(ids)
    end
    model.kernels("auto")
    for i, number in ipairs(said[1]) do
      expect(said[2][i]):near(number, 1e-5)
      expect(said[3][i]):near(number, 1e-5)
    end
  end)

  it("of a run are those that it began with", function()
    model.kernels("mkl")
    local m <close> = tiny.model()
    sft(m, 1):run()
    local checkpoint = path.join(folder, "run", "checkpoint-1")
    expect(json.decode(fs.read(path.join(checkpoint, "trainer_state.json"))).kernels):equals("mkl")
    model.kernels("auto")
    local again <close> = tiny.model()
    sft(again, 2):run()
    expect(model.kernels()):equals("mkl")
    -- Unless others are named.
    model.kernels("onednn")
    local third <close> = tiny.model()
    sft(third, 3):run()
    expect(model.kernels()):equals("onednn")
  end)
end)
