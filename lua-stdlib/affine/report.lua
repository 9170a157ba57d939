-- The results of an evaluation as text: one table, the same numbers for the terminal and the model card; and the report of a run.
--
-- Boundary: reads a summary (as evaluate.lua writes it) and computes no statistics; intervals come from affine.eval.

---@diagnostic disable-next-line: unresolved-require
local native = require("affine.native.report")
local stages = require("affine.internal.stages")

local report = {}

--- Writes an HTML file about runs, which needs nothing beside it.
report.write = native.write

local TITLES = {
  base = "base",
  random = "random play",
  constant = "best constant answer",
  rule = "one-line rule",
  expert = "expert",
}
for _, stage in ipairs(stages) do
  TITLES[stage.name] = stage.title
end
local BASELINES = { "random", "constant", "rule", "expert" }

local function number(value)
  return (("%.3f"):format(value):gsub("^0%.", "."))
end

--- A score with its interval, the environment's count beside it where it is not the common one.
local function cell(row, common_n)
  local text = ("%s [%s, %s]"):format(number(row.mean), number(row.lower), number(row.upper))
  if row.n ~= common_n then
    text = text .. (" n=%d"):format(row.n)
  end
  if row.failed > 0 then
    text = text .. (" (%d failed)"):format(row.failed)
  end
  return text
end

--- "+" when a row's interval lies above the other's, "-" when below, "=" when they overlap.
local function mark(row, other)
  if not other then
    return " "
  end
  return row.lower > other.upper and "+" or row.upper < other.lower and "-" or "="
end

