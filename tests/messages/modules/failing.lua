local M = {}
M.value = nil + 1
return M
