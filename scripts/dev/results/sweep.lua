-- A measured sweep: learning rate, rank and alpha of the adapter on the demo's base model.
--
--   affine scripts/dev/results/sweep.lua DEMO search SEED   30 trials by TPE, pruned by successive halving, on one loaded base
--   affine scripts/dev/results/sweep.lua DEMO compare       what was found beside the presets and full tuning, with three other seeds
--   affine scripts/dev/results/sweep.lua DEMO table         the table of README.md beside this file
--   affine scripts/dev/results/sweep.lua DEMO cost          eight trials on one base beside a process for each, all at once
--
-- DEMO is the folder that `make demo` was run in. Studies are kept below runs/sweep; each command goes on where it was left.
-- A trial is 200 steps of 16 records; what it comes to is the loss per token on 400 held-out records (lower is better).
-- The seed of a trial decides the adapter's first values and the order of the records.

-- Its arguments are numbers, its trials are there.
---@diagnostic disable: need-check-nil, assign-type-mismatch, redefined-local, param-type-mismatch

local fs = require("affine.fs")
local json = require("affine.json")
local model = require("affine.model")
local path = require("affine.path")
local sweep = require("affine.sweep")
local time = require("affine.time")
local trainer = require("affine.trainer")

local demo, what, seed = arg[1], arg[2], math.tointeger(tonumber(arg[3]))
local STEPS, LOOK = 200, 25
local SEARCHED, COMPARED = { 0, 1, 2 }, { 10, 11, 12 }

--- Student's t for an interval of 80 % with two degrees of freedom.
local T = 1.886

