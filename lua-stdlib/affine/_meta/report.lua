---@meta affine.report

--- The results of an evaluation as text, and the report of a run.
---@class affine.report
local report = {}

--- Writes what runs came to as one HTML file that needs nothing beside it: scores and differences with intervals, learning
--- curves, transcripts token by token, settings. `affine report` does the same.
---@param file string
---@param runs string[] Folders of runs, laid over each other and compared with the first.
function report.write(file, runs) end

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
---@field sources? table<string, affine.eval.Judged> Who the models are.
---@field results? string The file of results that holds every task.
---@field as_trained? table<string, affine.eval.Row> The last model, whose rows in `models` are as served, as it was trained.
---@field near? { count: integer, tasks: integer, found: { env: string, task_id: integer, seen: number, record: string }[] } Tasks of which a record trained on holds at least half of the prompt, the most first.
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

--- Whether judged prompts stand in good part in records that were trained on, in one sentence; nil where none does.
---@param summary affine.report.Summary
---@return string?
function report.near_duplicates(summary) end

--- What it makes that a served model sees other prompts than training has, a line per environment; nil where the model was
--- not judged as it is served.
---@param summary affine.report.Summary
---@return string?
function report.as_served(summary) end

--- What the episodes come to beside their mean score (medians, intervals over tasks, pass@k, invalid actions, turns, tokens), a line for each
--- model and environment; nil where it is not known.
---@param summary affine.report.Summary
---@return string?
function report.metrics(summary) end

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
