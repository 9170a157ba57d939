---@meta affine.model

--- Qwen3 models: load, make, sample, adapt, save.
---@class affine.model
local model = {}

---@class affine.model.Message
---@field role "system"|"user"|"assistant"
---@field content string

---@class affine.model.LoadOptions
---@field dtype? "float32"|"bfloat16"|"float16"|"float64" Without it the one that config.json names, else the stored one.
---@field torch_dtype? "float32"|"bfloat16"|"float16"|"float64" transformers 4's name for `dtype`.
---@field device? string `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
---@field use_flash_attention? "auto"|boolean true: an error where device, dtype and head size have no flash kernel; false: matrix products and a softmax; `auto`, the default: the fastest that there is. The numbers agree but for rounding.

--- Loads a Hugging Face folder: config.json, safetensors (one file, or shards with an index), tokenizer.json.
---@param path string
---@param options? affine.model.LoadOptions
---@return affine.model.Model
function model.load(path, options) end

---@class affine.model.CreateOptions
---@field tokenizer affine.tokenizer.Tokenizer Decides the vocabulary.
---@field preset? "tiny"|"qwen3-0.6b"|"qwen3-4b" The shape that the other keys change.
---@field seed? integer
---@field device? string
---@field hidden_size? integer
---@field intermediate_size? integer
---@field num_hidden_layers? integer
---@field num_attention_heads? integer
---@field num_key_value_heads? integer
---@field head_dim? integer
---@field rope_theta? number
---@field max_position_embeddings? integer
---@field tie_word_embeddings? boolean

--- A new model with random weights.
---@param options affine.model.CreateOptions
---@return affine.model.Model
function model.create(options) end

---@class affine.model.Model
local Model = {}

---@class affine.model.LoraOptions
---@field lora_r? integer
---@field lora_alpha? number The adapter's output is scaled by lora_alpha / lora_r.
---@field lora_dropout? number
---@field target_modules? "all-linear"|string|string[] A list of module names or of their ends, or a regular expression for whole module names (`model.layers.0.self_attn.q_proj`).
---@field use_rslora? boolean Scale by lora_alpha / sqrt(lora_r) instead.
---@field use_dora? boolean Learn the length of each row of the adapted weight beside its direction.
---@field rank_pattern? table<string, integer> Other ranks for modules whose name ends with the key, a regular expression.
---@field alpha_pattern? table<string, number> Other alphas, likewise.
---@field seed? integer

--- Adds an adapter that changes nothing yet; from now on only it is trained.
---@param options? affine.model.LoraOptions
function Model:add_lora(options) end

--- Adds the adapter to the weights and takes it off.
function Model:merge_lora() end

---@class affine.model.SaveOptions
---@field max_shard_size? integer The largest file in bytes; weights of more become shards with an index. 5e9 without it.

--- Writes config.json, safetensors and the tokenizer into a folder.
---@param folder string
---@param options? affine.model.SaveOptions
function Model:save(folder, options) end

--- Writes the adapter as PEFT reads it.
---@param folder string
function Model:save_adapter(folder) end

--- Takes up an adapter that PEFT or `save_adapter` wrote.
---@param folder string
function Model:load_adapter(folder) end

--- log p(ids[t] | ids[<t]) for t = 2 .. #ids.
---@param ids integer[]
---@param options? { temperature?: number }
---@return number[]
function Model:logprobs(ids, options) end

---@class affine.model.GenerateOptions
---@field max_new_tokens? integer
---@field temperature? number 0 is greedy.
---@field top_k? integer 0 keeps all.
---@field top_p? number
---@field seed? integer
---@field stop? string[]
---@field batch_size? integer

---@class affine.model.Generation
---@field text string Without the stop token.
---@field tokens integer[] With the stop token.
---@field logprobs number[] log_softmax(logits / temperature) of each token, before top-k and top-p.
---@field finish "stop"|"length"

--- One generation per prompt. Row i draws from (seed, i), so its result does not depend on the batch.
---@param prompts (string|integer[])[]
---@param options? affine.model.GenerateOptions
---@return affine.model.Generation[]
function Model:generate(prompts, options) end

--- The reply to a conversation.
---@param messages affine.model.Message[]
---@param options? affine.model.GenerateOptions
---@return string
function Model:chat(messages, options) end

---@return affine.tokenizer.Tokenizer
function Model:tokenizer() end

---@class affine.model.Info
---@field parameters integer
---@field trainable_parameters integer
---@field source string The folder or Hub id that it came from.
---@field torch_dtype string
---@field device string
---@field attention "flash"|"efficient"|"math" The kind of kernel that computes the attention of whole sequences.
---@field config table config.json.

--- What it is and where.
---@return affine.model.Info
function Model:info() end

--- Frees the weights now instead of at the next garbage collection.
function Model:close() end

return model
