---@meta affine.eval

--- Judging: models and baselines on the same numbered tasks, intervals, dominance.
---@class affine.eval
local eval = {}

--- A result on one environment; scores are on 0..1 by the environment's declared range.
---@class affine.eval.Row
---@field n integer Episodes that were judged.
---@field failed integer Episodes in which the environment broke; they are in no other number.
---@field mean number
---@field sd number Sample standard deviation.
---@field success_rate number
---@field lower number The interval of the mean.
---@field upper number
---@field instructions? affine.env.Instructions Which instructions the model was shown, where there is more than one text.
---@field protocol? string The hash of all that decided the scores beside the model and the tasks.

---@class affine.eval.RunOptions
---@field envs affine.env.Environment[]
---@field num_eval_samples? integer Tasks per environment, one episode each.
---@field first_task_id? integer
---@field task_ids? integer[] These tasks, instead of `num_eval_samples` from `first_task_id` on.
---@field temperature? number 0 is greedy.
---@field top_k? integer
---@field top_p? number
---@field max_new_tokens? integer
---@field seed? integer
---@field confidence? number Level of the interval (0.8).
---@field batch_size? integer Episodes side by side: decides memory and speed, not results.
---@field results? string A file of results (`.jsonl` or `.jsonl.zst`): what it holds of this very model under this very protocol is not played again, and what is played goes into it, `batch_size` tasks at a time, with the conversation. An evaluation that was interrupted goes on.
---@field again? boolean Play tasks that the file holds, too; the newer row counts (false).
---@field also? table<string, any> What else decides a score, by name, such as the digest of an environment's code: it counts in the protocol.

--- A task as it was played.
---@class affine.eval.Result
---@field model affine.eval.Judged
---@field env string The environment's label.
---@field task_id integer
---@field score number On 0..1.
---@field own_score number On the environment's own scale.
---@field success boolean
---@field ending "terminated"|"truncated"|"failed"
---@field reason? string Why it failed.
---@field turns integer
---@field tokens integer That the model said.
---@field total_tokens integer Of the whole conversation.
---@field seconds number From its opening to its end, beside others.
---@field time number When it was written, in seconds since 1970.
---@field messages affine.model.Message[]
---@field protocol_hash string
---@field protocol table<string, any> All that decided the score beside the model and the task, by name.

---@class affine.eval.Judged
---@field source string A folder or a Hub id.
---@field revision? string
---@field fingerprint string SHA-256 of configuration, weights, adapter and number format.
---@field dtype string
---@field device string
---@field kernels string

---@class affine.eval.results
eval.results = {}

--- The rows of a file of results, of each task the last. A last line that a crash cut short is left out, and said.
---@param path string
---@return affine.eval.Result[]
function eval.results.read(path) end

--- Adds rows to a file of results, which is made where it is not there.
---@param path string
---@param rows affine.eval.Result[]
function eval.results.add(path, rows) end

--- Plays every environment's tasks with the model; the rows are by label (`env.labels`). Replies extend the conversation's
--- token ids, so earlier turns keep their thoughts, whatever the chat template would make of them.
---@param m affine.model.Model
---@param options affine.eval.RunOptions
---@return { envs: table<string, affine.eval.Row>, sampling: table }
function eval.run(m, options) end

---@class affine.eval.BaselineOptions
---@field kind "random"|"constant"|"rule"|"expert"
---@field num_eval_samples? integer
---@field first_task_id? integer
---@field task_ids? integer[]
---@field choose_task_ids? integer[] For "constant": the best candidate is chosen on these.
---@field choose_first_task_id? integer For "constant": the best candidate is chosen on tasks from here on.
---@field action? string For "constant": this one, without choosing.
---@field seed? integer
---@field confidence? number

--- The same tasks by a player that is no model; nil when the environment has no such player.
---@param e affine.env.Environment
---@param options affine.eval.BaselineOptions
---@return affine.eval.Row?
function eval.baseline(e, options) end

--- The equal-tailed interval of a mean of `n` scores on 0..1 that sum to `sum`: Beta with Jeffreys prior.
---@param sum number
---@param n integer
---@param level? number 0.8 by default.
---@return number lower
---@return number upper
function eval.interval(sum, n, level) end

--- Points and weights of several models as the Affine validators give them: dominance over subsets of environments.
---@param results table
---@param options? table
---@return table
function eval.rank(results, options) end

---@class affine.eval.Verdict
---@field verdict "dominates"|"dominated"|"neither" Worse on none and better on at least one; the reverse; neither.
---@field envs table<string, "better"|"worse"|"tie"> Better or worse where the intervals are disjoint.
---@field strict "dominates"|"dominated"|"neither" As a validator sees a newcomer, which must be better on every environment.
---@field false_alarms affine.eval.FalseAlarms

--- How often two equal models would look different here, over the same environments and as many episodes: each score a
--- success or a failure, with the chance that both models' episodes together show. Partial scores vary less, so do no worse.
---@class affine.eval.FalseAlarms
---@field disjoint number Some environment's intervals are disjoint.
---@field dominates number One given model dominates the other.

--- Compares two models, or a model and a baseline, on the same environments.
---@param candidate table<string, affine.eval.Row>
---@param baseline table<string, affine.eval.Row>
---@return affine.eval.Verdict
function eval.verdict(candidate, baseline) end

return eval
