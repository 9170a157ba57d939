-- What a model computes with on the CPU: chosen, forced, and kept by a run.
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
    local found = tiny.model():info().kernels
    expect(found == "onednn" or found == "mkl"):equals(true)
    for _, name in ipairs { "libtorch", "mkl", "onednn" } do
      expect(tiny.model({ kernels = name }):info().kernels):equals(name)
    end
    expect(tiny.model({ kernels = "auto" }):info().kernels):equals(found)
  end)

  it("are a model's own, and a loaded one's those that it is loaded with", function()
    local plain <close> = tiny.model { kernels = "libtorch" }
    local saved = path.join(folder, "saved")
    plain:save(saved)
    local loaded <close> = model.load(saved, { kernels = "mkl" })
    expect(loaded:info().kernels):equals("mkl")
    expect(plain:info().kernels):equals("libtorch")
  end)

  it("say the same whatever they are", function()
    local trained <close> = tiny.model()
    trained:add_lora { lora_r = 2 }
    sft(trained, 1):run()
    fs.remove(path.join(folder, "run"), { recursive = true })
    local adapter = path.join(folder, "adapter")
    trained:save_adapter(adapter)
    local ids = tiny.tokenizer:encode("red blue green one two three")
    local said = {}
    for _, name in ipairs { "libtorch", "mkl", "onednn" } do
      local m <close> = tiny.model { kernels = name }
      m:load_adapter(adapter)
      said[#said + 1] = m:logprobs(ids)
    end
    for i, number in ipairs(said[1]) do
      expect(said[2][i]):near(number, 1e-5)
      expect(said[3][i]):near(number, 1e-5)
    end
  end)

  it("of a run are those that it began with", function()
    local m <close> = tiny.model { kernels = "mkl" }
    sft(m, 1):run()
    local checkpoint = path.join(folder, "run", "checkpoint-1")
    expect(json.decode(fs.read(path.join(checkpoint, "trainer_state.json"))).kernels):equals("mkl")
    -- The other library, wherever this test runs, and no other model's.
    local bystander <close> = tiny.model()
    local found = bystander:info().kernels
    local state = path.join(checkpoint, "trainer_state.json")
    local other = found == "mkl" and "onednn" or "mkl"
    fs.write(state, (fs.read(state):gsub('("kernels": ?)"mkl"', '%1"' .. other .. '"')))
    local again <close> = tiny.model()
    sft(again, 2):run()
    expect(again:info().kernels):equals(other)
    expect(bystander:info().kernels):equals(found)
    -- Unless others are named.
    local third <close> = tiny.model { kernels = "libtorch" }
    sft(third, 3):run()
    expect(third:info().kernels):equals("libtorch")
  end)
end)
