---@meta affine.publish

--- What the deploy stage does with the Hub: sends a model or an adapter with its card, tells what went, looks at it once more.
---@class affine.publish
local publish = {}

--- What is published: a folder, the repository that it goes to, and for an adapter where it and the model below it are.
---@class affine.publish.Part
---@field folder string
---@field repo string `owner/name`.
---@field adapter? { folder: string, base: string }

--- Whether a run of a stage has to do with the Hub, by the settings (`huggingface.upload`) and its flags (`--upload`,
--- `--dry-run`, `--verify`).
---@param settings table
---@param flags table<string, string|true>
---@return boolean
function publish.is_wanted(settings, flags) end

--- Lets the adapter in a folder name `huggingface.adapter_base` as its base, where that is set.
---@param settings table
---@param folder string
function publish.name_base(settings, folder) end

--- Uploads a part, as `hub.upload` does. Of a card that somebody wrote to on the Hub all but the measured block is kept; an
--- adapter's `huggingface.adapter_base` must have the very weights that the adapter was trained over. What went is said, and
--- the page and the commit are added to the run's summary.json. With `--dry-run` nothing is sent; with `--verify` what was sent
--- is downloaded into a new cache.
---@param settings table
---@param stage affine.pipeline.Stage
---@param part affine.publish.Part
---@param about affine.card.About
---@param check fun(folder: string) Called with what was downloaded.
function publish.upload(settings, stage, part, about, check) end

return publish
