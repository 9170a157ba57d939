---@meta affine

---The host's modules. Each is loaded when it is first used; `require "affine.json"` gives the same table.
---@class affine
---@field version string The version of the host, such as `0.1.0`.
---@field fs affine.fs
---@field json affine.json
---@field log affine.log
---@field path affine.path
---@field random affine.random
---@field tensor affine.tensor
---@field test affine.test
---@field time affine.time
local affine = {}

return affine
