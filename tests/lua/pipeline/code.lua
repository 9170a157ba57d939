local code = require("affine.internal.code")
local fs = require("affine.fs")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

describe("what Lua source does", function()
  it("does not depend on comments, blank lines and indentation", function()
    local plain = code.essence("local a = 1 return a")
    for _, text in ipairs {
      "local a = 1\n\nreturn a\n",
      "#!/usr/bin/env affine\n-- why\nlocal a = 1 -- one\n  return a",
      "--[[ several\nlines ]] local a =\t1 --[==[ ]] ]==] return a",
      "local a = 1 --[ not long\nreturn a --",
      "\xEF\xBB\xBFlocal a = 1 return a",
    } do
      expect(code.essence(text)):equals(plain)
    end
  end)

  it("depends on every character of a string", function()
    for _, pair in ipairs {
      { "return 'a  b'", "return 'a b'" },
      { "return '-- a'", "return '-- b'" },
      { 'return "\\"-- a"', 'return "\\"-- b"' },
      { "return [[ a\n\nb ]]", "return [[ a\nb ]]" },
      { "return [==[ ]] -- a ]==]", "return [==[ ]] -- b ]==]" },
      { "return '\\z\n  a -- b'", "return '\\z\n  a -- c'" },
    } do
      expect(code.essence(pair[1]) == code.essence(pair[2])):equals(false)
    end
  end)

  it("tells words apart that a comment stood between", function()
    expect(code.essence("return a--[[ ]]b")):equals("return a b")
    expect(code.essence("return a - -b")):equals("return a - -b")
    expect(code.essence("return t[1][ [[a]] ]")):equals("return t[1][ [[a]] ]")
  end)

  it("is not told of source without an end", function()
    expect(code.essence("return 'a")):equals(nil)
    expect(code.essence("return [[a")):equals(nil)
    expect(code.essence("--[[ a")):equals(nil)
  end)
end)

describe("the modules of a file", function()
  it("are found through each other, in a circle too", function()
    local folder, before = fs.tempdir(), package.path
    package.path = folder .. "/?.lua"
    fs.write(folder .. "/a.lua", "local b = require('b') -- require('d')\nreturn require \"affine.fs\"")
    fs.write(folder .. "/b.lua", "return require[[c]]")
    fs.write(folder .. "/c.lua", "require 'a' require 'nowhere'")
    fs.write(folder .. "/d.lua", "")
    local found = code.closure(folder .. "/a.lua", {})
    package.path = before
    local names = {}
    for path in pairs(found) do
      names[#names + 1] = path:sub(#folder + 2)
    end
    table.sort(names)
    expect(names):equals { "a.lua", "b.lua", "c.lua" }
    fs.remove(folder, { recursive = true })
  end)
end)
