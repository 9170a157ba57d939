-- use_cuda_graph: what may be asked for on a CPU, which has none.

local affine = require("affine")
local test = require("affine.test")
local tiny = dofile("tests/lua/tiny.lua")
local fs, model = affine.fs, affine.model
local describe, it, expect = test.describe, test.it, test.expect

local work <close> = setmetatable({ path = fs.tempdir() }, {
  __close = function(self)
    fs.remove(self.path, { recursive = true })
  end,
})
local base = work.path .. "/base"
do
  local m <close> = tiny.model()
  m:save(base)
end

local function reply(graph)
  local m <close> = model.load(base, { use_cuda_graph = graph, device = "cpu" })
  return m:generate({ "red" }, { max_new_tokens = 12, temperature = 0 })[1].tokens
end

describe("use_cuda_graph", function()
  it("is auto or false on a CPU, which comes to the same", function()
    expect(reply("auto")):equals(reply(nil))
    expect(reply(false)):equals(reply(nil))
  end)

  it("is an error on a CPU where it is asked for", function()
    expect(function()
      reply(true)
    end):raises("use_cuda_graph: the model is on cpu, and only a CUDA device has CUDA graphs")
  end)

  it("is auto, true or false", function()
    expect(function()
      reply("yes")
    end):raises('use_cuda_graph: expected "auto", true or false')
  end)
end)
