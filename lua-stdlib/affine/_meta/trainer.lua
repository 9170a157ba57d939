---@meta affine.trainer

--- Training: supervised fine-tuning and PPO, to be run whole or step by step.
---@class affine.trainer
local trainer = {}

--- One training example: a conversation, of which the assistant's turns are trained unless they are marked otherwise; a prompt and its completion, two texts or
--- two lists of messages, of which the completion is trained; or plain text, all of which is trained. Other keys mean nothing to
--- training.
---@class affine.trainer.Record
---@field messages? affine.model.Message[]
---@field prompt? string|affine.model.Message[]
---@field completion? string|affine.model.Message[] A text's end token is added; of messages the assistant's turns are trained.
---@field text? string
---@field chat_template_kwargs? table<string, any> Variables of the chat template, such as `{ enable_thinking = false }`.
---@field [string] any

--- AdamW with decoupled weight decay: with float32 state, or with its two means in 8 bits.
---@alias affine.trainer.Optim "adamw_torch"|"adamw_8bit"

--- What a step whose loss or gradient is not finite leads to. It is not taken, and bad-step-N holds what it was made of.
---@alias affine.trainer.NonFinite "stop"|"skip"

---@alias affine.trainer.Schedule "constant"|"constant_with_warmup"|"linear"|"cosine"

---@class affine.trainer.SftOptions
---@field data string|affine.trainer.Record[] A file or a folder of records as affine.data.read takes it, or a list.
---@field output_dir? string Where checkpoints go, and in the end the adapter or the model; else runs/<time>-sft.
---@field num_epochs? integer
---@field max_steps? integer Optimizer steps in place of num_epochs.
---@field batch_size? integer Records per forward pass.
---@field gradient_accumulation_steps? integer Forward passes per optimizer step.
---@field learning_rate? number
---@field lr_scheduler_type? affine.trainer.Schedule
---@field warmup_ratio? number
---@field min_lr_ratio? number Where a falling schedule ends, as a part of learning_rate.
---@field weight_decay? number
---@field max_grad_norm? number 0 does not clip.
---@field adam_beta1? number
---@field adam_beta2? number
---@field adam_epsilon? number
---@field seed? integer
---@field save_steps? integer Optimizer steps between checkpoints; 0 saves none but on Ctrl-C.
---@field save_total_limit? integer Checkpoints kept; 0 keeps all.
---@field logging_steps? integer Optimizer steps between lines in the log; 0 logs none.
---@field resume_from_checkpoint? boolean|string true for the newest in the output_dir given, or a folder.
---@field gradient_checkpointing? boolean
---@field max_length? integer Tokens after which a record is cut.
---@field train_on? "assistant"|"all"
---@field packing? boolean Joins records by best fit into rows of at most max_length tokens, which batch_size then counts.
---@field padding_free? boolean Lays sequences end to end in place of padding them. Changes nothing but rounding.
---@field neftune_noise_alpha? number α of NEFTune's noise on the embeddings.
---@field optim? affine.trainer.Optim
---@field eval_data? string|affine.trainer.Record[] As data: what eval_steps evaluates on.
---@field eval_steps? integer Optimizer steps between evaluations, and one after the last; 0 evaluates none.
---@field metric_for_best_model? "eval_loss"|"eval_accuracy"
---@field load_best_model_at_end? boolean Keeps the checkpoint of the best evaluation and ends with its weights.
---@field early_stopping_patience? integer Evaluations without a better one after which the run ends; 0 never ends it.
---@field early_stopping_threshold? number By how much an evaluation must be better to count.
---@field nonfinite? affine.trainer.NonFinite
---@field samples? affine.trainer.Samples Gets some records of the first step as they are trained on.
---@field resume? boolean|"force" As resume_from_checkpoint = true; "force" goes on although data or settings changed.
---@field on_step? fun(step: affine.trainer.SftStep) Hears of every step; may use the trainer.

---@param m affine.model.Model
---@param options affine.trainer.SftOptions
---@return affine.trainer.Sft
function trainer.sft(m, options) end

---@class affine.trainer.Sft
local Sft = {}

--- A file of what was trained on, which `affine rollouts show` and `affine report` read.
---@class affine.trainer.Samples
---@field file string `episodes.jsonl.zst` of the run's folder.
---@field stage? string As in metrics.jsonl ("").

