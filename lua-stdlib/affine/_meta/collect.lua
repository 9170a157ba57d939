---@meta affine.collect

--- Collecting records: sources with journals, the split by task, task ids of environments with few tasks, files.
---@class affine.collect
local collect = {}

---@class affine.collect.Source
---@field name string
---@field key table What decides the records; a journal of the same key goes on.
---@field deduplicate? boolean Leaves out a conversation that came before.
---@field tasks fun(): fun(): integer? An iterator over task ids.
---@field draw fun(task_id: integer): table?, string? The record of a task, or nil and why it is left out.

--- Records of a source, `count` of them or as many as its tasks give; how often which reason left a task out; the journal.
---@param folder string Where journals are kept.
---@param source affine.collect.Source
---@param count integer
---@param on_entry fun(records: integer, left_out: table<string, integer>, reason?: string) Hears of every task.
---@return table[] records
---@return table<string, integer> left_out
---@return string journal
function collect.run(folder, source, count, on_entry) end

--- Whether a task is trained on: by a hash of environment and id, so that it is always on the same side.
---@param name string
---@param task_id integer|string
---@param train_split number From 0 to 1.
---@return boolean
function collect.trains(name, task_id, train_split) end

--- Splits records, and notes the side in each one's `split`: "task" by `collect.trains`, "order" with the last for validation.
---@param records table[]
---@param train_split number
---@param how "task"|"order"
---@return table[] train
---@return table[] validation
function collect.split(records, train_split, how) end

--- Task ids from `first` on where the environment has them, else some spread evenly over those it has.
---@param about affine.env.Description
---@param first integer
---@param count integer
---@param offset integer
---@return integer[] ids
---@return integer? tasks How many there are, where the ids were spread.
function collect.task_ids(about, first, count, offset) end

--- The ids to learn from: from `first` on, or all of an environment with few tasks, shuffled.
---@param about affine.env.Description
---@param first integer
---@param count integer
---@return fun(): integer?
function collect.training_ids(about, first, count) end

---@class affine.collect.Judged
---@field find fun(self: table, record: table): table? The judged task that a record is: by `env`, `options` and `task_id`, or by its `messages`.

--- The records of a file of validators' results (either schema) or of conversations.
---@param path string
---@param min_score number
---@param judged? affine.collect.Judged Whose tasks are left out.
---@return table[] records
---@return table<string, integer> left_out
function collect.read(path, min_score, judged) end

return collect
