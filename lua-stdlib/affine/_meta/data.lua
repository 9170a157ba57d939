---@meta affine.data

--- Files of records. `affine data show FILE --model FOLDER` shows what is trained in one.
---@class affine.data
local data = {}

--- The records of a file, which ends in .jsonl, .json or .parquet, the first two perhaps with .zst behind it; or those of a
--- folder's files. A row that is no record is an error that names it.
---@param path string
---@return affine.trainer.Record[]
function data.read(path) end

--- Writes records into a file that ends in .jsonl or .jsonl.zst, as a whole or not at all.
---@param path string
---@param records affine.trainer.Record[]
function data.write(path, records) end

return data
