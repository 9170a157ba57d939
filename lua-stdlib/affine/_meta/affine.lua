---@meta affine

---The host's modules. Each is loaded when it is first used; `require "affine.json"` gives the same table.
---@class affine
---@field version string The version of the host, such as `0.1.0`.
---@field card affine.card
---@field config affine.config
---@field env affine.env
---@field eval affine.eval
---@field fs affine.fs
---@field grid affine.grid
---@field host affine.host
---@field json affine.json
---@field log affine.log
---@field model affine.model
---@field path affine.path
---@field pipeline affine.pipeline
---@field random affine.random
---@field report affine.report
---@field tensor affine.tensor
---@field test affine.test
---@field time affine.time
---@field tokenizer affine.tokenizer
---@field track affine.track
---@field trainer affine.trainer
local affine = {}

return affine
