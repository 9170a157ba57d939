-- The stages that train a model, in their order, and what tables and the model card say of each. A new one adds its row.

---@class affine.internal.Stage
---@field name string What the evaluation calls the model that it leaves.
---@field title string In tables.
---@field tag string On the Hub.
---@field made fun(settings: table): string How it trains, a line of the model card.

---@type affine.internal.Stage[]
return {
  {
    name = "sft",
    title = "SFT",
    tag = "sft",
    made = function(settings)
      local t = settings.training
      return ("- Supervised fine-tuning: %s on the experts' episodes, batch %d × %d, learning rate %g, %s."):format(
        t.max_steps > 0 and t.max_steps .. " steps" or t.num_epochs .. " epochs",
        t.batch_size,
        t.gradient_accumulation_steps,
        t.learning_rate,
        t.use_lora and ("LoRA r %d, alpha %d"):format(t.lora_r, t.lora_alpha) or "all parameters"
      )
    end,
  },
  {
    name = "rl",
    title = "RL",
    tag = "ppo",
    made = function(settings)
      local r = settings.rl
      local text =
        "- Reinforcement learning: PPO, %d iterations, clip range %g, γ %g per %s, λ %g, KL weight %g, LoRA r %d."
      return text:format(
        r.iterations,
        r.clip_range,
        r.gamma,
        r.discount_unit,
        r.gae_lambda,
        r.kl_coef,
        settings.training.lora_r
      )
    end,
  },
}
