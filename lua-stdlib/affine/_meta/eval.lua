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
---@field protocol? string The hash of all that decided the scores beside the model and the tasks, of the first sample.
---@field protocols? string[] Of every sample: they differ in the seed.
---@field served? affine.eval.Served With `as_served`.
---@field usage? { prompt: integer, completion: integer, reasoning: integer, cost?: number } What an endpoint counted, where it did for every episode; the cost where prices were given.

--- How far a model that is served is another one than the model that was trained: with `as_served`, over all episodes.
---@class affine.eval.Served
---@field turns integer
---@field differing_turns integer Turns whose prompt, rendered anew, had other ids than the episode before it: those that training extends.
---@field logprob_change? number The mean |log-prob as served - log-prob as trained| over the tokens of the replies in them, in nats; nil without any.

---@class affine.eval.RunOptions
---@field envs affine.env.Environment[]
---@field num_eval_samples? integer Tasks per environment.
---@field samples_per_task? integer Episodes per task (1): sample i is played with the seed `seed` + i - 1, and every episode counts in `n`.
---@field as_served? boolean Every turn's prompt is the chat template over the messages so far, as a chat server makes it, and not the ids that were read and said before (false).
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
---@field invalid_actions integer Turns in whose reply the environment found no action.
---@field tokens? integer That the model said; nil where its server does not count.
---@field total_tokens? integer Of the whole conversation.
---@field usage? { prompt: integer, completion: integer, reasoning: integer } What an endpoint counted over all turns.
---@field seconds number From its opening to its end, beside others.
---@field time number When it was written, in seconds since 1970.
---@field messages affine.model.Message[]
---@field served? { differing_turns: integer, compared_tokens: integer, logprob_change: number } Of an episode that was played `as_served`: as in `affine.eval.Served`, with the sum over the compared tokens.
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

--- A model behind an OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp, a vendor. The server is told the whole conversation at
--- each turn, so it is judged as served. What may pass (no answer, 408, 429, 5xx) is tried again; an episode without a
--- reply has failed; a server that has no such model, wants another key or says more tokens than it was asked for ends
--- the evaluation.
---@class affine.eval.EndpointOptions
---@field base_url string What stands before `/chat/completions`: "http://host:8000/v1".
---@field model string As the server calls it.
---@field api_key_variable? string The environment variable that holds the key. By default OPENAI_API_KEY, whose key is not sent over plain HTTP to another machine.
---@field parallel? integer Episodes side by side, and so requests in flight (8).
---@field timeout_seconds? number That one answer may take (300).
---@field retries? integer How often a request is repeated (5).
---@field patience_seconds? number After so long a reply is given up (900).
---@field prompt_price? number Per million tokens of the conversations, in any currency.
---@field completion_price? number Per million tokens of the replies.
---@field unlisted? boolean Ask for the model although the server's list of models lacks it (false).

---@class affine.eval.Endpoint
local Endpoint = {}

--- What it was made with.
---@return affine.eval.EndpointOptions
function Endpoint:options() end

--- Asks the server whether it has the model.
---@param options affine.eval.EndpointOptions
---@return affine.eval.Endpoint
function eval.endpoint(options) end

--- Plays every environment's tasks with the model; the rows are by label (`env.labels`). Replies extend the conversation's
--- token ids, so earlier turns keep their thoughts, whatever the chat template would make of them.
---@param m affine.model.Model|affine.eval.Endpoint Of an endpoint `batch_size` and `as_served` are its own affair.
---@param options affine.eval.RunOptions
---@return { envs: table<string, affine.eval.Row>, sampling: table, model: affine.eval.Judged } The fingerprint of `model` is empty without `results`, for which alone it is computed.
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
---@field results? string As in `eval.run`; the player's name stands for its weights.
---@field again? boolean
---@field also? table<string, any>

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

--- How several models are ranked. With `beta80` and `beta80_layers` (October to December 2025) intervals decide; `epsilon_pareto`
--- (August to October 2025) compares means by margins, which are its own options.
---@class affine.eval.RankOptions
---@field profile? "beta80"|"beta80_layers"|"epsilon_pareto" ("beta80")
---@field level? number Of the intervals (0.8).
---@field eps_floor? number epsilon_pareto: the tolerance of "not worse", at least this much (0.005),
---@field z_not_worse? number and this many standard errors of the difference (1.28).
---@field eps_win? number epsilon_pareto: the margin of "better", at least this much (0.015),
---@field z_win? number and this many standard errors, but never more than the tolerance (0.5).
---@field eligible_share? number epsilon_pareto: a model needs this share of the largest count in every environment (0.1),
---@field min_samples? integer epsilon_pareto: and at least so many episodes (100); else fewer episodes than this lose every comparison.

