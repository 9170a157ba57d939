---@meta affine.track

--- The run folder: one per execution, below `runs/`, with `runs/latest` pointing at the newest.
---@class affine.track
local track = {}

--- Makes `runs/<time>-<name>/` with config.json and versions.json in it.
---@param name string
---@param config table
---@return affine.track.Run
function track.run(name, config) end

---@class affine.track.Run
local Run = {}

--- Adds a line to metrics.jsonl.
---@param numbers table
function Run:log(numbers) end

--- Replaces summary.json.
---@param summary table
function Run:summary(summary) end

--- The run's folder.
---@return string
function Run:path() end

return track
