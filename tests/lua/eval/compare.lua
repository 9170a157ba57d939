-- Comparing models task by task: pairs, protocols, metrics, the validators' older and newer rules.
local env = require("affine.env")
local eval = require("affine.eval")
local fs = require("affine.fs")
local test = require("affine.test")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local m = tiny.model()
local file = fs.tempdir() .. "/results.jsonl"
eval.run(m, { envs = { env.make(tiny.letters) }, num_eval_samples = 40, max_new_tokens = 2, results = file })
local rows = eval.results.read(file)

--- The rows with other scores: those that `solved` names are 1, the others 0.
local function scored(solved)
  local changed = {}
  for index, row in ipairs(rows) do
    local copy = {}
    for key, value in pairs(row) do
      copy[key] = value
    end
    copy.success = solved(row.task_id)
    copy.score = copy.success and 1 or 0
    copy.own_score = copy.score
    changed[index] = copy
  end
  return changed
end

describe("eval.compare", function()
  it("pairs tasks and tells how sure the difference is", function()
    local better = scored(function(id)
      return id % 4 ~= 0
    end)
    local worse = scored(function(id)
      return id % 2 == 1
    end)
    local found = eval.compare(better, worse)
    local row = found.envs.letters
    expect({ row.tasks, row.pairs, row.unpaired }):equals { 40, 40, 0 }
    expect(row.difference):equals(0.25)
    expect({ row.mcnemar.only_candidate, row.mcnemar.only_baseline }):equals { 10, 0 }
    expect(row.mcnemar.p):near(2 / 2 ^ 10)
    expect(row.interval.lower > 0 and row.interval.upper < 0.5):equals(true)
    expect(found.holm.mcnemar.letters):equals(row.mcnemar.p)
    expect(row.needed_successes.normal < 40):equals(true)
    expect(found.differs):equals {}
  end)

  it("finds no difference between a model and itself, and no certainty either", function()
    local row = eval.compare(rows, rows).envs.letters
    expect({ row.difference, row.wilcoxon.p, row.interval.method }):equals { 0, 1, "all_equal" }
    expect(row.interval.lower < 0 and row.interval.upper > 0):equals(true)
    expect(row.needed_scores):equals(nil)
  end)

  it("names what differs between protocols", function()
    local other = fs.tempdir() .. "/results.jsonl.zst"
    local options = { num_eval_samples = 40, max_new_tokens = 1, temperature = 0, results = other }
    options.envs = { env.make(tiny.letters) }
    eval.run(m, options)
    local found = eval.compare(rows, eval.results.read(other))
    expect(found.differs.letters):equals { "max_new_tokens", "temperature", "top_k", "top_p", "seed" }
  end)

  it("survives a script that reads and writes the rows", function()
    local copy = fs.tempdir() .. "/copy.jsonl"
    eval.results.add(copy, rows)
    expect(eval.results.read(copy)):equals(rows)
  end)
end)

describe("eval.metrics", function()
  it("counts what is asked for", function()
    local found = eval.metrics(
      scored(function(id)
        return id < 10
      end),
      { k = { 1 } }
    )
    local row = found.envs.letters
    expect({ row.n, row.mean, row.median, row.accuracy, row.zeros }):equals { 40, 0.25, 0, 0.25, 30 }
    expect({ row.at["1"].pass, found.overall.environments }):equals { 0.25, 1 }
    expect(row.tokens > 0 and row.seconds >= 0):equals(true)
  end)
end)

describe("eval.overlap", function()
  it("finds a prompt that stands in a record, and names the record", function()
    local words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    local copy = {}
    for key, value in pairs(rows[1]) do
      copy[key] = value
    end
    copy.messages = { { role = "user", content = words }, { role = "assistant", content = "x" } }
    local path = fs.tempdir() .. "/records.jsonl"
    fs.write(path, ('{"text": "nothing of it"}\n{"text": "Well: %s!"}\n'):format(words))
    local found = eval.overlap({ copy }, { path })
    expect({ #found, found[1].task_id, found[1].ngrams, found[1].seen }):equals { 1, copy.task_id, 2, 1 }
    expect(found[1].record.name:find("records.jsonl", 1, true) ~= nil):equals(true)
  end)
end)

describe("the validators' rules", function()
  it("rank by margins, and let a challenger win", function()
    local ranking = eval.rank({
      { name = "ours", environments = { sat = { sum = 150, n = 200, first_block = 20 } } },
      { name = "theirs", environments = { sat = { sum = 110, n = 200, first_block = 10 } } },
    }, { profile = "epsilon_pareto" })
    expect(ranking.models[1].name):equals("ours")
    local all, few = function()
      return true
    end, function(id)
      return id % 2 == 0
    end
    expect(eval.window_2026(scored(all), scored(few)).dethrone):equals(true)
    expect(eval.window_2026(scored(few), scored(all)).dethrone):equals(false)
  end)
end)
