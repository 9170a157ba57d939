---@meta affine.env

--- Environments: numbered tasks that a policy plays turn by turn.
---@class affine.env
local env = {}

--- What an episode is begun with.
---@class affine.env.Task
---@field id integer
---@field rng affine.random.Random Seeded from the id alone, so that the same id gives the same episode.

--- What a step tells besides observation, reward and end.
---@class affine.env.Info
---@field score? number The score so far on the environment's own scale. Without it the reward counts.
---@field truncated? boolean `done` came from a limit; `turn_limit` says whether that is part of the task.
---@field moves? integer `sciworld`: the moves so far; looking takes none, waiting several.
---@field admissible? string[] The actions that are possible now, where the environment tells them.
---@field [string] any Whatever else the environment tells.

--- What `e:step` tells: the same, and always a score.
---@class affine.env.StepInfo: affine.env.Info
---@field score number

--- An environment written in Lua. Every function gets `self`, a new table per instance, with `self.options`.
---@class affine.env.Definition
---@field name string
---@field system? string|fun(self: table): string The system message.
---@field prompt? string|fun(self: table): string The instructions; the first observation follows on a new line.
---@field options? table<string, any> The options with their defaults.
---@field reset fun(self: table, task: affine.env.Task): string Begins an episode and gives the first observation.
---@field step fun(self: table, action: string): string, number, boolean, affine.env.Info? Observation, reward, done, info.
---@field messages? fun(self: table): affine.model.Message[] The opening turns, in place of `system` and `prompt`.
---@field parse? fun(self: table, reply: string): string?, string? The action in a reply, or nil and a complaint; without it the trimmed reply.
---@field expert? fun(self: table): string? A demonstrator's next action.
---@field explain? fun(self: table): string?, string? The same with the reason; without it `expert` and none.
---@field reply? fun(self: table, action: string, thought?: string): string What `parse` reads; without it the action.
---@field random_action? fun(self: table, rng: affine.random.Random): string
---@field rule? fun(self: table): string? The action of a one-line rule.
---@field constant_actions? string[] Candidates for the constant baseline.
---@field max_turns? integer Turns after which an episode is over (30); an option of this name goes before it.
---@field turn_limit? "task"|"outside" Whether its limits, `max_turns` and those that `info.truncated` tells, are part of the task ("task", the default: what is not achieved by then has failed, and the episode is terminated) or cut it from outside ("outside": truncated, worth what would have come). A caller's `max_turns` below its default always cuts from outside.
---@field num_tasks? integer How many task ids exist; without it every non-negative integer is one.
---@field score_range? { [1]: number, [2]: number } The lowest and the highest score ({ 0, 1 }). Training divides rewards by its width.
---@field success_threshold? number The least score that is a success (1).

--- Checks a definition and fills in its defaults. An unknown or missing field or one of another type is an error at the
--- caller's line.
---@param definition affine.env.Definition
---@return affine.env.Definition
function env.define(definition) end

--- Whether a value came out of `env.define`.
---@param value any
---@return boolean
function env.is_definition(value) end

--- A definition's options with `changes` laid over them.
---@param definition affine.env.Definition
---@param changes? table<string, any>
---@return table<string, any>
function env.merge_options(definition, changes) end

---@class affine.env.BuiltIn
---@field name string
---@field origin string

--- The environments that ship here, and where each comes from.
---@return affine.env.BuiltIn[]
function env.built_in() end

--- Options of `env.make("sat")`: find an assignment that satisfies a formula. Any integer is a task. The defaults are the
--- validators'.
---@class affine.env.SatOptions
---@field n? integer Variables (15).
---@field k? integer Literals in a clause, from 1 to `n` (10).
---@field m? integer Clauses (⌊4.26·n⌋); `k·m` is at most a million.

--- Options of `env.make("textcraft")`: make one item of Minecraft. Task ids 0 to 543 are AgentGym's where its recipe files
--- are read in ascending order; the commands shown are its own for the two seeds.
---@class affine.env.TextCraftOptions
---@field seed? integer What draws the distractors and the order (42): upstream's `random.seed`.
---@field hash_seed? integer Upstream's `PYTHONHASHSEED` (0), which decides them too.
---@field max_distractors? integer At most this many commands that the goal does not need (10).
---@field max_turns? integer (20)
---@field instructions? string A text, or the path of a file, in place of the built-in instructions.

