---@meta affine.pipeline

--- What the stages share: when one is done already, where its log and its notes are, which folder feeds which.
---@class affine.pipeline
local pipeline = {}

--- A stage while it runs.
---@class affine.pipeline.Stage
---@field name string
---@field output string Its folder, with `stage.json` in it.
---@field checkpoints? string
---@field config table The settings.
---@field flags table<string, string|true>
---@field run affine.track.Run
---@field resuming boolean Whether it goes on after an interruption.
local Stage = {}

--- A line for the person who watches and for the stage's log, formatted as by `string.format`.
---@param text string
---@param ... any
function Stage:say(text, ...) end

--- Adds a line of numbers to the run's metrics.jsonl, with the stage's name.
---@param numbers table
function Stage:log(numbers) end

--- A value measured once and kept in stage.json, so that it outlives an interruption.
---@generic T
---@param key string
---@param measure fun(): T
---@return T
function Stage:once(key, measure) end

--- Adds the report of a step or an iteration to what training came to, in `trainer:state()`, which checkpoints hold.
---@param state table
---@param report table
function Stage:count(state, report) end

--- Notes what training came to, of which model and where, in stage.json, for the model card.
---@param m affine.model.Model
---@param state table
function Stage:note_training(m, state) end

--- Keeps a value in stage.json, in place of the one before.
---@param key string
---@param value any
function Stage:note(key, value) end

--- The value that was kept; nil where there is none.
---@param key string
---@return any
function Stage:noted(key) end

--- What to pass on as `resume_from_checkpoint`: the configured folder, or whether to look for the newest one.
---@param configured string Empty for none.
---@return string|boolean
function Stage:resume_from(configured) end

---@class affine.pipeline.Spec
---@field name string
---@field ignores? string|fun(settings: table): string Sections and keys that cannot matter to the result, words with spaces between; all others decide it.
---@field except? string Which of those do matter.
---@field reads? fun(settings: table, found: table, known: table, flags: table) Notes by content what it reads beside earlier stages' results.
---@field plays? boolean Whether it plays the environments.
---@field in_place? boolean Whether it replaces a result itself, when the new one is there, so that none is kept.
---@field holds? fun(settings: table, flags: table): string The folder of what it makes, where that is not all of its folder.
---@field output fun(settings: table): string The stage's folder.
---@field needs fun(settings: table, flags: table): table The folders of the stages that this one builds on, or { folder, file, … } where it does not read all of one.
---@field run fun(settings: table, stage: affine.pipeline.Stage) The work.
---@field present? fun(settings: table, stage: affine.pipeline.Stage) Shows the result, also when the work was skipped.
---@field checkpoints? string A folder that goes with the result, below the experiment's.
---@field flags? table<string, affine.config.Flag>
---@field before? affine.pipeline.Callable A stage that runs first where it is wanted.
---@field wanted? fun(settings: table): boolean

---@class affine.pipeline.Callable
---@field name string
---@field plays? boolean
---@field flags table<string, affine.config.Flag>
---@overload fun(settings: table, run: affine.track.Run, flags?: table)

--- A stage, called as `stage(settings, run, flags)`. It is skipped when its folder's `stage.json` has the fingerprint of
--- the same settings, seed, files and results of earlier stages. A result that is replaced is kept as `<folder>.previous`.
---@param spec affine.pipeline.Spec
---@return affine.pipeline.Callable
function pipeline.stage(spec) end

--- Ends a stage's file: `pipeline.main(stage, ...)` runs the stage when that file is the script that was started, and
--- does nothing when it was required.
---@param stage affine.pipeline.Callable
---@param ... any The file's own `...`.
function pipeline.main(stage, ...) end

--- Opens the run folder of a script: a new one, or that of the same settings which was left before its end. Impossible
--- settings are refused here, before a plan makes them small.
---@param settings table
---@param script string
---@param how? { plays?: boolean, force?: boolean } `plays` false where no environment is played, which spares making them; with `force` the run folder is a new one.
---@return affine.track.Run
function pipeline.open(settings, script, how) end

--- Where something of this experiment is: `path`, or with `--experiment NAME` that below `experiments/NAME`.
---@param settings table
---@param path string
---@return string
function pipeline.folder(settings, path) end

--- The tasks that the evaluation judges: env, options, task_id, prompt (its hash) and more.
---@param settings table
---@param environments affine.env.Environment[]
---@param names string[]
---@return table[]
function pipeline.held_out(settings, environments, names) end

--- An index of judged tasks, asked by `index:find(record)`: the task that a record is, or nil, and by what it is one.
---@param tasks table[] As `pipeline.held_out` gives them.
---@return table
function pipeline.index_of(tasks) end

