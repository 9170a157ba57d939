-- Memory behind handles: counted per storage, freed by scopes, collected before it piles up.
local affine = require("affine")
local test = require("affine.test")
local tiny = dofile("tests/lua/tiny.lua")
local tensor = affine.tensor
local describe, it, expect = test.describe, test.it, test.expect

--- The most memory that this process has had in use, in bytes.
local function peak()
  return tonumber(affine.fs.read("/proc/self/status"):match("VmHWM:%s*(%d+) kB")) * 1024
end

local function usage()
  collectgarbage()
  collectgarbage()
  return affine.memory()
end

describe("memory", function()
  it("counts a storage once, however many views there are", function()
    local before = usage().tensor_bytes
    local t <close> = tensor.zeros { 1000, 256 }
    local row <close> = t[1]
    local turned <close> = t:t()
    expect(usage().tensor_bytes - before):equals(1000 * 256 * 4)
    t:close()
    row:close()
    expect(usage().tensor_bytes - before):equals(1000 * 256 * 4)
    turned:close()
    expect(usage().tensor_bytes - before):equals(0)
  end)

  it("counts a model's weights until it is closed", function()
    local before = usage()
    local m = tiny.model()
    local parameters = m:info().parameters
    expect(usage().tensor_bytes - before.tensor_bytes):equals(parameters * 4)
    expect(usage().handles - before.handles):equals(1)
    m:add_lora { lora_r = 4 }
    expect(usage().tensor_bytes - before.tensor_bytes):equals(m:info().parameters * 4)
    m:close()
    expect(usage().tensor_bytes):equals(before.tensor_bytes)
  end)

  it("of a model goes though its trainer's callback uses the trainer", function()
    local before, folder = usage().tensor_bytes, affine.fs.tempdir()
    do
      local sft
      sft = affine.trainer.sft(tiny.model(), {
        data = tiny.records(),
        output_dir = folder,
        on_step = function()
          return sft
        end,
      })
    end
    affine.fs.remove(folder, { recursive = true })
    expect(usage().tensor_bytes):equals(before)
  end)

  it("of a hundred thousand dead tensors of a megabyte stays small", function()
    for _ = 1, 100000 do
      tensor.zeros { 1024, 256 }
    end
    expect(peak() < 2e9):equals(true)
  end)
end)

describe("a scope", function()
  it("closes what was made in it, but not what it gives back", function()
    local before = usage().handles
    local lost
    local sum, more = affine.scope(function()
      lost = tensor.ones { 3 }
      local t = lost * 2
      return t:sum(), { mean = t:mean(), 7 }
    end)
    expect(tostring(lost)):equals("tensor (closed)")
    expect({ sum:item(), more.mean:item(), more[1] }):equals { 6, 2, 7 }
    expect(usage().handles - before):equals(2)
  end)

  it("hands on what an inner one gives back to the outer one", function()
    local inner_result
    affine.scope(function()
      inner_result = affine.scope(function()
        return tensor.ones { 2 }
      end)
      expect(inner_result:sum():item()):equals(2)
    end)
    expect(tostring(inner_result)):equals("tensor (closed)")
  end)

  it("closes everything when its function fails, and is over then", function()
    local lost, object = nil, { code = 7 }
    local passed, problem = pcall(affine.scope, function()
      lost = tensor.ones { 3 }
      error(object)
    end)
    expect({ passed, problem == object }):equals { false, true }
    expect(tostring(lost)):equals("tensor (closed)")
    local kept = tensor.ones { 1 }
    collectgarbage()
    expect(kept:item()):equals(1)
  end)
end)
