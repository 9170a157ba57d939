local json = require("affine.json")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

describe("json", function()
  it("keeps key order, integers, floats, null and empty lists", function()
    local text = '{"z":1,"a":[],"m":{"k":1.0,"b":null,"big":9007199254740993},"l":[[],{}]}'
    expect(json.encode(json.decode(text))):equals(text)
  end)

  it("appends new keys sorted behind the decoded ones", function()
    local document = json.decode('{"z":1,"a":2}')
    document.y, document.b, document.z = 1, 2, nil
    expect(json.encode(document)):equals('{"a":2,"b":2,"y":1}')
  end)

  it("sorts the keys of a table made in Lua", function()
    expect(json.encode { z = 1, a = 2, m = 3 }):equals('{"a":2,"m":3,"z":1}')
  end)

  it("tells integers from floats", function()
    expect(math.type(json.decode("3"))):equals("integer")
    expect(math.type(json.decode("3.0"))):equals("float")
    expect(json.encode { 3, 3.0 }):equals("[3,3.0]")
  end)

  it("has null as a value", function()
    expect(json.decode("[null]")[1]):equals(json.null)
    expect(json.encode { a = json.null }):equals('{"a":null}')
  end)

  it("encodes an empty table as an object unless it is marked as a list", function()
    expect(json.encode {}):equals("{}")
    expect(json.encode(json.array {})):equals("[]")
  end)

  it("keeps a decoded list a list when it loses its items", function()
    local list = json.decode("[1]")
    list[1] = nil
    expect(json.encode(list)):equals("[]")
  end)

  it("indents", function()
    expect(json.encode({ a = { 1 } }, { indent = 2 })):equals('{\n  "a": [\n    1\n  ]\n}')
  end)

  it("passes text through", function()
    expect(json.decode(json.encode('é " \\ \n \0'))):equals('é " \\ \n \0')
  end)

  it("names the line and the column of a mistake", function()
    expect(function()
      json.decode('{"a": 1,\n  oops}')
    end):raises("json.decode: line 2, column 3: key must be a string")
    expect(function()
      json.decode("[1] 2")
    end):raises("line 1, column 5: trailing characters")
  end)

  it("refuses what JSON has no form for, with its path", function()
    local cycle = {}
    cycle.x = { cycle }
    local refused = {
      { { a = { 1, 0 / 0 } }, "json.encode: a[2]: expected a finite number, got NaN" },
      { { a = print }, "json.encode: a: expected a value that JSON has, got function" },
      { { a = { 1, x = 2 } }, "json.encode: a: expected a list or names as keys, got both" },
      {
        { a = { [3] = 1 } },
        "json.encode: a: expected a list without holes or names as keys, got the key 3",
      },
      { { a = "\xff" }, "json.encode: a: expected UTF-8 text, got a string of other bytes" },
      { cycle, "json.encode: x[1]: the table contains itself" },
    }
    for _, case in ipairs(refused) do
      expect(function()
        json.encode(case[1])
      end):raises(case[2])
    end
  end)

  it("checks its options", function()
    expect(function()
      json.encode({}, { indnt = 2 })
    end):raises("json.encode: indnt: unknown option\nhint: did you mean `indent`?")
    expect(function()
      json.encode({}, { indent = 17 })
    end):raises("json.encode: indent: expected at most 16, got 17")
  end)
end)
