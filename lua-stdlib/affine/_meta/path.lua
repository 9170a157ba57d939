---@meta affine.path

---The parts of a path, as text; nothing is looked up on the disk.
---@class affine.path
local path = {}

---The parts with slashes between. An absolute part starts anew.
---@param ... string
---@return string
function path.join(...) end

---`"a/b"` of `"a/b/c.txt"`; empty where there is none.
---@param path string
---@return string
function path.parent(path) end

---`"c.txt"` of `"a/b/c.txt"`.
---@param path string
---@return string
function path.name(path) end

---`"c"` of `"a/b/c.txt"`.
---@param path string
---@return string
function path.stem(path) end

---`"txt"` of `"a/b/c.txt"`; empty where there is none.
---@param path string
---@return string
function path.extension(path) end

---The path from the root, seen from the working folder.
---@param path string
---@return string
function path.absolute(path) end

return path