--- The rows of the table: { title, cells }, and { rule = true } between groups.
function report.rows(summary)
  local common_n, rows = summary.sampling.num_eval_samples * (summary.sampling.samples_per_task or 1), {}
  local function add(title, by_environment, before)
    local cells = {}
    for index, name in ipairs(summary.environments) do
      local row = by_environment[name]
      cells[index] = row and mark(row, before and before[name]) .. " " .. cell(row, common_n) or "  -"
    end
    rows[#rows + 1] = { title = title, cells = cells }
  end
  local function add_models(models, suffix)
    for index, name in ipairs(summary.order) do
      add(TITLES[name] .. suffix, models[name], models[summary.order[index - 1]])
    end
  end

  add_models(summary.models, "")
  rows[#rows + 1] = { rule = true }
  add_models(summary.greedy.models, ", greedy")
  rows[#rows + 1] = { rule = true }
  for _, kind in ipairs(BASELINES) do
    if summary.baselines[kind] then
      add(TITLES[kind], summary.baselines[kind])
    end
  end
  return rows
end

--- "RL against SFT: sat tie, grid better: dominates".
local function verdict_line(verdict, names)
  local outcomes = {}
  for index, name in ipairs(names) do
    outcomes[index] = ("%s %s"):format(name, verdict.result.envs[name] or "not compared")
  end
  local words = { dominates = "dominates", dominated = "is dominated", neither = "no dominance" }
  local title, other = TITLES[verdict.candidate], TITLES[verdict.against]
  return ("%s against %s: %s: %s"):format(
    title,
    other,
    table.concat(outcomes, ", "),
    words[verdict.result.verdict]
  )
end

--- One line per comparison of two rows, over all environments.
function report.verdicts(summary)
  local lines = {}
  for index, verdict in ipairs(summary.verdicts) do
    lines[index] = verdict_line(verdict, summary.environments)
  end
  return table.concat(lines, "\n")
end

--- How often such verdicts are wrong of two equal models, in one sentence; nil where nothing is compared.
function report.false_alarms(summary)
  local disjoint, dominates ---@type number?, number?
  for _, verdict in ipairs(summary.verdicts) do
    local rates = verdict.result.false_alarms
    disjoint = rates and math.max(rates.disjoint, disjoint or 0) or disjoint
    dominates = rates and math.max(rates.dominates, dominates or 0) or dominates
  end
  if not disjoint or not dominates then
    return nil
  end
  local count = #summary.environments
  local text = "By luck alone, of two equal models over %s: some difference in up to %.0f %% of such comparisons, "
    .. '"dominates" in up to %.0f %%'
  local over = count == 1 and "this environment" or ("these %d environments"):format(count)
  return text:format(over, 100 * disjoint, 100 * dominates)
end

--- What was sampled how, in one sentence.
function report.conditions(summary)
  local s = summary.sampling
  local level = math.floor(100 * s.confidence + 0.5)
  local score = ("Mean score [%d %% interval] on %d held-out tasks per environment"):format(
    level,
    s.num_eval_samples
  )
  local text = ("%s, ids from %d, temperature %g, seed %d"):format(
    score,
    s.first_task_id,
    s.temperature,
    s.seed
  )
  if (s.samples_per_task or 1) > 1 then
    text = text
      .. (", %d samples a task (n counts them all; intervals that count tasks stand below)"):format(
        s.samples_per_task
      )
  end
  return text
end

--- How many tasks of which environment were trained on, or not left out of RL's rollouts.
local function not_kept_out(summary)
  local parts, files = {}, {}
  for _, name in ipairs(summary.environments) do
    local own = summary.held_out.envs[name]
    if own.trained_on > 0 then
      parts[#parts + 1] = ("%d of %d of %s were trained on"):format(own.trained_on, own.n, name)
    end
    if own.not_excluded > 0 then
      local text = "%d of %d of %s were not left out of RL's rollouts"
      parts[#parts + 1] = text:format(own.not_excluded, own.n, name)
    end
  end
  for _, found in ipairs(summary.held_out.found) do
    files[found.file] = true
  end
  local names = {}
  for file in pairs(files) do
    names[#names + 1] = file
  end
  table.sort(names)
  local where = #names > 0 and (" (in %s)"):format(table.concat(names, ", ")) or ""
  return ("Warning: of these tasks %s%s."):format(table.concat(parts, ", "), where)
end

--- Whether the training data was kept apart from these tasks, in one sentence.
function report.held_out(summary)
  local apart = summary.held_out
  if not apart then
    return "Whether these tasks were kept out of the training data was not recorded."
  elseif summary.not_held_out > 0 then
    return not_kept_out(summary)
  end
  local records = 0
  for path, count in pairs(apart.records) do
    if not path:find("/journals/") then
      records = records + count
    end
  end
  local text = "The prompts of these tasks were kept out of all training data: none of the %d is among the %d records"
    .. " trained on, by task id or by prompt with or without instructions, and RL left them out."
  return text:format(apart.tasks, records)
end

--- Whether judged prompts stand in good part in records that were trained on, in one sentence; nil where none does.
function report.near_duplicates(summary)
  local near = summary.near
  if not near or near.count == 0 then
    return nil
  end
  local text = "Of %d of these %d tasks some record trained on holds at least half of the prompt, by its runs of 13 words that"
    .. " are not common to many: task %d of %s the most, %.0f %% of it in %s."
  local most = near.found[1]
  return text:format(near.count, near.tasks, most.task_id, most.env, 100 * most.seen, most.record)
end

--- What it makes that a served model sees other prompts than training has, a line for each environment; nil where the
--- model was not judged as it is served.
function report.as_served(summary)
  local last, lines = summary.order[#summary.order], {}
  if not summary.as_trained then
    return nil
  end
  for index, name in ipairs(summary.environments) do
    local row, other = summary.models[last][name], summary.as_trained[name]
    local served, change = row.served, "no turn's prompt had other ids"
    if served.differing_turns > 0 then
      local text =
        "%d of %d turns had prompts of other ids, which moved the log-probs of the replies by %s nats a token"
      local mean = served.logprob_change and ("%.4f"):format(served.logprob_change) or "(not measured)"
      change = text:format(served.differing_turns, served.turns, mean)
    end
    lines[index] = ("%s, %s: as served %s, as trained %s; %s"):format(
      TITLES[last],
      name,
      cell(row, row.n),
      cell(other, row.n),
      change
    )
  end
  return table.concat(lines, "\n")
end

--- What the episodes come to beside their mean score, a line for each model and environment; nil where it is not known.
function report.metrics(summary)
  return summary.metrics and native.metrics(summary) or nil
end

--- The whole table for a terminal.
function report.table(summary)
  local rows, lines = report.rows(summary), { report.conditions(summary) .. ".", report.held_out(summary) }
  lines[#lines + 1] = report.near_duplicates(summary)
  lines[#lines + 1] = ""
  local widths = { 0 } ---@type integer[]
  for index, name in ipairs(summary.environments) do
    widths[index + 1] = #name + 2
  end
  for _, row in ipairs(rows) do
    widths[1] = math.max(widths[1], row.title and #row.title or 0)
    for index, text in ipairs(row.cells or {}) do
      widths[index + 1] = math.max(widths[index + 1], #text)
    end
  end
  local function line(title, cells)
    local parts = { title .. (" "):rep(widths[1] - #title) }
    for index, text in ipairs(cells) do
      parts[index + 1] = text .. (" "):rep(widths[index + 1] - #text)
    end
    lines[#lines + 1] = (table.concat(parts, "   "):gsub("%s+$", ""))
  end

  local heads, total = {}, widths[1]
  for index, name in ipairs(summary.environments) do
    heads[index] = "  " .. name
    total = total + 3 + widths[index + 1]
  end
  line("", heads)
  for _, row in ipairs(rows) do
    if row.rule then
      lines[#lines + 1] = ("-"):rep(total)
    else
      line(row.title, row.cells)
    end
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "+ above the row before it with disjoint intervals, - below, = they overlap"
  lines[#lines + 1] = report.metrics(summary)
  lines[#lines + 1] = report.as_served(summary)
  lines[#lines + 1] = report.verdicts(summary)
  lines[#lines + 1] = report.false_alarms(summary)
  return table.concat(lines, "\n")
end

--- A text as a cell of a Markdown table, which a bar or a new line would end.
function report.cell(text)
  return (text:gsub("|", "\\|"):gsub("%s+", " "))
end

--- The same as a Markdown table.
function report.markdown(summary)
  local heads = {}
  for index, name in ipairs(summary.environments) do
    heads[index] = report.cell(name)
  end
  ---@type string[]
  local lines = { "| |" .. table.concat(heads, "|") .. "|" }
  lines[2] = "|---|" .. ("---|"):rep(#summary.environments)
  for _, row in ipairs(report.rows(summary)) do
    if not row.rule then
      lines[#lines + 1] = ("|%s|%s|"):format(row.title, table.concat(row.cells, "|"))
    end
  end
  return table.concat(lines, "\n")
end

--- The environments in which a model's mean score is below a threshold.
function report.below(summary, model, threshold)
  local names = {}
  for _, name in ipairs(summary.environments) do
    if summary.models[model][name].mean < threshold then
      names[#names + 1] = name
    end
  end
  return names
end

return report
