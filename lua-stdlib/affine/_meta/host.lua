---@meta affine.host

--- What the binary knows of itself.
---@class affine.host
local host = {}

--- The text of the config.lua that the binary was built with.
---@return string
function host.default_config() end

return host
