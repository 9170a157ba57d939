---@meta affine.card

--- The model card of a deployed model: README.md with YAML front matter.
---@class affine.card
local card = {}

--- The card's text. `about` holds name (what the evaluation calls the model: base, sft, rl; nil for another one),
--- adapter ({ folder, base }, or nil for a merged model) and summary (of the evaluation, or nil without one).
---@param settings table What `config.load` returned.
---@param about { name?: string, adapter?: { folder: string, base: string }, summary?: table }
---@return string
function card.text(settings, about) end

return card
