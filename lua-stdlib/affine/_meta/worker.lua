---@meta affine.worker

--- Lua functions on other threads. Every worker has a Lua state of its own: it gets its code as text and plain data
--- (numbers, strings, booleans, tables of them) as arguments, and gives plain data back. Nothing is shared, and tensors,
--- models and other handles stay where they are. An error of a worker is raised where its results are waited for, with
--- the worker's own lines in its traceback. Ctrl-C stops the workers too.
---@class affine.worker
local worker = {}

---@class affine.worker.Options
---@field threads? integer Workers, 1 to 1024; by default one per core.
---@field args? any[] Plain data that the source gets as `...`, once per worker.

--- Starts workers. `source` is a path that ends in `.lua`, or Lua source itself; it is run once in each worker and
--- returns the function that calls go to. A file's `require` looks beside the file, a source's beside the script.
---@param source string
---@param options? affine.worker.Options
---@return affine.worker.Pool
function worker.pool(source, options) end

---@class affine.worker.Pool
local Pool = {}

--- Calls the function on whichever worker is free first, and waits for its results.
---@param ... any Plain data.
---@return any ...
function Pool:call(...) end

--- Calls `f(item, position)` for every item of a list, many at a time; gives the first results in the list's order. The
--- first error ends it, and the calls that no worker has begun are left out.
---@param list any[] Plain data.
---@return any[]
function Pool:map(list) end

--- Queues a call and returns at once.
---@param ... any Plain data.
---@return affine.worker.Job
function Pool:submit(...) end

--- How many workers there are.
---@return integer
function Pool:threads() end

--- Lets the workers go when they have answered what was submitted; `local pool <close> = …` does it at the block's end.
function Pool:close() end

---@class affine.worker.Job
local Job = {}

--- Waits for the call's results, which are handed out once; raises the call's error.
---@return any ...
function Job:wait() end

--- Whether `wait` would return at once.
---@return boolean
function Job:done() end

return worker
