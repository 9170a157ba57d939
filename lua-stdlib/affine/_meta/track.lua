---@meta affine.track

--- The run folder: one per execution, below `runs/`, with `runs/latest` pointing at the newest; and the trackers that its
--- numbers go to besides.
---@class affine.track
local track = {}

--- Makes `runs/<time>-<name>/` with config.json and versions.json in it.
---@param name string
---@param config table
---@param options? affine.track.Options
---@return affine.track.Run
function track.run(name, config, options) end

--- The sample of what a run trained on (`samples` of the trainers): episodes and records, token by token.
---@param folder string Of the run.
---@param which? { stage?: string, iteration?: integer }
---@return affine.track.Episode[]
function track.episodes(folder, which) end

--- Numbers per token are of the trained tokens alone, in their order.
---@class affine.track.Episode
---@field kind "episode"|"record"
---@field stage string
---@field iteration integer 0 for records.
---@field index integer From 0, within its stage and iteration.
---@field env? string
---@field task_id? integer
---@field score? number On 0..1.
---@field own_score? number On the environment's own scale.
---@field success? boolean
---@field ending? "terminated"|"truncated"|"failed"
---@field reason? string Why it failed.
---@field reward? number Of all turns.
---@field picked? "best"|"worst"|"random" Why it is in the sample.
---@field turns? { from: integer, to: integer, reward: number }[] The tokens of each reply, counted from 0, the second end outside.
---@field ids? integer[]
---@field pieces? string[] The text of each id; joined they are the episode.
---@field mask? integer[][] What is trained: ranges of tokens.
---@field logprobs? number[]
---@field reference_logprobs? number[]
---@field values? number[]
---@field advantages? number[]
---@field returns? number[]
---@field seconds? number
---@field messages affine.model.Message[]

---@class affine.track.Options
---@field resume? boolean Go on with the newest run of that name and configuration, where it was left before `run:finish()` and no other process is at work on it (false).
---@field kernels? affine.model.Kernels What the run's models are made with: versions.json names what it comes to ("auto").

---@field trackers? affine.track.Tracker[] Trackers of the script's own.
---@field wandb? affine.track.WandbOptions Writes a run of Weights & Biases below `wandb/` in the folder; a run that is resumed goes on under its id.
---@field tensorboard? boolean Writes TensorBoard's event files below `tensorboard/` in the folder, those of each stage by themselves (false).

--- A tracker is told what the run is told, at once. An error in it ends the script.
---@class affine.track.Tracker
---@field log fun(step: integer, numbers: table) What was logged with a `step` (or `iteration`): without it and `time`.
---@field summary? fun(summary: table) What `run:summary` was given.
---@field finish? fun(exit_code: integer) At `run:finish()`.

--- What W&B shows of a run. All may be left out.
---@class affine.track.WandbOptions
---@field project? string At most 128 characters, none of them `/ \ # ? % :`.
---@field entity? string A user or a team ("", whoever uploads).
---@field group? string
---@field job_type? string
---@field name? string
---@field notes? string
---@field tags? string[] Of 1 to 64 characters each.
---@field id? string The run to go on with (the one in the folder, or a new one of 8 letters and digits).
---@field mode? "offline"|"online" Whether `wandb sync` uploads it when you want, or `wandb beta sync --live` while it goes on ("offline").

--- Where something belongs that is no number: a step (or iteration), and perhaps a stage and a time in seconds since 1970.
---@class affine.track.Place
---@field step? integer
---@field iteration? integer
---@field stage? string
---@field time? number

---@class affine.track.Run
local Run = {}

--- Adds a line to metrics.jsonl, NaN and infinity as null. What has a `step` (or `iteration`), a whole number from 0 on, goes to
--- the trackers, too, with NaN as it is; each `stage` counts its steps by itself. In a run that goes on, the first line about a `step` (or `iteration`) of a `stage`
--- replaces what was logged of that stage from that step on before, so that every step is there once.
---@param numbers table
function Run:log(numbers) end

--- Gives W&B and TensorBoard a text.
---@param place affine.track.Place
---@param name string
---@param text string
function Run:text(place, name, text) end

--- Gives W&B and TensorBoard the distribution of some numbers; those that are not finite are left out.
---@param place affine.track.Place
---@param name string
---@param values number[]
function Run:histogram(place, name, values) end

--- Gives W&B a table.
---@param place affine.track.Place
---@param name string
---@param columns string[]
---@param rows any[][] A list per row, with a value (or nil) for each column.
function Run:table(place, name, columns, rows) end

--- Gives W&B a file as it is now.
---@param path string
function Run:file(path) end

--- Replaces summary.json, and the results that the trackers show.
---@param summary table
function Run:summary(summary) end

--- The run came to its end: `track.run` with `resume` begins a new one, and trackers take no more. A run that is not finished
--- ends with the script, for W&B with its exit code: 0, 1 where it failed, 255 where it was interrupted.
function Run:finish() end

--- The run's folder.
---@return string
function Run:path() end

return track