--- Options of `env.make("babyai")`: reach, fetch, open and put things in a maze of rooms. The level of a task id is
--- `id mod 40 + 1`, its seed `id div 40`, as in AgentGym.
---@class affine.env.BabyAiOptions
---@field mode? "fixed"|"faithful" "fixed" ends at success and scores it alone; "faithful" scores as AgentGym does, holes included.
---@field max_turns? integer (20)
---@field instructions? string A text, or the path of a file, in place of the built-in instructions.

--- Options of `env.make("alfworld")`: household tasks as a text game. `step` gives `info.admissible`, the commands that
--- are possible now. Without `game` and data, every task id is a room and a task of our own.
---@class affine.env.AlfWorldOptions
---@field game? string One game file (`game.tw-pddl`): every task id is that game.
---@field data? string The folder that holds `json_2.1.1`; by default what the variable ALFWORLD_DATA names.
---@field split? "train"|"valid_seen"|"valid_unseen"|"agentgym"|"generated" By default "train" where there is data, "generated" where there is none.
---@field wrapper? "agentgym"|"textworld" The text around the game ("agentgym"); "textworld" is the raw one.
---@field dialect? "put"|"move" The wording of generated games: up to 0.3.x ("put", the default), or from 0.4.0 on.
---@field max_turns? integer (30)
---@field instructions? string A text, or the path of a file, in place of the built-in instructions.

--- Options of `env.make("webshop")`: buy what an instruction asks for. Task ids are the original's integer sessions.
---@class affine.env.WebShopOptions
---@field data? string A folder with the original's JSON files; without it, a shop of our own.
---@field num_products? integer The first so many of the file (all), or the size of our own shop (2000).
---@field seed? integer What our own shop is drawn from (0).
---@field goals? "synthetic"|"human"|"human-every-price" Which goals of `data` are played.
---@field noun_rule? "approximate"|"all-words" What counts as a noun when names are compared, where the original asks spaCy.
---@field observation_mode? "text"|"text_rich" AgentGym's texts in a row, or a line each with buttons marked.
---@field show_attrs? boolean Shows a button to a product's attributes (false).
---@field cache? boolean Whether the index made from `data` is kept on disk (true).
---@field cache_dir? string Where; in `data` by default.
---@field max_turns? integer (10)
---@field instructions? string A text, or the path of a file, in place of the built-in instructions.

--- Options of `env.make("sciworld")`: ScienceWorld on its own simulator, a Java process per instance that plays. Task ids 0
--- to 4638 are AgentGym's.
---@class affine.env.SciWorldOptions
---@field task? string One of ScienceWorld's 30 tasks; ids are then its variations.
---@field variation? integer The one variation of `task`, counted from 0; its id is 0.
---@field simplifications? string Names out of teleportAction, selfWateringFlowerPots, openContainers, openDoors and noElectricalAction, or easy, with commas between (none).
---@field step_limit? integer Moves after which an episode ends (100); fewer cut it from outside.
---@field max_turns? integer (30)
---@field instructions? string A text, or the path of a file, in place of the built-in instructions.
---@field admissible? boolean Whether `info.admissible` holds the valid actions after each step, as the Python wrapper asks for them: takes far longer than the step (false).
---@field jar? string `scienceworld.jar`; by default SCIENCEWORLD_JAR, what `affine env setup sciworld` left, or a Python package's.
---@field java? string Java's `java`; by default that of JAVA_HOME, or the one on the path.
---@field heap_mb? integer The largest heap of a Java process in MiB, 48 to 8192 (64); it takes up to 84 MiB more.
---@field deterministic? boolean Whether a task is the same episode every time (true).
---@field timeout? integer Seconds that any answer of the simulator may take (120).

--- Options of `env.make("sciworld-mini")`: experiments in a house of affine's own. Not ScienceWorld. Any integer is a task.
---@class affine.env.SciWorldMiniOptions
---@field topic? "change"|"find"|"measure" What all tasks are about; by default the number decides.
---@field max_turns? integer (40)
---@field instructions? string A text, or the path of a file, in place of the built-in instructions.

--- A task of `sciworld` by its name.
---@class affine.env.SciWorldTask
---@field task string
---@field variation integer Counted from 0.
---@field simplifications? string In place of those of the options.

--- Which programs the generator makes.
---@class affine.env.GeneratorOptions
---@field seed? integer What they are drawn from (0).
---@field difficulty? integer One from 1 to 5 (all).
---@field split? "train"|"validation"|"test" The part that they are of ("train"); no program is in two parts.
---@field families? string[] What they are built around: names as `env.generated` tells them (all).

