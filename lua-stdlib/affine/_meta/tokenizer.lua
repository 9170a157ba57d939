---@meta affine.tokenizer

--- Text to token ids and back, and the chat template.
---@class affine.tokenizer
local tokenizer = {}

--- Trains a byte-level BPE tokenizer, built as Qwen's is, with the ChatML template. It has fewer than `vocab_size`
--- tokens where the texts hold too few different words to merge. A word of more than 1000 letters counts as several.
---@param texts string[]
---@param options? { vocab_size?: integer }
---@return affine.tokenizer.Tokenizer
function tokenizer.train(texts, options) end

--- The tokenizer of a model folder.
---@param folder string
---@return affine.tokenizer.Tokenizer
function tokenizer.load(folder) end

---@class affine.tokenizer.Tokenizer
local Tokenizer = {}

--- Token ids; special tokens written in the text count as such.
---@param text string
---@return integer[]
function Tokenizer:encode(text) end

--- The text of token ids; one that is no token (a row of a padded embedding) has none.
---@param ids integer[]
---@return string
function Tokenizer:decode(ids) end

--- Messages as the model reads them, through its chat template.
---@param messages affine.model.Message[]
---@param options? { add_generation_prompt?: boolean, chat_template_kwargs?: table<string, any> }
---@return string
function Tokenizer:chat(messages, options) end

--- The conversation with the tokens that training would use marked, and their number.
---@param messages affine.model.Message[]
---@param options? { chat_template_kwargs?: table<string, any> }
---@return string
function Tokenizer:preview(messages, options) end

--- Writes the tokenizer's files into a folder; generation_config.json names the token that ends a turn.
---@param folder string
function Tokenizer:save(folder) end

--- How many tokens there are.
---@return integer
function Tokenizer:size() end

return tokenizer
