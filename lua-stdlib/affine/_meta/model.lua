---@meta affine.model

--- Qwen3 models: load, make, sample, adapt, save.
---@class affine.model
local model = {}

---@class affine.model.Message
---@field role "system"|"user"|"assistant"
---@field content string
---@field loss? boolean|0|1 Whether an assistant's turn is trained; true without it. Also spelled weight, train, training, trainable or loss_mask.

--- What computes on the CPU: affine's own kernels with oneDNN or MKL for float32 products (`auto`, the default: MKL on Intel's
--- processors, oneDNN on others), or `libtorch`'s operations alone. They differ in rounding and speed. A run that is resumed with
--- `auto` takes what it began with.
---@alias affine.model.Kernels "auto"|"onednn"|"mkl"|"libtorch"

---@class affine.model.LoadOptions
---@field dtype? "float32"|"bfloat16"|"float16"|"float64" Without it the one that config.json names, else the stored one.
---@field torch_dtype? "float32"|"bfloat16"|"float16"|"float64" transformers 4's name for `dtype`.
---@field revision? string Of a model on the Hub: a branch, a tag or a commit ("main").
---@field device? string `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
---@field quantize? "int8"|"nf4" Store the projections in few bits, frozen; embeddings, norms and head keep the dtype. Train an adapter on top.
---@field double_quantize? boolean With "nf4": quantise the scales too.
---@field kernels? affine.model.Kernels What computes on the CPU.
---@field use_flash_attention? "auto"|boolean true: an error where device, dtype and head size have no flash kernel; false: matrix products and a softmax; `auto`, the default: the fastest that there is. The numbers agree but for rounding.
---@field use_cuda_graph? "auto"|boolean Whether decoding on a GPU is captured as a CUDA graph, one launch a step: `auto`, the default: after the first steps of a reply; true: from the first step, and an error on a CPU; false: never. The numbers agree but for rounding.

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
---@field kernels? affine.model.Kernels What computes on the CPU.
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
---@field lora_dropout? number Of the adapter's input, in SFT alone: PPO trains the policy as it plays.
---@field target_modules? "all-linear"|string|string[] A list of module names or of their ends, or a regular expression in Python's syntax for whole module names (`model.layers.0.self_attn.q_proj`).
---@field exclude_modules? string|string[] What carries none although target_modules names it, chosen in the same ways.
---@field layers_to_transform? integer|integer[] The layers, numbered from 0 as in module names, that carry the adapter; all without it.
---@field layers_pattern? string|string[] What stands before a layer's number; without it anything may.
---@field use_rslora? boolean Scale by lora_alpha / sqrt(lora_r) instead.
---@field use_dora? boolean Learn the length of each row of the adapted weight beside its direction.
---@field rank_pattern? table<string, integer> Other ranks for modules whose name ends with the key, a regular expression.
---@field alpha_pattern? table<string, number> Other alphas, likewise.
---@field seed? integer
---@field adapter_name? string Without it "default".

--- Adds an adapter that changes nothing yet and turns it on; from now on only it is trained.
---@param options? affine.model.LoraOptions
function Model:add_lora(options) end

--- Adds the adapter that is on to the weights and takes it off. Refused on a quantised base: call `dequantize` first.
function Model:merge_lora() end

---@class affine.model.SaveOptions
---@field max_shard_size? integer The largest file in bytes; weights of more become shards with an index. 5e9 without it.

--- Writes config.json, safetensors and the tokenizer into a folder. Its generation_config.json names the token that ends a
--- turn, also where the base's does not.
---@param folder string
---@param options? affine.model.SaveOptions
function Model:save(folder, options) end

--- Brings a quantised base back to the model's dtype, rounded as it is: it can then be merged into, saved and trained.
function Model:dequantize() end

--- Turns the adapter of that name on and the one that was on off.
---@param adapter_name string
function Model:set_adapter(adapter_name) end

--- Turns the adapter off until `set_adapter`.
function Model:disable_adapter() end

---@param adapter_name string
function Model:delete_adapter(adapter_name) end

--- Writes the adapter that is on as PEFT reads it; beside it, where the base does not stop at the token that ends a turn, a
--- generation_config.json that names it.
---@param folder string
function Model:save_adapter(folder) end

--- Takes up an adapter that PEFT or `save_adapter` wrote and turns it on, in place of the one of that name; without a
--- name in place of the one that is on.
---@param folder string
---@param options? { adapter_name?: string }
function Model:load_adapter(folder, options) end

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
---@field logprobs number[] log_softmax(logits / temperature) of each token over the whole head, before top-k and top-p.
---@field finish "stop"|"length"

--- One generation per prompt. Rows of the head that are no token of the tokenizer are never chosen. Row i draws from (seed, i), so its result does not depend on the batch.
---@param prompts (string|integer[])[]
---@param options? affine.model.GenerateOptions
---@return affine.model.Generation[]
function Model:generate(prompts, options) end

---@class affine.model.ChatOptions: affine.model.GenerateOptions
---@field chat_template_kwargs? table<string, any> Variables of the chat template, such as `{ enable_thinking = false }`.
---@field as_trained? boolean Earlier replies stand in the prompt as they were said, as training has them; without it as the chat template renders them, which leaves out earlier thoughts with Qwen3's (false).

--- The reply to a conversation. Where the generation prompt opens the reply (`<think>`), that is its beginning.
---@param messages affine.model.Message[]
---@param options? affine.model.ChatOptions
---@return string
function Model:chat(messages, options) end

---@return affine.tokenizer.Tokenizer
function Model:tokenizer() end

---@class affine.model.Quantization
---@field quantize "int8"|"nf4"
---@field double_quantize boolean
---@field bytes integer What the projections take.
---@field plain_bytes integer What they would take in the model's dtype.
---@field errors table<string, number> Per projection: how far it is from what was read, relative to its size (Frobenius).

---@class affine.model.Info
---@field parameters integer
---@field trainable_parameters integer
---@field source string The folder or Hub id that it came from.
---@field revision? string The commit of a model of the Hub.
---@field torch_dtype string
---@field device string
---@field attention "flash"|"efficient"|"math" The kind of kernel that computes the attention of whole sequences.
---@field kernels "onednn"|"mkl"|"libtorch" What computes on the CPU.
---@field adapters string[] By name.
---@field active_adapter? string
---@field quantization? affine.model.Quantization
---@field config table config.json.

--- What it is and where.
---@return affine.model.Info
function Model:info() end

--- Frees the weights now instead of at the next garbage collection.
function Model:close() end

return model