--- Options of `env.make("abd")` and `env.make("ded")`: find an input that makes a program print an output; write a program
--- that passes tests. A task id is a row of `data`, counted from 0; without `data` every id is a program of the generator's. Programs run in the sandbox of `affine.sandbox`.
---@class affine.env.ProgramOptions
---@field data? string Rows of `satpalsr/rl-python`'s form: a .jsonl, .json or .parquet file, a folder of these, an index.json of shards, the address of one of these, or a data set's name on the Hub.
---@field generator? affine.env.GeneratorOptions Which programs are made where there is no `data`.
---@field limits? affine.sandbox.Limits What each program may use up.
---@field instructions? string A text with `{program}` and `{output}` (abd) or `{prompt}` (ded) in it, or the path of a text file.
---@field upstream_quirks? boolean Judge as upstream does where that is odd (true).
---@field python? string The interpreter, in place of the `python3` on the path.
---@field accept_risk? boolean Run programs even where the kernel lacks the sandbox's walls (false).

--- Options of `env.make("abd")`.
---@class affine.env.AbdOptions: affine.env.ProgramOptions
---@field build? "v1"|"v2" What a task's output comes from: an input that `invent` gives ("v1"), or the row's own ("v2", the default).
---@field invent? fun(program: string, inputs: string, output: string, attempt: integer): string A text, such as a model's reply, with another input between INPUT tags; called again, most often for another row, while the input is not one that the program takes.

--- Options of `env.make("http://host:port")`: an environment on an AgentGym server, or any on a server of affine's.
---@class affine.env.AgentGymOptions
---@field kind? "webshop"|"alfworld"|"babyai"|"sciworld"|"textcraft" Without it the server is asked.
---@field timeout? number Seconds that any answer may take (300).
---@field retries? integer How often beginning an episode is repeated while the server does not answer (5); a step never is.
---@field max_turns? integer By default AgentGym's for the kind, or the environment's own.
---@field num_tasks? integer How many tasks the server has, where the kind does not fix it.
---@field instructions? string A text, or the path of a file, in place of a kind's built-in instructions.
---@field api_key? string What the server asks for; by default what AFFINE_API_KEY holds. It is never shown.

--- The labels of environments that are used together, all different: the one given, else the name, and behind it, where
--- several share it, the options in which they differ (`sat(n=4)`). The environments keep them. Two that nothing tells
--- apart are an error.
---@param envs affine.env.Environment[]
---@return string[]
function env.labels(envs) end