---@class affine.trainer.SftStep
---@field step integer Counted from 1.
---@field total integer Steps of the run.
---@field epoch number
---@field loss number Mean negative log-likelihood per trained token, in nats.
---@field learning_rate number
---@field grad_norm number
---@field tokens integer Trained tokens in this step.
---@field seconds number
---@field eval_loss? number After a step at which an evaluation is due.
---@field eval_accuracy? number The share of trained tokens that the model finds likeliest.
---@field spike? boolean The loss is far above those of the steps before.
---@field skipped? boolean Not taken, because its numbers were not finite.

---@class affine.trainer.SftResult
---@field steps integer
---@field train_loss number Mean over the run's steps, those before a resume among them, less those that were skipped.
---@field final_loss number
---@field tokens integer Trained since this process began.
---@field seconds number Since this process began.
---@field records integer Those that are trained on.
---@field records_cut integer Of these, those that were cut at max_length or the model's context.
---@field records_left_out integer Others, of which nothing is trained.
---@field best_metric? number
---@field stopped_early boolean

--- Takes all remaining steps. Ctrl-C finishes the step, saves a checkpoint and stops.
---@return affine.trainer.SftResult
function Sft:run() end

--- An iterator over the remaining steps, each taken when it is asked for. Ctrl-C saves a checkpoint, in a step and in
--- the loop's body alike; a step whose body did not end is told again when the run goes on.
---@return fun(): affine.trainer.SftStep?
function Sft:steps() end

--- Mean negative log-likelihood per trained token of other records, in nats, and the share of trained tokens that the
--- model finds likeliest.
---@param records string|affine.trainer.Record[]
---@return number loss
---@return number accuracy
function Sft:evaluate(records) end

--- What a run will need. Bytes and seconds.
---@class affine.trainer.Preflight
---@field device string
---@field sequences integer Of the largest batch.
---@field tokens integer Of the largest batch, padding included.
---@field longest integer
---@field split boolean Whether memory ran out and the batch was split.
---@field peak_memory? integer Measured while the batch went forward and back.
---@field memory? integer
---@field tokens_per_second number
---@field steps integer
---@field seconds_to_finish number
---@field checkpoint_bytes integer
---@field disk_needed integer
---@field disk_free? integer

--- Takes the largest batch of the run once, without an update, and says what the run will need.
---@return affine.trainer.Preflight
function Sft:preflight() end

--- Writes a checkpoint of the state after the last step and gives its folder.
---@return string
function Sft:save() end

--- Scales the learning rates of all steps that follow, on top of what was scaled before. Checkpoints hold it.
---@param factor number Above 0.
function Sft:scale_learning_rate(factor) end

--- A table of the script's own, always the same one: every checkpoint holds it as it was between two bodies of the loop, and a
--- run that is resumed begins with it. It may hold what JSON can.
---@return table
function Sft:state() end

---@class affine.trainer.PpoOptions
---@field output_dir? string As for SFT; else runs/<time>-ppo.
---@field iterations? integer
---@field num_rollouts? integer|table<string, integer> Episodes per environment and iteration.
---@field ppo_epochs? integer
---@field minibatch_size? integer Episodes per optimizer step.
---@field batch_size? integer Episodes per forward pass: decides memory and speed, not results.
---@field rollout_batch_size? integer Episodes played side by side: likewise.
---@field learning_rate? number
---@field value_learning_rate? number
---@field lr_scheduler_type? affine.trainer.Schedule Over iterations.
---@field min_lr_ratio? number
---@field warmup_ratio? number The part of the run in which the rates rise from 0.
---@field weight_decay? number
---@field max_grad_norm? number Of the model's gradient, and apart from it of the value head's; 0 does not clip.
---@field clip_range? number
---@field value_clip_range? number In units of reward; 0 does not clip.
---@field vf_coef? number
---@field kl_coef? number Units of reward per nat.
---@field entropy_coef? number
---@field gae_lambda? number
---@field gamma? number
---@field discount_unit? "turn"|"token"
---@field whiten_advantages? boolean Within each environment.
---@field bootstrap_truncated? boolean Whether a truncated episode, one cut from outside, is worth at its end what the value head says; else nothing.
---@field temperature? number
---@field max_sampler_gap? "auto"|number The sampler_gap, in nats per token, beyond which a rollout's first update is refused: "auto" by dtype, 0 never.
---@field max_new_tokens? integer
---@field seed? integer
---@field save_steps? integer Iterations between checkpoints.
---@field save_total_limit? integer
---@field resume_from_checkpoint? boolean|string
---@field resume? boolean|"force"
---@field gradient_checkpointing? boolean
---@field padding_free? boolean
---@field optim? affine.trainer.Optim
---@field nonfinite? affine.trainer.NonFinite
---@field samples? affine.trainer.Samples Gets the best, the worst and two random episodes of each environment and iteration, with log-probs, values, advantages and returns of every token.
---@field first_task_id? integer Tasks are drawn from here,
---@field last_task_id? integer up to here.
---@field exclude_prompts? string[] Hashes of prompts (`env:prompt_hash`) or of first observations (`env.observation_hash`) that must not be trained on.
---@field exclude_tasks? table<string, integer[]> Task ids by environment that must not be trained on.
---@field on_iteration? fun(stats: affine.trainer.PpoStats) Hears of every iteration; may use the trainer.

