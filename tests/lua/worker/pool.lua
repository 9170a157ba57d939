-- Functions on other threads: plain data there and back, errors with their lines.
local fs = require("affine.fs")
local test = require("affine.test")
local worker = require("affine.worker")
local describe, it, expect = test.describe, test.it, test.expect

local function caught(f, ...)
  local passed, problem = pcall(f, ...)
  assert(not passed, "expected an error")
  return problem
end

describe("a pool", function()
  it("calls its function with plain data and gives plain data back", function()
    local pool <close> = worker.pool(
      [[
      return function(a, b)
        return a + b, { sum = a + b, list = { a, b } }, nil, "x\0y"
      end
    ]],
      { threads = 2 }
    )
    local sum, parts, none, text = pool:call(2, 3.5)
    expect(sum):equals(5.5)
    expect(parts):equals { sum = 5.5, list = { 2, 3.5 } }
    expect(none):equals(nil)
    expect(text):equals("x\0y")
    expect(math.type((pool:call(2, 3)))):equals("integer")
    expect(pool:threads()):equals(2)
  end)

  it("maps a list in its order", function()
    local pool <close> =
      worker.pool("return function(x, position) return x * 10 + position end", { threads = 3 })
    local numbers, wanted = {}, {}
    for i = 1, 50 do
      numbers[i], wanted[i] = i, i * 11
    end
    expect(pool:map(numbers)):equals(wanted)
    expect(pool:map {}):equals {}
  end)

  it("has a state per worker, with the standard library and the arguments of the source", function()
    local pool <close> = worker.pool(
      [[
      local prefix, settings = ...
      local json = require("affine.json")
      calls = 0
      return function(value)
        calls = calls + 1
        return prefix .. json.encode(value) .. settings.suffix, calls
      end
    ]],
      { threads = 1, args = { "<", { suffix = ">" } } }
    )
    expect((pool:call { 1, 2 })):equals("<[1,2]>")
    expect(select(2, pool:call { 1 })):equals(2)
    expect(rawget(_G, "calls")):equals(nil)
  end)

  it("runs calls side by side", function()
    local pool <close> =
      worker.pool("return function(s) require('affine.time').sleep(s) return s end", { threads = 4 })
    local time = require("affine.time")
    local started = time.clock()
    expect(pool:map { 0.3, 0.3, 0.3, 0.3 }):equals { 0.3, 0.3, 0.3, 0.3 }
    expect(time.clock() - started < 1.1):equals(true)
  end)

  it("finds a file's own modules beside it", function()
    local folder = fs.tempdir()
    fs.write(
      folder .. "/score.lua",
      "local rule = require('rule')\nreturn function(x)\n  local score = rule(x)\n  return score\nend"
    )
    fs.write(folder .. "/rule.lua", "return function(x)\n  return x.value + 1\nend")
    local pool <close> = worker.pool(folder .. "/score.lua", { threads = 1 })
    expect(pool:call { value = 4 }):equals(5)
    local problem = caught(pool.call, pool, 4)
    expect(problem):contains(folder .. "/rule.lua:2: attempt to index a number value")
    expect(problem.traceback[1]):contains("/rule.lua:2: in ")
    expect(table.concat(problem.traceback, "\n")):contains("/score.lua:3: in ")
    expect(table.concat(problem.traceback, "\n")):contains("tests/lua/worker/pool.lua:")
    fs.remove(folder, { recursive = true })
  end)

  it("raises a worker's error with its hint, and goes on", function()
    local pool <close> = worker.pool(
      [[
      return function(indent)
        return require("affine.json").encode({}, indent)
      end
    ]],
      { threads = 1 }
    )
    local problem = caught(pool.call, pool, { indnt = 1 })
    expect(problem):contains("(worker):2: json.encode: indnt: unknown option")
    expect(problem.hint):equals("did you mean `indent`?")
    expect(pool:call {}):equals("{}")
    expect(caught(pool.map, pool, { {}, { indent = "x" } })):contains(
      "list[2]: (worker):2: json.encode: indent:"
    )
  end)

  it("says what cannot cross", function()
    local pool <close> = worker.pool("return function(x) return x and print end", { threads = 1 })
    expect(caught(pool.call, pool, 1, { print })):contains(
      "pool:call: argument 2[1]: expected plain data (numbers, strings, booleans, tables of them), "
        .. "as nothing else crosses threads, got function"
    )
    expect(caught(pool.call, pool, true)):contains("result 1: expected plain data")
    local circle = {}
    circle.me = circle
    expect(caught(pool.map, pool, { circle })):contains("pool:map: list[1].me: the table contains itself")
    expect(caught(pool.call, pool, require("affine.tensor").zeros { 1 })):contains("got tensor")
  end)

  it("is refused where its source is none", function()
    expect(caught(worker.pool, "return 5")):contains(
      "(worker): expected a chunk that returns a function, got number"
    )
    expect(caught(worker.pool, "retrun 5")):contains("(worker):1: syntax error near '5'")
    expect(caught(worker.pool, "error('at the start')")):contains("(worker):1: at the start")
    expect(caught(worker.pool, "no/such.lua")):contains(
      "worker.pool: no/such.lua: cannot be read: no such file"
    )
    expect(caught(worker.pool, "return print", { threads = 0 })):contains(
      "threads: expected 1 to 1024, got 0"
    )
    expect(caught(worker.pool, "return print", { thread = 1 }).hint):equals("did you mean `threads`?")
  end)

  it("answers what was submitted even after it was closed", function()
    local pool = worker.pool("return function(x) return x end", { threads = 1 })
    local job, other = pool:submit("a", 1), pool:submit("b")
    pool:close()
    expect(job:wait()):equals("a")
    expect(job:done()):equals(true)
    expect(other:wait()):equals("b")
    expect(caught(job.wait, job)):contains("job:wait: the results were handed out already")
    expect(caught(pool.submit, pool, 1)):contains("this pool was closed")
  end)
end)
