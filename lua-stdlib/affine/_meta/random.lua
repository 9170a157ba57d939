---@meta affine.random

---Random numbers that a seed, a purpose and an index decide, in this version of affine and in later ones.
---@class affine.random
local random = {}

---A stream of its own for each (seed, purpose, index): draws for one purpose do not shift those for another.
---@param seed integer
---@param purpose? string `""` by default.
---@param index? integer A step, a row, a task id; 0 by default.
---@return affine.random.Random
function random.new(seed, purpose, index) end

---@class affine.random.Random
local Random = {}

---A uniform integer from `low` to `high`, both included.
---@param low integer
---@param high integer
---@return integer
function Random:int(low, high) end

---A uniform number in [0, 1).
---@return number
function Random:float() end

---Puts a list into a random order, in place, and returns it.
---@generic T
---@param list T[]
---@return T[]
function Random:shuffle(list) end

---A uniformly chosen item.
---@generic T
---@param list T[]
---@return T
function Random:choice(list) end

---`count` different items in random order; the list stays as it is.
---@generic T
---@param list T[]
---@param count integer
---@return T[]
function Random:sample(list, count) end

return random