--- Points and weights of several models as the Affine validators gave them: dominance over subsets of environments.
---@param results table
---@param options? affine.eval.RankOptions
---@return table
function eval.rank(results, options) end

--- An interval of a mean by resampling: bias-corrected and accelerated, as `scipy.stats.bootstrap` draws it.
---@class affine.eval.Bootstrap
---@field lower number
---@field upper number
---@field method "bca"|"percentile"|"all_equal" percentile where BCa is undefined; all_equal where every value is the same, which resampling would take for certainty: then the Beta rule bounds it.

--- Two models on the tasks that both played with the same seed; differences are candidate minus baseline.
---@class affine.eval.Comparison
---@field tasks integer
---@field pairs integer Episodes with a partner,
---@field unpaired integer and without one, which are in no other number.
---@field difference number The mean over tasks.
---@field sd number
---@field interval? affine.eval.Bootstrap Of the difference.
---@field wilcoxon { n: integer, zeros: integer, positive: number, negative: number, p: number, exact: boolean } Signed ranks of the scores, two-sided; differences of 0 are left out.
---@field mcnemar? { only_candidate: integer, only_baseline: integer, p: number, mid_p: number } Of the successes; nil where a task was played with several seeds.
---@field needed_scores? { mean: integer, wilcoxon: integer } Tasks that would find this difference.
---@field needed_successes? { normal: integer, exact?: integer } Tasks that would find the difference in successes.

---@class affine.eval.Comparisons
---@field envs table<string, affine.eval.Comparison>
---@field unshared string[] Environments that one of the two alone played.
---@field holm { wilcoxon: table<string, number>, mcnemar: table<string, number> } The p-values by Holm's correction over the environments.
---@field differs table<string, string[]> By environment what differs between the protocols of the two: such scores are no like for like.

---@class affine.eval.CompareOptions
---@field level? number Of the intervals (0.8).
---@field resamples? integer (10000)
---@field seed? integer
---@field power? number With which the tasks needed would find the difference (0.8).

--- Compares two models task by task. Failed episodes are left out. Protocols that differ are named, in the result and in a warning.
---@param candidate affine.eval.Result[] Of one model, as `eval.results.read` gives them.
---@param baseline affine.eval.Result[]
---@param options? affine.eval.CompareOptions
---@return affine.eval.Comparisons
function eval.compare(candidate, baseline, options) end

---@class affine.eval.MetricOptions
---@field k? integer[] The k of pass@k and avg@k ({ 1 }).
---@field bootstrap? { level?: number, resamples?: integer, seed?: integer }

--- One model's episodes in numbers, by environment and over all of them: n, failed, mean, sd, success_rate, lower, upper (the
--- validators' interval), tasks, zeros, median, accuracy (the share of scores above 0.5), geometric_mean, bootstrap, at (pass and
--- avg by k), turns, tokens, seconds.
---@param rows affine.eval.Result[]
---@param options? affine.eval.MetricOptions
---@return { envs: table<string, table>, overall: table }
function eval.metrics(rows, options) end

--- A judged prompt and what of it stands in records that were trained on.
---@class affine.eval.Overlap
---@field environment string
---@field task_id integer
---@field ngrams integer Runs of 13 words that the prompt has.
---@field common integer Those that more than 1 % of the environment's prompts share, which are left out.
---@field seen? number The share of the others that some record holds; nil where there is no other.
---@field record? { name: string, seen: number } The record that holds most of them.

--- Looks for near duplicates: judged prompts, up to the first reply, whose runs of 13 words stand in files of records.
---@param rows affine.eval.Result[]
---@param files string[] Of records, as `trainer.sft` takes them.
---@return affine.eval.Overlap[]
function eval.overlap(rows, files) end

---@class affine.eval.WindowOptions
---@field min_dominant? integer Environments on which the challenger must be dominant (1); 0 for all of them.
---@field rules? table<string, { margin?: number, min_tasks?: integer, not_worse?: table }> By environment, in place of the validators' own; `not_worse` is `{ share = 0.02 }` or `{ amount = 0.1 }`.

--- Whether a challenger would take a champion's place by the validators' rule since May 2026, on the tasks that both have scores
--- for. The validators score other tasks by now: the rule is theirs, the numbers are not.
---@param challenger affine.eval.Result[]
---@param champion affine.eval.Result[]
---@param options? affine.eval.WindowOptions
---@return { dethrone: boolean, reason: string, dominant: integer, not_worse: integer, worse: integer, environments: table<string, table> }
function eval.window_2026(challenger, champion, options) end

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
