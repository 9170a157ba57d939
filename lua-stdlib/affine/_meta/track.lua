---@meta affine.track

--- The run folder: one per execution, below `runs/`, with `runs/latest` pointing at the newest.
---@class affine.track
local track = {}

--- Makes `runs/<time>-<name>/` with config.json and versions.json in it.
---@param name string
---@param config table
---@param options? affine.track.Options
---@return affine.track.Run
function track.run(name, config, options) end

---@class affine.track.Options
---@field resume? boolean Go on with the newest run of that name and configuration, where it was left before `run:finish()` and no other process is at work on it (false).
---@field kernels? affine.model.Kernels What the run's models are made with: versions.json names what it comes to ("auto").

---@class affine.track.Run
local Run = {}

--- Adds a line to metrics.jsonl. In a run that goes on, the first line about a `step` (or `iteration`) of a `stage`
--- replaces what was logged of that stage from that step on before, so that every step is there once.
---@param numbers table
function Run:log(numbers) end

--- Replaces summary.json.
---@param summary table
function Run:summary(summary) end

--- The run came to its end: `track.run` with `resume` begins a new one.
function Run:finish() end

--- The run's folder.
---@return string
function Run:path() end

return track
