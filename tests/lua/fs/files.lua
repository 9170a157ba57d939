local fs = require("affine.fs")
local path = require("affine.path")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()
local function at(name)
  return path.join(folder, name)
end

describe("fs", function()
  it("reads what it wrote, any bytes", function()
    fs.write(at("a"), "one\0two\xff")
    expect(fs.read(at("a"))):equals("one\0two\xff")
    fs.write(at("a"), "")
    expect(fs.read(at("a"))):equals("")
  end)

  it("appends", function()
    fs.append(at("log"), "1\n")
    fs.append(at("log"), "2\n")
    expect(fs.read(at("log"))):equals("1\n2\n")
  end)

  it("iterates over lines without their ends", function()
    fs.write(at("lines"), "a\r\n\nb")
    local lines = {}
    for line in fs.lines(at("lines")) do
      table.insert(lines, line)
    end
    expect(lines):equals { "a", "", "b" }
  end)

  it("makes, lists and removes folders", function()
    fs.mkdir(at("deep/er"))
    fs.mkdir(at("deep/er"))
    fs.write(at("deep/z"), "")
    expect(fs.is_dir(at("deep"))):equals(true)
    expect(fs.list(at("deep"))):equals { "er", "z" }
    expect(function()
      fs.remove(at("deep"))
    end):raises("deep")
    expect(fs.remove(at("deep"), { recursive = true })):equals(true)
    expect(fs.exists(at("deep"))):equals(false)
    expect(fs.remove(at("deep"))):equals(false)
  end)

  it("copies, renames and hashes", function()
    fs.write(at("x"), "abc")
    fs.copy(at("x"), at("y"))
    fs.rename(at("x"), at("z"))
    expect(fs.exists(at("x"))):equals(false)
    expect(fs.sha256_file(at("y"))):equals(fs.sha256(fs.read(at("z"))))
    expect(fs.sha256("abc")):equals("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  end)

  it("replaces a link", function()
    fs.mkdir(at("runs/1"))
    fs.mkdir(at("runs/2"))
    fs.symlink("1", at("runs/latest"))
    fs.symlink("2", at("runs/latest"))
    fs.write(at("runs/latest/here"), "")
    expect(fs.list(at("runs/2"))):equals { "here" }
    expect(fs.list(at("runs"))):equals { "1", "2", "latest" }
  end)

  it("names the path that is missing", function()
    expect(function()
      fs.read(at("nowhere"))
    end):raises("fs.read: " .. at("nowhere") .. ": no such file or folder")
    expect(function()
      fs.write(at("no/folder"), "")
    end):raises(at("no/folder"))
  end)

  it("is strict about its arguments", function()
    expect(function()
      ---@diagnostic disable-next-line: param-type-mismatch
      fs.read(5)
    end):raises("fs.read: argument 1 (path): expected string, got number")
    expect(function()
      ---@diagnostic disable-next-line: missing-parameter
      fs.read()
    end):raises("fs.read: argument 1 (path): expected string, got no value")
    expect(function()
      ---@diagnostic disable-next-line: redundant-parameter
      fs.exists("a", "b")
    end):raises("fs.exists: expected at most 1 argument, got 2")
  end)
end)

fs.remove(folder, { recursive = true })
