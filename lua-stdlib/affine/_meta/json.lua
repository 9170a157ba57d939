---@meta affine.json

---JSON text to Lua values and back. Objects keep the order of their keys, integers stay integers, and a decoded list
---stays a list when it is empty.
---@class affine.json
local json = {}

---Stands for `null`, which nil in a table could not.
---@type lightuserdata
json.null = nil

---@class affine.json.Format
---@field indent? integer Spaces per level, at most 16. Without it everything is on one line.

---Reads a document. A mistake in it is an error with its line and column.
---@param text string
---@return any
function json.decode(text) end

---Writes a value. A table with list items is a list, any other an object: decoded keys in their old order, then new
---ones sorted. NaN, infinities, functions, handles, cycles and mixed keys are errors that name their path.
---@param value any
---@param options? affine.json.Format
---@return string
function json.encode(value, options) end

---Marks a table as a list, so that it is written as one even when empty. Returns the table itself.
---@param list table
---@return table
function json.array(list) end

return json