--- Takes the model as it is for the reference of the KL penalty.
---@param m affine.model.Model
---@param options affine.trainer.PpoOptions
---@return affine.trainer.Ppo
function trainer.ppo(m, options) end

---@class affine.trainer.Ppo
local Ppo = {}

--- The numbers of one iteration.
---@class affine.trainer.PpoStats
---@field iteration integer Counted from 1.
---@field total integer Iterations of the run.
---@field score_mean table<string, number> By environment, on 0..1.
---@field score_sd table<string, number> The sample standard deviation of the scores.
---@field success_mean table<string, number> The share of episodes that the environment calls a success.
---@field episodes_by_env table<string, integer> Episodes that did not fail: what the means are over.
---@field reward_mean table<string, number> On each environment's own scale.
---@field turns_mean table<string, number>
---@field episodes integer
---@field failed integer
---@field truncated integer Episodes that were cut from outside.
---@field invalid_actions number Of all turns, the share whose reply held no action.
---@field repeated_actions number Of all turns, the share whose action was the one before it once more.
---@field tokens_mean number Tokens that the model said per episode.
---@field kl? number To the reference, per token in nats.
---@field tokens integer Trained tokens in its optimizer steps: an episode's once per pass over it.
---@field approx_kl number Between the policies before and after the update.
---@field clip_fraction number
---@field entropy number
---@field policy_loss number
---@field value_loss number In units of reward, squared.
---@field explained_variance? number Of the returns by the value head; absent where all returns are equal.
---@field sampler_gap? number Mean difference of the log-probs recorded while sampling and recomputed by the trainer.
---@field sampler_gap_p999? number Its 99.9th percentile over tokens.
---@field sampler_gap_share number The share of tokens with more than 0.1 nats of it.
---@field sampler_gap_by_env table<string, number> The mean by environment.
---@field update_gap? number The same, of the first minibatch and as the update itself computes it: the ratio begins at 1.
---@field grad_norm number Of the model's gradient before clipping, a mean over the steps.
---@field value_grad_norm number Of the value head's.
---@field learning_rate number
---@field rollout_seconds number
---@field seconds number Of rollout and update together.

--- All remaining iterations. Ctrl-C saves a checkpoint and stops.
---@param envs affine.env.Environment[]|{ envs: affine.env.Environment[] }
---@return affine.trainer.PpoStats
function Ppo:run(envs) end

--- An iterator over the remaining iterations, each done when it is asked for. Ctrl-C saves a checkpoint, in an
--- iteration and in the loop's body alike; an iteration whose body did not end is told again when the run goes on.
---@param envs affine.env.Environment[]|{ envs: affine.env.Environment[] }
---@return fun(): affine.trainer.PpoStats?
function Ppo:iterations(envs) end

--- A loop of one's own over the remaining iterations: it gives the number of each, and its body calls `rollout` and `update`.
--- Between two bodies a checkpoint is saved where one is due; after the last the result is written. Ctrl-C saves what was
--- reached: a body that was cut off before its update is run again when the run goes on, with `state` as it was before.
---@return fun(): integer?
function Ppo:loop() end

