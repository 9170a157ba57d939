-- The stages that train a model, in their order, and what tables and the model card say of each. A new one adds its row.

---@class affine.internal.Stage
---@field name string What the evaluation calls the model that it leaves.
---@field title string In tables.
---@field tag string On the Hub.
---@field folder string Where it leaves the model, in an experiment below its folder.
---@field made fun(setting: fun(path: string): string): string How it trained, from the settings that it recorded.

---@type affine.internal.Stage[]
return {
  {
    name = "sft",
    title = "SFT",
    tag = "sft",
    folder = "models/sft_final",
    made = function(setting)
      local is_counted = tonumber(setting("training.max_steps")) or -1
      return ("supervised fine-tuning on the demonstrations, %s, batch %s × %s, learning rate %s (%s), %s"):format(
        is_counted > 0 and setting("training.max_steps") .. " steps"
          or setting("training.num_epochs") .. " epochs",
        setting("training.batch_size"),
        setting("training.gradient_accumulation_steps"),
        setting("training.learning_rate"),
        setting("training.lr_scheduler_type"),
        setting("training.use_lora") == "true"
            and ("LoRA r %s, alpha %s"):format(setting("training.lora_r"), setting("training.lora_alpha"))
          or "all parameters"
      )
    end,
  },
  {
    name = "rl",
    title = "RL",
    tag = "ppo",
    folder = "models/rl_final",
    made = function(setting)
      local text =
        "PPO, %s iterations, clip range %s, γ %s per %s, λ %s, KL weight %s, learning rate %s, %s"
      return text:format(
        setting("rl.iterations"),
        setting("rl.clip_range"),
        setting("rl.gamma"),
        setting("rl.discount_unit"),
        setting("rl.gae_lambda"),
        setting("rl.kl_coef"),
        setting("rl.learning_rate"),
        setting("training.use_lora") == "true" and "LoRA r " .. setting("training.lora_r") or "all parameters"
      )
    end,
  },
}
