-- Programs per second in the sandbox: cold, which is a new interpreter's first run, and warm, one after the other.
-- affine scripts/dev/bench/sandbox.lua [programs]
local sandbox = require("affine.sandbox")
local time = require("affine.time")

local count = tonumber(arg[1]) or 500
local program = { code = "print(sum(map(int, input().split())))", stdin = "1 2 3" }

local start = time.clock()
assert(sandbox.run(program).stdout == "6\n")
local cold = time.clock() - start

start = time.clock()
for _ = 1, count do
  assert(sandbox.run(program).stdout == "6\n")
end
local warm = time.clock() - start
print(("cold %.1f per second, warm %.0f per second"):format(1 / cold, count / warm))
