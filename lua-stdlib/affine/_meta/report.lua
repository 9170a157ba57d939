---@meta affine.report

--- The results of an evaluation as text.
---@class affine.report
local report = {}

--- What evaluate.lua writes as summary.json.
---@class affine.report.KeptApart
---@field tasks integer
---@field records table<string, integer>
---@field envs table<string, { n: integer, trained_on: integer, not_excluded: integer }>
---@field found table[]
---@field not_held_out integer

---@class affine.report.Summary
---@field order string[] The models judged: base, sft, rl, as far as they exist.
---@field environments string[]
---@field models table<string, table<string, affine.eval.Row>> By model and environment, sampled.
---@field greedy { models: table<string, table<string, affine.eval.Row>> }
---@field baselines table<string, table<string, affine.eval.Row>> By kind (random, constant, rule, expert) and environment.
---@field verdicts { candidate: string, against: string, result: affine.eval.Verdict }[]
---@field not_held_out integer How many of the tasks were trained on, or not left out of RL's rollouts.
---@field held_out? affine.report.KeptApart What they were compared with, by file, and how many of which environment collide.
---@field sampling { temperature: number, top_p: number, seed: integer, first_task_id: integer, num_eval_samples: integer, max_new_tokens: integer, confidence: number }

--- The whole table for a terminal.
---@param summary affine.report.Summary
---@return string
function report.table(summary) end

--- The rows of the table: titles and cells, and `rule = true` between groups.
---@param summary affine.report.Summary
---@return { title?: string, cells?: string[], rule?: boolean }[]
function report.rows(summary) end

--- The same as a Markdown table.
---@param summary affine.report.Summary
---@return string
function report.markdown(summary) end

--- A text as a cell of a Markdown table, which a bar or a new line would end.
---@param text string
---@return string
function report.cell(text) end

--- What was sampled how, in one sentence.
---@param summary affine.report.Summary
---@return string
function report.conditions(summary) end

--- Whether the training data was kept apart from these tasks, in one sentence.
---@param summary affine.report.Summary
---@return string
function report.held_out(summary) end

--- One line per comparison of two rows, over all environments.
---@param summary affine.report.Summary
---@return string
function report.verdicts(summary) end

--- How often two equal models would look different in such comparisons, in one sentence; nil where nothing is compared.
---@param summary affine.report.Summary
---@return string?
function report.false_alarms(summary) end

--- The environments in which a model's mean score is below a threshold.
---@param summary affine.report.Summary
---@param model string
---@param threshold number
---@return string[]
function report.below(summary, model, threshold) end

return report
