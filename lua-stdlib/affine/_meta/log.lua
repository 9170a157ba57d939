---@meta affine.log

---Lines for the person who watches. They go to standard error; the environment variable `AFFINE_LOG` chooses from which
---level on (`debug`, `info`, `warn`, `error`; `info` by default).
---@class affine.log
local log = {}

---@param message string
---@param fields? table<string, any> Written behind the message as `key=value`, sorted by key.
function log.debug(message, fields) end

---@param message string
---@param fields? table<string, any>
function log.info(message, fields) end

---@param message string
---@param fields? table<string, any>
function log.warn(message, fields) end

---@param message string
---@param fields? table<string, any>
function log.error(message, fields) end

---From now on every line is also appended to this file, with its time and level. Its folder is made when missing.
---@param path string
function log.file(path) end

return log