--- Looks for judged tasks in the records that were trained on, in a data folder.
---@param tasks table[] As `pipeline.held_out` gives them.
---@param names string[] The environments' labels.
---@param folder string
---@return affine.report.KeptApart
function pipeline.kept_apart(tasks, names, folder) end

--- Notes files and folders by content, for a stage's `reads`.
---@param found table
---@param paths string[]
---@param known table
function pipeline.read_files(found, paths, known) end

--- Notes by content the weights of a model, a folder or a Hub id, for a stage's `reads`.
---@param found table
---@param path string
---@param known table
function pipeline.read_weights(found, path, known) end

--- Notes by content all that decides what one environment does.
---@param found table
---@param name string
---@param options? table
---@param known table
function pipeline.read_environment(found, name, options, known) end

--- One text that stands for all that was noted.
---@param found table
---@return string
function pipeline.digest(found) end

--- Notes by content all that decides what the environments do, for a stage's `reads`.
---@param settings table
---@param found table
---@param known table
function pipeline.read_environments(settings, found, known) end

--- Notes by content the weights of the base model where one is given, for a stage's `reads`.
---@param settings table
---@param found table
---@param known table
function pipeline.read_base(settings, found, known) end

--- The stage record of a folder when that stage is done, from inputs as they are now; else nil.
---@param folder string
---@return table?
function pipeline.done(folder) end

--- Stops with one sentence, formatted as by `string.format`.
---@param text string
---@param ... any
function pipeline.fail(text, ...) end

--- Settings of a section as an options table.
---@param section table
---@param names? string Words with spaces between; without it all settings.
---@return any options
function pipeline.pick(section, names) end

--- The value of a setting for one environment: the number itself, or its entry in a table by environment.
---@param settings table
---@param path string
---@param name string
---@param otherwise? number For an environment that the table lacks; without it that is an error.
---@return number
function pipeline.by_environment(settings, path, name, otherwise) end

--- The options of an entry of `data.environments`; nil where it sets none.
---@param entry string|table
---@return table<string, any>?
function pipeline.options_of(entry) end

--- The environments of `data.environments`, and their labels, in that order.
---@param settings table
---@return affine.env.Environment[] environments
---@return string[] labels
function pipeline.environments(settings) end

--- Where the base model is: `model.base_model_path`, or the one that the sft stage makes.
---@param settings table
---@return string
function pipeline.base_path(settings) end

--- Loads a model in the configured number format, onto the configured device, its projections in full.
---@param settings table
---@param path string
---@return affine.model.Model
function pipeline.load_plain(settings, path) end

--- Loads a model as the stages train and judge it: as `load_plain`, with its projections in few bits where `model.quantize`
--- says so.
---@param settings table
---@param path string
---@return affine.model.Model
function pipeline.load_model(settings, path) end

--- Whether the stages train over a quantised base (`model.quantize`).
---@param settings table
---@return boolean
function pipeline.is_quantized(settings) end

--- Gives a model the adapter that the section `training` asks for, if it asks for one; a model that came with an adapter
--- goes on with that one.
---@param settings table
---@param m affine.model.Model
function pipeline.add_adapter(settings, m) end

--- Writes what a stage trained: a model folder with the adapter merged in, or over a quantised base, which no model folder
--- can hold, the adapter and the tokenizer.
---@param settings table
---@param m affine.model.Model
---@param folder string
function pipeline.save_trained(settings, m, folder) end

--- The options of trainer.sft that the section `training` holds; its files and folders are the caller's.
---@param settings table
---@return any options
function pipeline.sft_options(settings) end

--- The settings that make the adapter, words with spaces between: for `except` of a stage that ignores the section `training`.
---@type string
pipeline.adapter_settings = ""

--- The options of trainer.ppo that the settings hold; its files and folders are the caller's.
---@param settings table
---@return any options
function pipeline.ppo_options(settings) end

--- The options of model.create that the settings hold; the tokenizer is the caller's.
---@param settings table
---@return table
function pipeline.create_options(settings) end

--- The options of trainer.sft where it makes a new base.
---@param settings table
---@return table
function pipeline.base_options(settings) end

--- The options of eval.run that the settings hold; its environments are the caller's.
---@param settings table
---@return table
function pipeline.eval_options(settings) end

--- The records of a JSON-lines file.
---@param path string
---@return table[]
function pipeline.read_records(path) end

--- Writes records as a JSON-lines file.
---@param path string
---@param records table[]
function pipeline.write_records(path, records) end

return pipeline