--- How many iterations are done.
---@return integer
function Ppo:iteration() end

--- Plays episodes with the policy as it is. Tasks and sampling follow from the seed and the iteration.
---@param envs affine.env.Environment[]|{ envs: affine.env.Environment[] }
---@param n? integer Episodes per environment; without it num_rollouts.
---@return affine.trainer.Batch
function Ppo:rollout(envs, n) end

--- Fills in advantages and returns, in units of reward.
---@param batch affine.trainer.Batch
function Ppo:advantages(batch) end

--- ppo_epochs passes over a batch; ends the iteration, of which the log and `on_iteration` hear; outside of `loop` a checkpoint
--- is saved where one is due. After the last iteration it is refused. A batch's first update is refused where its policy is not the one
--- that is updated (max_sampler_gap): older episodes are off-policy. A second update with the same batch knowingly is.
---@param batch affine.trainer.Batch
---@return affine.trainer.PpoStats
function Ppo:update(batch) end

--- Writes a checkpoint of the state after the last iteration and gives its folder.
---@return string
function Ppo:save() end

--- Scales the learning rates of all steps that follow, on top of what was scaled before. Checkpoints hold it.
---@param factor number Above 0.
function Ppo:scale_learning_rate(factor) end

--- As `Sft:state`.
---@return table
function Ppo:state() end

--- A step that was kept because its numbers were not finite. Numbers that are not finite are text.
---@class affine.trainer.Replay
---@field step integer
---@field sums table<string, number|string>
---@field grad_norm number|string
---@field value_grad_norm number|string
---@field tokens integer
---@field batches { sequences: integer[], activation_norms: (number|string)[] }[] One per forward pass.
---@field parameters { name: string, weight_norm: number|string, grad_norm: number|string }[]

--- Takes such a step once more, alone and without an update. The model has the bundle's weights afterwards.
---@param m affine.model.Model
---@param folder string A folder bad-step-N.
---@return affine.trainer.Replay
function trainer.replay(m, folder) end

--- Episodes as they were played, with the numbers that the update trains on. Those that failed are among them, and are never
--- trained on.
---@class affine.trainer.Batch
local Batch = {}

--- How many episodes there are.
---@return integer
function Batch:size() end

---@class affine.trainer.Episode
---@field env string
---@field task_id integer
---@field score number On 0..1.
---@field reward number The sum over its turns, on the environment's own scale.
---@field success boolean
---@field ending "terminated"|"truncated"|"failed" By itself or a limit of its task; cut from outside; broken.
---@field reason? string Why it failed.
---@field turns integer
---@field messages affine.model.Message[]

---@return affine.trainer.Episode[]
function Batch:episodes() end

--- An episode and its numbers. Those per token have one entry for each of `ids`, and count where `mask` is true.
---@class affine.trainer.Sample
---@field env string
---@field task_id integer
---@field score number On 0..1.
---@field reward number The sum of `rewards`.
---@field success boolean
---@field ending "terminated"|"truncated"|"failed" By itself or a limit of its task; cut from outside; broken.
---@field reason? string Why it failed.
---@field messages affine.model.Message[]
---@field ids integer[]
---@field mask boolean[] True where the policy said the token.
---@field turns { [1]: integer, [2]: integer }[] The first and the last token of each reply.
---@field rewards number[] One per turn, on the environment's own scale.
---@field infos table[] One per turn: what the environment's step told besides.
---@field reward_unit number The width of the environment's score_range. Rewards divided by it are on the one scale of values, bootstrap, advantages and returns.
---@field logprobs number[] Recorded while sampling.
---@field reference_logprobs number[]
---@field values number[]
---@field bootstrap number The value of the state in which a truncated episode was cut, else 0.
---@field advantages number[] Empty before ppo:advantages.
---@field returns number[]

---@param index integer From 1 to size(), as in episodes().
---@return affine.trainer.Sample
function Batch:sample(index) end

--- Credit of your own in place of ppo:advantages, one number per token, in units of reward; without returns the value head is trained
--- towards advantage plus value. That of a failed episode is not trained on.
---@param index integer
---@param advantages number[]
---@param returns? number[]
function Batch:set_credit(index, advantages, returns) end

return trainer
