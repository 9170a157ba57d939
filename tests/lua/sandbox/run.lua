local sandbox = require("affine.sandbox")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

describe("sandbox.run", function()
  it("gives what a program writes and how it ends", function()
    local outcome = sandbox.run { code = "import sys\nprint(input())\nsys.exit(3)", stdin = "a\0b\n" }
    expect(outcome.status):equals("error")
    expect(outcome.stdout):equals("a\0b\n")
    expect(outcome.exit_code):equals(3)
    expect(outcome.limit):equals(nil)
  end)

  it("names the limit", function()
    local outcome = sandbox.run { code = "while True: pass", limits = { wall = 0.2 } }
    expect(outcome.status):equals("timeout")
    expect(outcome.limit):equals("wall")
    expect(sandbox.run({ code = "print('x' * 100)", limits = { output = 10 } }).status):equals("output")
    expect(sandbox.run({ code = "bytearray(1 << 40)" }).status):equals("memory")
  end)

  it("takes any bytes for a program", function()
    expect(sandbox.run({ code = "\255\0" }).status):equals("error")
  end)

  it("refuses what it does not know", function()
    expect(function()
      sandbox.run { code = "1", limits = { wal = 1 } }
    end):raises("sandbox.run: limits.wal: unknown option")
    expect(function()
      sandbox.run {}
    end):raises("sandbox.run: code: required, but missing")
  end)
end)
