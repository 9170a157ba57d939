---@meta affine

---The host's modules. Each is loaded when it is first used; `require "affine.json"` gives the same table.
---@class affine
---@field version string The version of the host, such as `0.1.0`.
---@field card affine.card
---@field collect affine.collect
---@field config affine.config
---@field data affine.data
---@field env affine.env
---@field eval affine.eval
---@field fs affine.fs
---@field grid affine.grid
---@field host affine.host
---@field hub affine.hub
---@field json affine.json
---@field log affine.log
---@field model affine.model
---@field path affine.path
---@field pipeline affine.pipeline
---@field publish affine.publish
---@field random affine.random
---@field sandbox affine.sandbox
---@field report affine.report
---@field sweep affine.sweep
---@field tensor affine.tensor
---@field test affine.test
---@field time affine.time
---@field tokenizer affine.tokenizer
---@field track affine.track
---@field trainer affine.trainer
---@field worker affine.worker
local affine = {}

--- What `pcall` gives where a function of the host failed (Lua's own errors stay strings). It reads like a string:
--- `tostring(e)`, `e .. ""`, `#e`, `e:find("…")` and every other string method take its message, with the hint on a second
--- line. Raised again it loses nothing.
---@class affine.Error: string
---@field message string With the script's line in front.
---@field hint? string
---@field kind "option"|"file"|"torch"|"memory"|"script"|"message" What went wrong, in one word.
---@field position? string The script's line, `x.lua:5`.
---@field traceback string[] The lines that led there, innermost first.
---@field path? string The option's path (`optim.lr`) or the file.
---@field expected? string For an option: what would be right,
---@field got? string and what came.

---@class affine.Memory
---@field handles integer Tensors and models that were neither closed nor collected.
---@field tensor_bytes integer Bytes of their storages; views share one.
---@field soft_limit integer Past this many, everything dead is collected.
---@field lua_bytes integer Lua's own values.
---@field gpus { bytes: integer, peak_bytes: integer }[] What all tensors hold on each GPU, now and at most so far.

--- What handles keep alive, in bytes.
---@return affine.Memory
function affine.memory() end

--- Calls a function and closes every tensor that was made meanwhile, except those among its results or in tables among
--- them. What it returns or raises passes through.
---@param body fun(): ...
---@return any ...
function affine.scope(body) end

return affine
