-- What a script can do with an error of the host: it is a string, with the script's line and the hint.
local affine = require("affine")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

---@return string
local function caught(f, ...)
  return select(2, pcall(f, ...))
end

describe("a caught error", function()
  it("reads like a string", function()
    local message = caught(affine.json.decode, "[")
    expect(tostring(message)):contains("json.decode: line 1, column 1")
    expect(("because: " .. message):find("^because: .*errors%.lua:%d+: json%.decode")):equals(1)
    expect(message .. "!"):contains("list!")
    expect(message:find("EOF", 1, true) ~= nil):equals(true)
    expect(message:gsub("json", "JSON")):contains("JSON.decode")
    expect(#message):equals(#tostring(message))
    expect(("%s"):format(message)):equals(tostring(message))
  end)

  it("has fields for a script that wants them", function()
    local unknown = caught(function()
      affine.json.encode({}, { indnt = 2 })
    end)
    expect(unknown.kind):equals("option")
    expect(unknown.path):equals("indnt")
    expect(unknown.hint):equals("did you mean `indent`?")
    expect(unknown.message):equals(unknown.position .. ": json.encode: indnt: unknown option")
    expect(unknown.position):contains("errors.lua:")
    expect(unknown.traceback[1]):contains(unknown.position)
    expect(tostring(unknown)):equals(unknown.message .. "\nhint: " .. unknown.hint)

    local wrong = caught(affine.json.encode, {}, { indent = "two" })
    expect({ wrong.path, wrong.expected, wrong.got }):equals {
      "indent",
      "a non-negative integer",
      'string "two"',
    }
    local missing = caught(affine.fs.read, "no/such/file")
    expect({ missing.kind, missing.path }):equals { "file", "no/such/file" }
    expect(
      caught(affine.tensor.zeros({ 2, 3 }).matmul, affine.tensor.zeros { 2 }, affine.tensor.zeros { 3 }).kind
    ):equals("message")
    expect(function()
      return missing.pth
    end):raises("an error has no field `pth`, did you mean `path`?")
  end)

  it("bears the script's line and survives being raised again", function()
    local first = caught(function()
      ---@diagnostic disable-next-line: param-type-mismatch
      affine.fs.read(5)
    end)
    expect(first):contains("errors.lua:")
    expect(rawequal(caught(error, first, 0), first)):equals(true)
  end)

  it("does not add a value to what was caught", function()
    local function nothing() end
    expect(select("#", pcall(nothing))):equals(1)
    expect(select("#", xpcall(nothing, print))):equals(1)
    expect(select("#", coroutine.wrap(nothing)())):equals(0)
    expect(select("#", coroutine.resume(coroutine.create(nothing)))):equals(1)
  end)

  it("is what coroutines and xpcall give, too", function()
    local thread = coroutine.create(function()
      local passed = pcall(function()
        coroutine.yield("across pcall")
        error("inner")
      end)
      coroutine.yield(passed)
      affine.json.decode("[")
    end)
    expect({ coroutine.resume(thread) }):equals { true, "across pcall" }
    expect({ coroutine.resume(thread) }):equals { true, false }
    local _, message = coroutine.resume(thread)
    expect(message):contains("json.decode")
    local _, handled = xpcall(affine.json.decode, function(text)
      return "handled " .. text
    end, "[")
    expect(handled):contains("handled ")
    expect(select(
      2,
      load(function()
        affine.json.decode("[")
      end)
    )):contains("json.decode")
  end)

  it("of another kind is passed on as it is", function()
    local object = { code = 7 }
    expect(caught(error, object) == object):equals(true)
    expect(select(
      2,
      xpcall(error, function(value)
        return value.code
      end, object)
    )):equals(7)
  end)
end)

describe("a wrong name", function()
  it("of a module is answered with the nearest", function()
    expect(function()
      ---@diagnostic disable-next-line: undefined-field
      return affine.jsn
    end):raises("affine has no module `jsn`, did you mean `json`?")
    expect(function()
      ---@diagnostic disable-next-line: unresolved-require
      require("affine.tme")
    end):raises("affine has no module `tme`, did you mean `time`?")
    expect(function()
      ---@diagnostic disable-next-line: undefined-field
      return affine.zzz
    end):raises("affine has no module `zzz`")
  end)

  it("of a function, too", function()
    expect(function()
      ---@diagnostic disable-next-line: undefined-field
      affine.json.decod("1")
    end):raises("affine.json has no field `decod`, did you mean `decode`?")
  end)

  it("of a file lists what was tried", function()
    local message = caught(require, "no.such.thing")
    expect(message):contains("there is no module `no.such.thing`: no file ")
    expect(message):contains("tests/lua/host/no/such/thing.lua, nor ")
  end)
end)

describe("a call", function()
  it("without its colon says so", function()
    local stream = affine.random.new(1)
    expect(function()
      ---@diagnostic disable-next-line: missing-parameter
      stream.int(1, 2)
    end):raises("call a method with a colon")
  end)

  it("is not coerced", function()
    local stream = affine.random.new(1)
    expect(function()
      ---@diagnostic disable-next-line: param-type-mismatch
      stream:int("1", 2)
    end):raises("random:int: argument 1 (low): expected integer, got string")
    expect(function()
      ---@diagnostic disable-next-line: param-type-mismatch
      affine.fs.remove("nothing-here", { recursive = "false" })
    end):raises('fs.remove: recursive: expected boolean, got string "false"')
  end)
end)