--- An environment: by name (`sat`, `abd`, `ded`, `babyai`, `textcraft`, `alfworld`, `webshop`, `grid`; `affine.env.built_in` has all), `custom:my_env` (a module on the path), a `.lua`
--- file, `http://host:port` (an AgentGym server or one of affine's), or a definition. Among the options `label` is what
--- results, metrics and settings by environment call it.
---@param name string|affine.env.Definition
---@param options? table<string, any>
---@return affine.env.Environment
function env.make(name, options) end

--- SHA-256 (hex) of messages as JSON, as `Environment:prompt_hash` gives it for a task's opening ones.
---@param messages affine.model.Message[]
---@return string
function env.prompt_hash(messages) end

--- SHA-256 (hex) of a first observation in small letters and without regard to white space: of a prompt without its
--- instructions, for `exclude_prompts` of trainer.ppo.
---@param observation string
---@return string
function env.observation_hash(observation) end

---@class affine.env.Spread
---@field least integer
---@field tenth integer
---@field median integer
---@field nine_tenths integer
---@field most integer

--- What some ids of the generator of programs hold.
---@class affine.env.Generated
---@field programs integer
---@field distinct integer Programs that differ in more than names and constants.
---@field difficulties table<string, integer> Programs by difficulty, "1" to "5".
---@field topics table<string, integer>
---@field families table<string, integer>
---@field code_lines affine.env.Spread
---@field code_characters affine.env.Spread
---@field description_characters affine.env.Spread
---@field rejected table<string, integer> Empty: nothing was run.

--- What the ids 0 to `count` - 1 of the generator behind `abd` and `ded` hold: how many programs, of which families, how
--- long, how hard. Some 10,000 a second; nothing is run.
---@param count integer
---@param options? affine.env.GeneratorOptions
---@return affine.env.Generated
function env.generated(count, options) end

---@class affine.env.ServeOptions
---@field host? string The address to listen on ("127.0.0.1"); "0.0.0.0" for every network of this machine.
---@field port? integer (8000); 0 takes one that is free.
---@field api_key? string What clients must show as `Authorization: Bearer KEY`; by default AFFINE_API_KEY, else anybody may play.
---@field max_instances? integer Environments open at once (1024); beyond them, one not used for ten minutes is given up.

--- Serves an environment over HTTP as AgentGym's servers do, one instance per client, until Ctrl-C. What is none of AgentGym's
--- is sent the model's whole replies, and reads its actions with `parse`.
---@param environment affine.env.Environment
---@param options? affine.env.ServeOptions
function env.serve(environment, options) end

--- How an episode stands.
---@class affine.env.EpisodeState
---@field turns integer Those with a complaint included.
---@field score number On the environment's own scale; the lowest until a step says otherwise.
---@field success boolean
---@field finished boolean The environment ended it; false where the turns ran out.
---@field ending? "terminated"|"truncated" By itself or a limit of its task, or cut from outside; nil while it goes on.

--- An episode as it was played; without an ending where the player gave up.
---@class affine.env.Episode: affine.env.EpisodeState
---@field messages affine.model.Message[] Ends with the last reply.

--- Plays one episode with a Lua function as the player: `choose(e, messages)` gives each reply, nil gives up.
---@param e affine.env.Environment
---@param task_id integer
---@param choose fun(e: affine.env.Environment, messages: affine.model.Message[]): string?
---@return affine.env.Episode
function env.play(e, task_id, choose) end

---@class affine.env.Description
---@field name string
---@field label? string What results call it, where that is not its name.
---@field num_tasks? integer
---@field score_low number
---@field score_high number
---@field success_threshold number
---@field max_turns integer
---@field turn_limit "task"|"outside" What the end by `max_turns` is: "outside" too where a caller has lowered it.
---@field move_limit? "task"|"outside" What the end is that `info.truncated` tells, where it is not what `turn_limit` says.
---@field instructions? affine.env.Instructions Where there is more than one text that they could be.
---@field generator? integer The version of the generator that the tasks come from: another one makes other tasks of the same ids.

--- Which instructions a conversation begins with.
---@class affine.env.Instructions
---@field source "affine"|"agentgym"|"upstream"|"custom" Our own words, AgentGym's or the Affine subnet's own text, or another.
---@field sha256 string Of the text, in hex.

---@class affine.env.Environment
local Environment = {}

--- Begins the episode of a task and gives the first observation. `sciworld` also takes its tasks by name.
---@param task_id integer|affine.env.SciWorldTask
---@return string observation
function Environment:reset(task_id) end

--- The opening turns: instructions and the first observation.
---@return affine.model.Message[]
function Environment:messages() end

--- The action in a model's reply, or nil and the observation to send back.
---@param reply string
---@return string? action
---@return string? complaint
function Environment:parse(reply) end

--- Takes an action as the environment itself takes it; single-turn environments take the whole reply.
---@param action string
---@return string observation
---@return number reward
---@return boolean done
---@return affine.env.StepInfo info
function Environment:step(action) end

--- Takes a turn by a whole reply: steps with the action in it, or gives the complaint, which earns nothing.
---@param reply string
---@return string observation
---@return number reward
---@return boolean done
---@return affine.env.StepInfo info
function Environment:hear(reply) end

--- How the episode stands that `reset` began, after the turns of `step` and `hear`.
---@return affine.env.EpisodeState
function Environment:episode() end

--- A demonstrator's next action, or nil where there is no expert or it is stuck.
---@return string?
function Environment:expert() end

--- The expert's next action and the reason for it, where it can give one. It may be another action than `expert`'s.
---@return string? action
---@return string? thought
function Environment:explain() end

--- The reply that says an action, which `parse` reads, after a thought where the format has a place for one.
---@param action string
---@param thought? string
---@return string
function Environment:reply(action, thought) end

--- A uniformly random action, or nil where the environment has none.
---@param rng affine.random.Random
---@return string?
function Environment:random_action(rng) end

--- Replies that ignore the observation: the candidates for the constant baseline.
---@return string[]
function Environment:constant_actions() end

--- The action of a one-line rule, or nil where there is none.
---@return string?
function Environment:rule() end

--- SHA-256 (hex) of a task's opening messages as JSON: equal hashes show the model the same prompt. Begins the episode.
---@param task_id integer
---@return string
function Environment:prompt_hash(task_id) end

---@return affine.env.Description
function Environment:describe() end

function Environment:close() end

return env
