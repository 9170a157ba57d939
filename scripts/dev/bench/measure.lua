-- What our side of the comparisons shares: the job, clocks, memory, the result as the last line. Each script is one
-- process that does one job: `affine scripts/dev/bench/sft.lua JOB.json`.
local fs = require("affine.fs")
local json = require("affine.json")
local time = require("affine.time")

local measure = {}

--- `VmHWM`, the most memory in megabytes that the process has used at once, or `VmRSS`, what it uses now.
---@param name "VmHWM"|"VmRSS"
---@return number
function measure.megabytes(name)
  local kilobytes = tonumber((fs.read("/proc/self/status"):match(name .. ":%s*(%d+)")))
  return assert(kilobytes, name .. " is not in /proc/self/status") / 1024
end

local idle = measure.megabytes("VmRSS")

--- What both sides read; see prepare.py.
---@class bench.Job
---@field model string
---@field dtype "float32"|"bfloat16"
---@field adapter string
---@field data string
---@field prompts string
---@field output_dir string
---@field batch_size integer
---@field minibatch_size integer
---@field warmup integer Steps or iterations before those that count.
---@field steps integer Those that count.
---@field epochs integer
---@field new integer
---@field greedy integer
---@field ends integer One id in so many ends a row; none where it is 0.
---@field learning_rate number
---@field padding_free? boolean

--- The job that the command line names.
---@return bench.Job
function measure.job()
  if not arg[1] then
    error(("usage: affine %s JOB.json (scripts/dev/bench/prepare.py writes jobs)"):format(arg[0]), 0)
  end
  return json.decode(fs.read(arg[1]))
end

--- Wall and CPU seconds (of all threads of this process) that a function took, and what it returned.
---@generic T
---@param body fun(): T
---@return number wall
---@return number cpu
---@return T
function measure.time(body)
  local wall, cpu = time.clock(), os.clock()
  local result = body()
  return time.clock() - wall, os.clock() - cpu, result
end

---@param list number[]
---@return number
function measure.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return sorted[(#sorted + 1) // 2]
end

--- Runs this script again as a process of its own, so that its memory is its own: the JSON on that one's last line.
---@param arguments string In a shell's words.
---@return any
function measure.apart(arguments)
  local own = fs.read("/proc/self/stat"):match("^%d+")
  local pipe <close> = io.popen(("exec /proc/%s/exe '%s' %s"):format(own, arg[0], arguments))
  return json.decode((pipe:read("a"):match("([^\n]+)\n*$")))
end

--- Prints the result.
---@param numbers table
function measure.emit(numbers)
  numbers.impl = "affine"
  numbers.threads = math.tointeger(os.getenv("OMP_NUM_THREADS")) or json.null
  numbers.idle_mb = math.floor(idle + 0.5)
  numbers.peak_mb = math.floor(measure.megabytes("VmHWM") + 0.5)
  print(json.encode(numbers))
end

return measure
