-- Handles: closing, wrong calls, memory; and tensors in files.
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function error_of(f, ...)
  local passed, message = pcall(f, ...)
  assert(not passed, "expected an error")
  -- Without the position, which is this file's.
  return (message:gsub("^[^\n]-:%d+: ", ""))
end

describe("a closed tensor", function()
  local closed = tensor.new { 1, 2 }
  closed:close()

  it("says so wherever it is used", function()
    expect(error_of(closed.exp, closed)):equals("tensor:exp: the tensor was closed")
    expect(error_of(function()
      return closed[1]
    end)):equals("tensor[1]: the tensor was closed")
    expect(error_of(function()
      return #closed
    end)):equals("#tensor: the tensor was closed")
    expect(error_of(function()
      return 1 + closed
    end)):equals("number + tensor: right: expected tensor, got one that was closed")
    local open = tensor.new { { 1, 2 } }
    expect(error_of(open.matmul, open, closed)):equals(
      "tensor:matmul: other: expected tensor, got one that was closed"
    )
    expect(error_of(tensor.cat, { closed })):equals(
      "tensor.cat: tensors[1]: expected tensor, got one that was closed"
    )
    expect(tostring(closed)):equals("tensor (closed)")
  end)

  it("may be closed again", function()
    closed:close()
  end)

  it("does not take its views along", function()
    local t = tensor.new { { 1, 2 }, { 3, 4 } }
    local row = t[2]
    t:close()
    expect(row:totable()):equals { 3, 4 }
  end)

  it("is closed by the end of its block", function()
    local outer
    do
      local t <close> = tensor.new { 1 }
      outer = t
      expect(t:item()):equals(1)
    end
    expect(tostring(outer)):equals("tensor (closed)")
  end)
end)

describe("a method", function()
  it("is called with a colon", function()
    local hint = "\nhint: call a method with a colon: t:method()"
    local t = tensor.new { 1 }
    expect(error_of(t.exp)):equals("tensor:exp: not called on a tensor" .. hint)
    expect(error_of(t.sum, 1)):equals("tensor:sum: not called on a tensor" .. hint)
    expect(error_of(t.close)):equals("tensor:close: not called on a tensor" .. hint)
  end)

  it("names the script's line", function()
    local passed, message = pcall(function()
      return tensor.new({ 1 })[2]
    end)
    expect(passed):equals(false)
    expect(message):contains("handles.lua:")
  end)
end)

describe("a tensor file", function()
  local path = os.tmpname()

  it("gives back what was saved", function()
    tensor.save(path, {
      weight = tensor.new({ { 1, 2 }, { 3, 4.5 } }, { requires_grad = true }),
      transposed = tensor.new({ { 1, 2 }, { 3, 4 } }):t(),
      ids = tensor.new({ 1, -2 }, { dtype = "int64" }),
      half = tensor.new({ 0.5 }, { dtype = "bfloat16" }),
      mask = tensor.new { true, false },
      single = tensor.new(7),
    })
    local tensors = tensor.load(path)
    expect(tensors.weight:totable()):equals { { 1, 2 }, { 3, 4.5 } }
    expect(tensors.weight:requires_grad()):equals(false)
    expect(tensors.transposed:totable()):equals { { 1, 3 }, { 2, 4 } }
    expect(tensors.ids:totable()):equals { 1, -2 }
    expect(tensors.half:dtype()):equals("bfloat16")
    expect(tensors.half:totable()):equals { 0.5 }
    expect(tensors.mask:totable()):equals { true, false }
    expect(tensors.single:shape()):equals {}
  end)

  it("is refused where it is none", function()
    local file = assert(io.open(path, "w"))
    file:write("no tensors")
    file:close()
    expect(error_of(tensor.load, path)):contains("tensor.load: " .. path .. ": not a whole safetensors file")
    os.remove(path)
    expect(error_of(tensor.load, path)):contains("tensor.load: " .. path)
    expect(error_of(tensor.save, path .. "/x", {})):contains(
      "tensor.save: " .. path .. "/x: cannot be written"
    )
    expect(error_of(tensor.save, path, { a = 3 })):equals(
      "tensor.save: tensors.a: expected tensor, got number"
    )
    expect(error_of(tensor.save, path, { tensor.new(1) })):equals(
      "tensor.save: tensors: expected names as keys, got number"
    )
  end)
end)
