---@meta affine.host

--- What the binary knows of itself.
---@class affine.host
local host = {}

--- The text of the config.lua that the binary was built with.
---@return string
function host.default_config() end

--- `affine.memory`.
---@return affine.Memory
function host.memory() end

--- Every handle that is made from now on becomes a key of this table; without one, of none.
---@param table? table
---@return table? before
function host.watch(table) end

return host
