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
