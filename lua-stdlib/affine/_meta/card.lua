---@meta affine.card

--- The model card of a deployed model: README.md with YAML front matter.
---@class affine.card
local card = {}

---@class affine.card.About
---@field name? string What the evaluation calls the model: base, sft, rl; nil for one that no stage made.
---@field adapter? { folder: string, base: string } Of an adapter alone: where it is, and the model below it.
---@field repo? string What its repository is called (huggingface.repo_name).
---@field summary? table Of the evaluation; nil without one.
---@field existing? string A card that may be there already: what its author wrote around the measured block stays, and so does an edited front matter.

--- The card's text, its facts read from what the stages of the experiment recorded; and what the author of a card that is
--- there should know, a sentence each.
---@param settings table What `config.load` returned.
---@param about affine.card.About
---@return string text
---@return string[] warnings
function card.text(settings, about) end

return card