local function read(file, most)
  local records = {}
  for line in fs.lines(path.join(demo, "data_cache", file)) do
    records[#records + 1] = json.decode(line)
    if #records == most then
      break
    end
  end
  return records
end

local function open(name, options)
  options.name, options.storage, options.direction = name, ("runs/sweep/%s.log"):format(name), "minimize"
  return sweep.open(options)
end

local function load()
  return model.load(path.join(demo, "models/base"))
end

--- Trains what is trainable of a model; `look` hears of it at every 25th step. Gives the trainer.
local function train(m, rate, luck, folder, look)
  local sft = trainer.sft(m, {
    data = path.join(demo, "data_cache/sft.jsonl"),
    output_dir = folder,
    max_steps = STEPS,
    batch_size = 16,
    learning_rate = rate,
    lr_scheduler_type = "cosine",
    warmup_ratio = 0.05,
    min_lr_ratio = 0.1,
    max_length = 1024,
    seed = luck,
    save_steps = 0,
    logging_steps = 0,
  })
  for step in sft:steps() do
    if look and step.step % LOOK == 0 and step.step < STEPS then
      look(sft, step.step)
    end
  end
  return sft
end

local function search()
  local few, all = read("validation.jsonl", 64), read("validation.jsonl")
  local study <close> = open(("search-%d"):format(seed), {
    sampler = "tpe",
    pruner = { "asha", min_resource = LOOK, reduction_factor = 2 },
    seed = seed,
  })
  local m <close> = load()
  study:population({ model = m, n = 30, size = 6 }, function(trial)
    local rate = trial:uniform("learning_rate", 1e-4, 1e-1, { log = true })
    local rank = trial:choice("lora_r", { 4, 16, 64 })
    local alpha = trial:choice("lora_alpha", { 8, 32, 128 })
    m:add_lora { lora_r = rank, lora_alpha = alpha, seed = seed, adapter_name = trial:adapter() }
    local folder = ("runs/sweep/%d-%d"):format(seed, trial:number())
    local sft = train(m, rate, seed, folder, function(sft, step)
      trial:report(step, (sft:evaluate(few)))
    end)
    local loss = sft:evaluate(all)
    fs.remove(folder, { recursive = true })
    return loss
  end)
  print(study:table(10))
  for _, share in ipairs((study:importance())) do
    print(("%-20s %5.1f %% of the variance"):format(share.name, 100 * share.share))
  end
  study:figure(("runs/sweep/search-%d.svg"):format(seed))
end

--- What is compared: rate, rank and alpha by name; without a rank every weight is trained.
local function candidates()
  local list = {
    { "the demo's preset", 3e-3, 16, 32 },
    { "affine-0004's preset", 2e-5, 64, 128 },
    { "rank 4, same alpha / r", 3e-3, 4, 8 },
    { "rank 64, same alpha / r", 3e-3, 64, 128 },
    { "alpha 8", 3e-3, 16, 8 },
    { "alpha 128", 3e-3, 16, 128 },
    { "rate 1e-3", 1e-3, 16, 32 },
    { "rate 1e-2", 1e-2, 16, 32 },
  }
  for _, searched in ipairs(SEARCHED) do
    local study <close> = open(("search-%d"):format(searched), {})
    local best = study:best().params
    list[#list + 1] =
      { ("best of search %d"):format(searched), best.learning_rate, best.lora_r, best.lora_alpha }
  end
  for _, rate in ipairs { 1e-4, 3e-4, 1e-3 } do
    list[#list + 1] = { ("full tuning, rate %g"):format(rate), rate }
  end
  return list
end

local function open_comparison(list)
  local names = {}
  for index, candidate in ipairs(list) do
    names[index] = candidate[1]
  end
  return open("compare", { sampler = { "grid", space = { candidate = names, luck = COMPARED } } })
end

local function compare()
  local all, list = read("validation.jsonl"), candidates()
  local by_name, names = {}, {}
  for index, candidate in ipairs(list) do
    by_name[candidate[1]], names[index] = candidate, candidate[1]
  end
  local study <close> = open_comparison(list)
  study:run(function(trial)
    local _, rate, rank, alpha = table.unpack(by_name[trial:choice("candidate", names)], 1, 4)
    local luck = trial:choice("luck", COMPARED)
    local m <close> = load()
    if rank then
      m:add_lora { lora_r = rank, lora_alpha = alpha, seed = luck }
    end
    local folder = ("runs/sweep/compare-%d"):format(trial:number())
    local loss = train(m, rate, luck, folder):evaluate(all)
    fs.remove(folder, { recursive = true })
    return loss
  end)
end

--- Mean and half the width of the interval of numbers that are three.
local function interval(numbers)
  local mean, sum = 0, 0
  for _, x in ipairs(numbers) do
    mean = mean + x / #numbers
  end
  for _, x in ipairs(numbers) do
    sum = sum + (x - mean) ^ 2
  end
  return mean, T * math.sqrt(sum / (#numbers - 1) / #numbers)
end

local function show()
  local list, losses = candidates(), {}
  local study <close> = open_comparison(list)
  for _, trial in ipairs(study:trials()) do
    local of = losses[trial.params.candidate] or {}
    losses[trial.params.candidate], of[trial.params.luck] = of, trial.value
  end
  local reference = losses[list[1][1]]
  print("| | rate | rank | alpha | loss | against the demo's preset |\n|---|---|---|---|---|---|")
  for _, candidate in ipairs(list) do
    local name, rate, rank, alpha = table.unpack(candidate, 1, 4)
    local own, against = {}, {}
    for index, luck in ipairs(COMPARED) do
      own[index], against[index] = losses[name][luck], losses[name][luck] - reference[luck]
    end
    local mean, half = interval(own)
    local difference, width = interval(against)
    print(
      ("| %s | %.2g | %s | %s | %.4f ± %.4f | %+.4f ± %.4f |"):format(
        name,
        rate,
        rank or "",
        alpha or "",
        mean,
        half,
        difference,
        width
      )
    )
  end
end

-- What eight trials cost: 60 steps each, without a look at held-out records on the way.
local COST = 60

--- One of the eight: its rate follows from its number. Gives its last loss.
local function cheap(m, adapter, number, report)
  m:add_lora { lora_r = 16, lora_alpha = 32, seed = number, adapter_name = adapter }
  local sft = trainer.sft(m, {
    data = path.join(demo, "data_cache/sft.jsonl"),
    output_dir = ("runs/sweep/cost-%d"):format(number),
    max_steps = COST,
    batch_size = 16,
    learning_rate = 1e-4 * 2 ^ number,
    seed = number,
    save_steps = 0,
    logging_steps = 0,
  })
  local loss
  for step in sft:steps() do
    loss = step.loss
    if step.step % 10 == 0 then
      report(step.step, loss)
    end
  end
  return loss
end

local function population()
  local study <close> = open("cost", { sampler = "random" })
  local m <close> = load()
  study:population({ model = m, n = 8, size = 8 }, function(trial)
    return cheap(m, trial:adapter(), trial:number(), function(step, loss)
      trial:report(step, loss)
    end)
  end)
  for _, trial in ipairs(study:trials()) do
    print(("loss %d %.6f"):format(trial.number, trial.value))
  end
end

local function alone()
  local m <close> = load()
  print(("loss %d %.6f"):format(seed, cheap(m, "alone", seed, function() end)))
end

--- Runs commands at once; wall seconds, the sum of the CPU seconds, the sum of the processes' peak memory in MB, and what they printed.
local function measured(words, count)
  os.execute("rm -rf runs/sweep/cost*")
  local exe = io.popen("readlink /proc/$PPID/exe"):read("l")
  local lines = {}
  for index = 1, count do
    local timed = "python3 -c 'import os,resource,sys; s=os.spawnv(0,sys.argv[1],sys.argv[1:]); "
      .. 'u=resource.getrusage(resource.RUSAGE_CHILDREN); print("cost",u.ru_utime+u.ru_stime,u.ru_maxrss/1024)\''
    lines[index] = ("%s %s %s %s %s &"):format(timed, exe, arg[0], demo, words:format(index - 1))
  end
  local started = time.clock()
  local pipe = io.popen("{ " .. table.concat(lines, " ") .. " wait; } 2>/dev/null")
  local cpu, peak, losses = 0, 0, {}
  for line in pipe:lines() do
    local seconds, megabytes = line:match("^cost (%S+) (%S+)$")
    local number, loss = line:match("^loss (%d+) (%S+)$")
    if seconds then
      cpu, peak = cpu + tonumber(seconds), peak + tonumber(megabytes)
    elseif number then
      losses[math.tointeger(tonumber(number)) + 1] = loss
    end
  end
  pipe:close()
  return { wall = time.clock() - started, cpu = cpu, peak = peak, losses = table.concat(losses, " ") }
end

local function cost()
  local kinds = { { "one process, one base", "population", 1 }, { "eight processes at once", "alone %d", 8 } }
  local found = { {}, {} }
  for _ = 1, 3 do
    for index, kind in ipairs(kinds) do
      table.insert(found[index], measured(kind[2], kind[3]))
    end
  end
  print("| | wall s | CPU s | peak MB |\n|---|---|---|---|")
  for index, kind in ipairs(kinds) do
    local function median(of)
      local values = {}
      for place, one in ipairs(found[index]) do
        values[place] = one[of]
      end
      table.sort(values)
      return ("%.1f (%.1f to %.1f)"):format(values[2], values[1], values[3])
    end
    print(("| %s | %s | %s | %s |"):format(kind[1], median("wall"), median("cpu"), median("peak")))
  end
  print("\nthe same losses: " .. tostring(found[1][1].losses == found[2][1].losses))
end

local run =
  { search = search, compare = compare, table = show, population = population, alone = alone, cost = cost }
run[what]()
