-- The model card as Lua makes it: from records of stages, and over a card that is there.
local card = require("affine.card")
local config = require("affine.config")
local fs = require("affine.fs")
local json = require("affine.json")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local ROW = { n = 20, failed = 0, mean = 0.61234, sd = 0.1, success_rate = 0.5, lower = 0.5, upper = 0.75 }

local function summary(environment)
  local models = { base = { [environment] = ROW }, sft = { [environment] = ROW } }
  return {
    order = { "base", "sft" },
    environments = { environment },
    models = models,
    greedy = { models = models },
    baselines = {},
    verdicts = {},
    not_held_out = 0,
    sampling = { num_eval_samples = 20, first_task_id = 0, temperature = 0.7, seed = 3, confidence = 0.8 },
  }
end

--- A stage's record with what differs from one without anything.
local function record(folder, changes)
  local whole = { affine = "0.0.9", settings = {}, files = {}, inputs = {}, notes = {}, done = true }
  for key, value in pairs(changes) do
    whole[key] = value
  end
  fs.mkdir(folder)
  fs.write(folder .. "/stage.json", json.encode(whole))
end

--- Settings whose experiment is a new folder, with records of collecting and SFT in it.
local function experiment()
  local name = ("card-%d"):format(math.random(1 << 40))
  local root = "experiments/" .. name
  local settings = config.load { "--experiment", name, "--set", "model.base_model_path=Qwen/Qwen3-4B" }
  record(root .. "/data_cache", {
    settings = { ["data.deduplicate"] = "true", seed = "7" },
    notes = {
      records = { base = 0, train = 50, validation = 4 },
      sources = {
        {
          env = "webshop",
          label = "shop|a",
          options = { data = "owner/goods", password = "hush" },
          kind = "expert",
          policy = "expert, 30 % random",
          first_task_id = 20000,
          records = 50,
          successes = 49,
          left_out = { duplicate = 2 },
        },
        { file = "more.jsonl", kind = "file", records = 4 },
      },
    },
    command = "affine scripts/full.lua --preset demo",
  })
  record(root .. "/models/sft_final", {
    settings = { ["training.learning_rate"] = "0.125", ["training.max_steps"] = "17", seed = "8" },
    files = { ["Qwen/Qwen3-4B"] = { sha256 = "c0ffee", stamp = "" } },
    notes = {
      work = { steps = 17, tokens = 12345, seconds = 6.5 },
      model = { parameters = 100, trainable_parameters = 10, device = "cpu" },
    },
    command = "affine scripts/sft.lua",
    versions = {
      affine = "0.0.9",
      git_revision = "abc",
      libtorch = "2.11.0",
      target = "x86_64-linux",
      cpu_model = "a processor",
      cpu_count = 4,
      gpu_models = json.array {},
      kernels = "mkl",
    },
  })
  return settings,
    setmetatable({}, {
      __close = function()
        fs.remove("experiments", { recursive = true })
      end,
    })
end

describe("a model card", function()
  it("tells what the stages recorded, not what the settings are now", function()
    local settings, _ <close> = experiment()
    local text = card.text(settings, { name = "sft", summary = summary("shop|a") })
    for _, part in ipairs {
      "base_model: Qwen/Qwen3-4B\nbase_model_relation: finetune\nlibrary_name: transformers\n",
      "language:\n- en\n",
      "- affine\n- qwen3\n- sft\n",
      "datasets:\n- owner/goods\n",
      'type: "shop|a"\n',
      "value: 0.6123\n",
      "|shop\\|a|",
      "- Base: `Qwen/Qwen3-4B` at commit `c0ffee`.",
      "17 steps, batch (not recorded)",
      "learning rate 0.125",
      "|SFT|17|12345||10 of 100|6.5|cpu|",
      "affine 0.0.9 (abc), libtorch 2.11.0, x86_64-linux, a processor with 4 cores, kernels mkl: SFT",
      "affine 0.0.9; the machine was not recorded: collecting data",
      "50 episodes by the expert with 30 % of its actions random, 49 of them successes, task ids from 20000",
      "left out: 2 duplicate. Data: WebShop (academic and research use only, no commercial use)",
      "- File `more.jsonl`: 4 records. Licence: not stated.",
      "50 demonstrations were trained on, 4 kept for the validation loss; duplicates are left out.",
      "affine scripts/full.lua --preset demo\naffine scripts/sft.lua\n",
      "seed = 7 -- collect\nseed = 8 -- sft\n",
      "With 20 tasks per environment the numbers are rough: the interval in `shop\\|a` is 0.25 wide.",
      'model.load("Cometstar/affine-model")',
      "vllm serve Cometstar/affine-model\n",
    } do
      expect(text):contains(part)
    end
    expect(text:find("hush", 1, true)):equals(nil)
  end)

  it("of an adapter says what it belongs on", function()
    local settings, _ <close> = experiment()
    local folder = fs.tempdir()
    fs.write(folder .. "/adapter_config.json", '{ "r": 20 }')
    local about = { name = "sft", adapter = { folder = folder, base = "Qwen/Qwen3-4B" } }
    local text = card.text(settings, about)
    for _, part in ipairs {
      "base_model_relation: adapter\nlibrary_name: peft\n",
      "it belongs on top of `Qwen/Qwen3-4B`.\n",
      'base, name = "Qwen/Qwen3-4B", "Cometstar/affine-model"',
      "vllm serve Qwen/Qwen3-4B --enable-lora --lora-modules affine-model=Cometstar/affine-model --max-lora-rank 32\n",
      "Not evaluated.",
    } do
      expect(text):contains(part)
    end
    about.adapter.base = "models/sft_final"
    text = card.text(settings, about)
    expect(text:find("base_model", 1, true)):equals(nil)
    expect(text):contains("belongs on top of `models/sft_final`. That is a folder of who trained it")
  end)

  it("of a model that no stage made claims nothing", function()
    local text = card.text(config.load {}, {})
    expect(text):contains("No record of affine's stages tells how it was made.")
    expect(text):contains("Nothing was measured of this model")
    expect(text:find("sft", 1, true)):equals(nil)
  end)

  it("over one that is there keeps what its author wrote", function()
    local settings = config.load {}
    local path = fs.tempdir() .. "/README.md"
    local text, warnings = card.text(settings, { existing = path })
    expect(#warnings):equals(0)
    fs.write(path, (text:gsub("A Qwen3 model trained with affine%.", "Mine, for  ever.")) .. "The end.")
    local again
    again, warnings = card.text(settings, { name = "sft", summary = summary("sat"), existing = path })
    expect(#warnings):equals(0)
    expect(again):contains("Mine, for  ever.\n\n<!-- affine:measured front-matter=")
    expect(again):contains("|SFT|= .612 [.500, .750]|")
    expect(again):contains("\n<!-- /affine:measured -->\nThe end.")

    fs.write(path, "# Mine\n")
    again, warnings = card.text(settings, { existing = path })
    expect(again):equals("# Mine\n")
    expect(table.concat(warnings)):contains("it has no measured block")

    fs.write(path, "# Mine\n\n<!-- affine:measured -->\n")
    expect(function()
      card.text(settings, { existing = path })
    end):raises("README.md: line 3: `<!-- affine:measured -->` without")
  end)
end)
