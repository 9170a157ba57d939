-- Adapters, folders and closed handles.
local fs = require("affine.fs")
local json = require("affine.json")
local model = require("affine.model")
local path = require("affine.path")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()
local ids = tiny.tokenizer:encode("red blue green one two three")

local function near(got, wanted)
  expect(#got):equals(#wanted)
  for i, number in ipairs(wanted) do
    expect(got[i]):near(number, 1e-5)
  end
end

-- Some steps, so that the adapter or the weights are no longer what they were.
local function train(m)
  local options =
    { data = tiny.records(), output_dir = path.join(folder, "sft"), max_steps = 3, learning_rate = 1e-2 }
  trainer.sft(m, options):run()
  fs.remove(path.join(folder, "sft"), { recursive = true })
end

local function base_named_by(adapter)
  return json.decode(fs.read(path.join(adapter, "adapter_config.json"))).base_model_name_or_path
end

describe("a model", function()
  it("is told about by info", function()
    local m = tiny.model()
    local info = m:info()
    expect(info.trainable_parameters):equals(info.parameters)
    expect(info.torch_dtype):equals("float32")
    expect(info.config.hidden_size):equals(32)
    m:add_lora { lora_r = 2, target_modules = { "q_proj" } }
    -- Two layers, A of 2×32 and B of 32×2 each.
    expect(m:info().trainable_parameters):equals(2 * (2 * 32 + 32 * 2))
  end)

  it("computes the same after saving and loading", function()
    local m = tiny.model()
    train(m)
    m:save(path.join(folder, "saved"))
    expect(model.load(path.join(folder, "saved")):logprobs(ids)):equals(m:logprobs(ids))
  end)

  it("is written readable for all, whole files only", function()
    tiny.model():save(path.join(folder, "plain"))
    local files = fs.list(path.join(folder, "plain"))
    expect(files):equals {
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    }
    local listing <close> = io.popen(("stat -c %%a '%s'/*"):format(path.join(folder, "plain")))
    local modes = {}
    for mode in listing:lines() do
      modes[mode] = true
    end
    local first = next(modes)
    expect(next(modes, first)):equals(nil)
  end)

  it("with a new adapter computes what it computed, and after training something else", function()
    local m = tiny.model()
    local before = m:logprobs(ids)
    m:add_lora { lora_r = 4, lora_alpha = 8 }
    near(m:logprobs(ids), before)
    train(m)
    local trained = m:logprobs(ids)
    expect(math.abs(trained[1] - before[1]) > 1e-4):equals(true)
    m:save_adapter(path.join(folder, "adapter"))

    local again = tiny.model()
    again:load_adapter(path.join(folder, "adapter"))
    near(again:logprobs(ids), trained)
    again:merge_lora()
    near(again:logprobs(ids), trained)
    expect(again:info().trainable_parameters):equals(again:info().parameters)
  end)

  it("carries DoRA, patterns and a regular expression through saving, loading and merging", function()
    local settings = {
      { lora_r = 2, use_dora = true, use_rslora = true },
      { lora_r = 2, rank_pattern = { q_proj = 3 }, alpha_pattern = { ["layers.1.self_attn.v_proj"] = 7 } },
      { lora_r = 2, target_modules = [[model\.layers\.1\..*\.(q|up)_proj]], use_dora = true },
      { lora_r = 2, target_modules = { "layers.0.self_attn.k_proj", "down_proj" } },
    }
    for _, options in ipairs(settings) do
      local m = tiny.model()
      local before = m:logprobs(ids)
      m:add_lora(options)
      near(m:logprobs(ids), before)
      train(m)
      local trained = m:logprobs(ids)
      m:save_adapter(path.join(folder, "rich"))
      local again = tiny.model()
      again:load_adapter(path.join(folder, "rich"))
      near(again:logprobs(ids), trained)
      again:merge_lora()
      near(again:logprobs(ids), trained)
    end
  end)

  it("carries an adapter in the layers that are asked for", function()
    local function adapted(options)
      local m = tiny.model()
      m:add_lora(options)
      m:save_adapter(path.join(folder, "layers"))
      local again = tiny.model()
      again:load_adapter(path.join(folder, "layers"))
      expect(again:info().trainable_parameters):equals(m:info().trainable_parameters)
      return m:info().trainable_parameters
    end
    local both = adapted { lora_r = 2, target_modules = { "q_proj" } }
    expect(adapted { lora_r = 2, target_modules = { "q_proj" }, layers_to_transform = 1 }):equals(both // 2)
    expect(adapted { lora_r = 2, layers_to_transform = { 0, 1 } }):equals(adapted { lora_r = 2 })
    expect(adapted {
      lora_r = 2,
      target_modules = { "q_proj" },
      layers_to_transform = { 0 },
      layers_pattern = "layers",
    }):equals(both // 2)
    -- A name that is whole is chosen whatever the layers are, as in PEFT.
    local named = { "model.layers.0.self_attn.q_proj", "q_proj" }
    expect(adapted { lora_r = 2, target_modules = named, layers_to_transform = 1 }):equals(both)
    expect(adapted { lora_r = 2, target_modules = { "q_proj" }, exclude_modules = [[.*\.0\..*]] }):equals(
      both // 2
    )
    expect(adapted { lora_r = 2, target_modules = [[.*\.(?P<layer>1)\.self_attn\.(?!k|v|o)[a-z]_proj]] }):equals(
      both // 2
    )
  end)

  it("refuses a choice of modules that chooses nothing, with the nearest name", function()
    for _, case in ipairs {
      { { target_modules = { "q_porj" } }, 'got "q_porj"; did you mean "q_proj"?' },
      { { target_modules = "q_proj" }, 'which fits none; did you mean the list { "q_proj" }?' },
      { { rank_pattern = { k_porj = 4 } }, 'got "k_porj", which fits none; did you mean "k_proj"?' },
      {
        { alpha_pattern = { ["layers.0.self_atn.k_proj"] = 4 } },
        'did you mean "layers.0.self_attn.k_proj"?',
      },
      {
        { target_modules = { "q_proj" }, rank_pattern = { v_proj = 4 } },
        'rank_pattern: expected what fits the names of modules, got "v_proj"',
      },
      {
        { exclude_modules = { "up_porj" } },
        'exclude_modules: expected what fits the names of modules, got "up_porj"',
      },
      { { exclude_modules = ".*" }, "exclude_modules: expected a choice that leaves something to adapt" },
      { { layers_to_transform = { 0, 2 } }, "layers_to_transform: expected layers from 0 to 1, got 2" },
      {
        { layers_to_transform = 0, layers_pattern = "h" },
        "layers_pattern: expected what stands before a layer's number",
      },
      { { layers_pattern = "layers" }, "layers_pattern: expected nothing without layers_to_transform" },
      {
        { target_modules = ".*q_proj", layers_to_transform = 0 },
        "layers_to_transform: expected nothing beside",
      },
      { { target_modules = "(" }, "target_modules: expected" },
    } do
      expect(function()
        tiny.model():add_lora(case[1])
      end):raises(case[2])
    end
  end)

  it(
    "refuses a saved adapter that another base would be needed for, or that names what is not there",
    function()
      local m = tiny.model()
      m:add_lora { lora_r = 2 }
      local saved = path.join(folder, "foreign")
      m:save_adapter(saved)
      local file = path.join(saved, "adapter_config.json")
      local config = fs.read(file)
      local function loading(key, value)
        local changed = json.decode(config)
        changed[key] = value
        fs.write(file, json.encode(changed))
        return function()
          tiny.model():load_adapter(saved)
        end
      end
      for _, way in ipairs { "pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga" } do
        expect(loading("init_lora_weights", way)):raises("changes the weights of the base")
      end
      for _, way in ipairs { true, false, "gaussian", "eva", "orthogonal", "mica" } do
        loading("init_lora_weights", way)()
      end
      expect(loading("rank_pattern", { q_porj = 2 })):raises(
        'rank_pattern: expected what fits the names of modules, got "q_porj"'
      )
      expect(loading("exclude_modules", { "q_porj" })):raises(
        'exclude_modules: expected what fits the names of modules, got "q_porj"'
      )
      loading("exclude_modules", { "lm_head" })()
      expect(loading("lora_bias", true)):raises("lora_bias: expected false, got true")
      expect(loading("use_bdlora", { nblocks = 2 })):raises("use_bdlora: expected nothing")
    end
  )

  it("keeps its adapter where another cannot be loaded", function()
    local m = tiny.model()
    m:add_lora { lora_r = 2 }
    train(m)
    local trained = m:logprobs(ids)
    expect(function()
      m:load_adapter(path.join(folder, "nowhere"))
    end):raises("cannot be read")
    expect(m:logprobs(ids)):equals(trained)
  end)

  it("that was saved is the base that its adapters name, merged or not", function()
    local m = tiny.model()
    local base, adapter = path.join(folder, "base"), path.join(folder, "on_base")
    m:save(base)
    m:add_lora { lora_r = 2 }
    train(m)
    m:save_adapter(adapter)
    expect(base_named_by(adapter)):equals(base)
    near(model.load(adapter):logprobs(ids), m:logprobs(ids))

    -- The merged weights are in no folder until they are saved.
    m:merge_lora()
    m:add_lora { lora_r = 2, seed = 1 }
    m:save_adapter(adapter)
    expect(base_named_by(adapter)):equals(base .. " with an adapter merged into it")
    m:merge_lora()
    m:save(path.join(folder, "merged"))
    m:add_lora { lora_r = 2 }
    train(m)
    m:save_adapter(adapter)
    near(model.load(adapter):logprobs(ids), m:logprobs(ids))
  end)

  it("does not hold two adapters, nor saves one as a model", function()
    local m = tiny.model()
    expect(function()
      m:save_adapter(path.join(folder, "none"))
    end):raises("this model carries no adapter to save")
    m:add_lora {}
    expect(function()
      m:add_lora {}
    end):raises('carries an adapter "default" already\nhint: call merge_lora()')
    expect(function()
      m:save(path.join(folder, "none"))
    end):raises("a model folder cannot hold")
    expect(fs.exists(path.join(folder, "none"))):equals(false)
  end)

  it("cannot be used once it is closed", function()
    local m = tiny.model()
    do
      local closing <close> = m
      expect(#closing:logprobs(ids)):equals(#ids - 1)
    end
    expect(function()
      m:logprobs(ids)
    end):raises("this model was closed")
    m:close()
  end)

  it("is refused with the option that is wrong", function()
    expect(function()
      ---@diagnostic disable-next-line: missing-fields, param-type-mismatch
      model.create { preset = "tiny" }
    end):raises(
      "model.create: tokenizer: expected what tokenizer.train or tokenizer.load returns, got nil"
    )
    expect(function()
      tiny.model { hidden_siz = 32 }
    end):raises("hidden_siz: unknown option\nhint: did you mean `hidden_size`?")
    expect(function()
      tiny.model { num_key_value_heads = 3 }
    end):raises("num_key_value_heads: expected a divisor of num_attention_heads (2), got 3")
    expect(function()
      tiny.model { preset = "huge" }
    end):raises('preset: expected "tiny", "qwen3-0.6b" or "qwen3-4b", got "huge"')
    expect(function()
      tiny.model():add_lora { target_modules = { "lm_head" } }
    end):raises("target_modules")
    expect(function()
      tiny.model():load_adapter("nowhere")
    end):raises("nowhere/adapter_config.json: cannot be read: no such file")
  end)
end)

fs.remove(folder, { recursive = true })
