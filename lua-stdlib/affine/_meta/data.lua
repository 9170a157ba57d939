---@meta affine.data

--- Files of records. `affine data show FILE --model FOLDER` shows what is trained in one.
---@class affine.data
local data = {}

--- The records of a file, which ends in .jsonl (.ndjson, .jsonlines), .json or .parquet, the first two perhaps with .zst or
--- .gz behind it; or those of a folder's files. A row that is no record is an error that names it.
---
--- Of a folder these files are read: those with such a name, in all folders below but hidden ones. A folder's or a file's
--- name tells its split, as Python's `datasets` has it, where `train` or `training`, `validation`, `valid`, `val` or `dev`,
--- `test`, `testing`, `eval` or `evaluation` stands in it as a word. Where there is a training split it alone is read, else
--- the files of no split, else all. A file with two names is read once. What is left out is told in a warning.
---@param path string
---@return affine.trainer.Record[]
function data.read(path) end

--- The rows of a file or a folder that `data.read` reads, as they are, and the place of each (`line 3`). A file of another
--- name may hold JSON, too. A row that cannot be read is an error that names it.
---@param path string
---@return table[] rows
---@return string[] places
function data.rows(path) end

--- Writes records into a file that ends in .jsonl or .jsonl.zst, as a whole or not at all.
---@param path string
---@param records affine.trainer.Record[]
function data.write(path, records) end

return data
