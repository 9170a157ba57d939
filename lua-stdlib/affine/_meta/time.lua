---@meta affine.time

---The clock.
---@class affine.time
local time = {}

---Seconds since 1970.
---@return number
function time.now() end

---Seconds on a clock that never jumps: take two and subtract.
---@return number
function time.clock() end

---The local time for use in names: `20260131-142501`.
---@return string
function time.stamp() end

---Waits. Ctrl-C ends the wait.
---@param seconds number
function time.sleep(seconds) end

return time
