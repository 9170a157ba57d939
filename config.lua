-- The settings of the pipeline, as one table. The comment behind a key is what `--help` prints for it.
--
-- What counts, later over earlier: the sections below, the preset, your own file (`--config FILE`, or this one in
-- the folder you work in), `--set section.key=value`. Your own file may hold only the keys that it changes. A value
-- marked (by environment) is one number, or a table such as { sat = 96, grid = 128 }.

return {
  preset = "demo", -- which of the presets below is laid over the sections
  experiment = "", -- data, models, checkpoints and logs are below experiments/NAME (--experiment NAME); empty: here
  seed = 0, -- decides the new model, the noise in the data, the sampling and the order of everything

  model = {
    base_model_path = "", -- folder or Hub id of a Qwen3 model; empty: make a small one (model.create)
    torch_dtype = "bfloat16", -- number format of the weights: bfloat16, float16 or float32
    quantize = "none", -- store the base's projections in few bits: none, int8 or nf4; sft and rl then keep an adapter
    double_quantize = false, -- with nf4: the scales in few bits, too
    device = "auto", -- auto (CUDA where there is one), cpu, cuda or cuda:N
    kernels = "auto", -- what computes on the CPU: auto, onednn, mkl (for float32 products) or libtorch
    use_flash_attention = "auto", -- auto (where there is a kernel for it), true (an error where not) or false
    use_cuda_graph = "auto", -- decode by CUDA graph: auto (longer replies on a GPU), true (an error on a CPU) or false
    create = {
      vocab_size = 512, -- size of the byte-level BPE vocabulary, trained on the environments' text
      hidden_size = 96, -- width of the residual stream
      num_hidden_layers = 3, -- decoder layers
      num_attention_heads = 3, -- query heads
      num_key_value_heads = 1, -- key and value heads
      head_dim = 32, -- size of one head, independent of hidden_size
      intermediate_size = 256, -- width of the feed-forward layer
      tie_word_embeddings = true, -- the output layer is the embedding
      rope_theta = 10000.0, -- base of the rotary position angles
      max_position_embeddings = 1024, -- longest sequence in tokens
    },
  },

  training = {
    num_epochs = 3, -- passes over the demonstrations
    max_steps = -1, -- optimizer steps; a positive number counts instead of num_epochs
    batch_size = 2, -- records per forward pass
    gradient_accumulation_steps = 8, -- forward passes per optimizer step
    learning_rate = 2e-5, -- peak step size of AdamW
    lr_scheduler_type = "cosine", -- cosine, linear, constant_with_warmup or constant
    warmup_ratio = 0.03, -- share of the steps in which the step size rises from 0
    min_lr_ratio = 0.1, -- share of learning_rate at the last step
    weight_decay = 0.0, -- decoupled weight decay of AdamW
    max_grad_norm = 1.0, -- the gradient is scaled down to this norm
    max_length = 4096, -- longest record in tokens
    gradient_checkpointing = true, -- recompute activations in the backward pass: less memory, more time
    use_lora = true, -- train an adapter instead of every weight, in both sft and rl
    lora_r = 64, -- rank of the adapter
    lora_alpha = 128, -- the adapter's output is scaled by lora_alpha / lora_r
    lora_dropout = 0.0, -- dropout on the adapter's input, in sft alone: rl trains the policy as it played
    target_modules = "all-linear", -- which projections get an adapter: all-linear, or a list of names
    use_rslora = false, -- scale by lora_alpha / sqrt(lora_r) instead
    save_steps = 100, -- optimizer steps between checkpoints
    save_total_limit = 2, -- checkpoints kept, the newest ones
    logging_steps = 20, -- optimizer steps between printed lines
    resume_from_checkpoint = "", -- a checkpoint folder; empty: go on after an interruption by itself
    base = {
      max_steps = 200, -- optimizer steps on random play when a new model is made
      batch_size = 32, -- records per step
      learning_rate = 3e-3, -- peak step size
      warmup_ratio = 0.1, -- share of the steps in which the step size rises from 0
    },
  },

  data = {
    environments = { "affine:sat", "grid" }, -- names, "custom:my_env", .lua files; { name = "…", option = …, label = "…" } sets options, and what tables and settings call it
    num_samples = 2000, -- demonstrations (by environment)
    first_task_id = 20000, -- task id of the first demonstration
    expert_noise = 0.0, -- share of the expert's actions replaced by random ones (by environment)
    reasoning = true, -- the expert says why before it acts, where it can
    min_score = 0.5, -- demonstrations that score less, from 0 to 1, are left out (by environment)
    deduplicate = true, -- a conversation that came before is left out
    train_split = 0.9, -- share of the demonstrations trained on; the rest measures the validation loss
    split_by = "task", -- task: a hash of the task id decides the side; order: the last ones are for validation
    files = {}, -- more demonstrations: files of validators' results or of conversations, filtered by min_score
    model = "", -- a folder or Hub id: a model plays instead of the experts, and what scores min_score is kept
    base = {
      num_samples = 2500, -- episodes of random play per environment for a new model (by environment)
      first_task_id = 0, -- task id of the first of them
    },
  },

  rl = {
    iterations = 100, -- rounds of rollouts and updates
    num_rollouts = 64, -- episodes per environment and iteration (by environment)
    ppo_epochs = 4, -- passes over the rollouts of an iteration
    minibatch_size = 16, -- episodes per optimizer step
    batch_size = 8, -- episodes per forward pass: decides memory and speed, not results
    rollout_batch_size = 64, -- episodes played side by side: likewise
    learning_rate = 1e-5, -- peak step size of the adapter
    value_learning_rate = 1e-4, -- peak step size of the value head
    lr_scheduler_type = "linear", -- cosine, linear or constant
    warmup_ratio = 0.05, -- share of the run in which the step sizes rise from 0
    min_lr_ratio = 0.2, -- share of the step sizes at the end
    clip_range = 0.2, -- how far the probability ratio may leave 1 before its gradient stops
    value_clip_range = 0.2, -- the same for the value's change, in units of reward: the width of an environment's scores
    vf_coef = 0.25, -- weight of the value loss
    kl_coef = 0.01, -- weight of the KL penalty towards the policy as RL begins
    entropy_coef = 0.0, -- weight of the entropy bonus
    gamma = 0.99, -- discount of a reward
    gae_lambda = 0.95, -- decay of generalised advantage estimation
    discount_unit = "turn", -- gamma and gae_lambda apply per turn or per token
    whiten_advantages = true, -- mean 0 and variance 1, within each environment
    bootstrap_truncated = true, -- an episode cut from outside (context, a lowered max_turns) ends in its value, not in nothing
    temperature = 1.0, -- of the rollouts
    max_sampler_gap = "auto", -- rl stops where sampler and trainer differ by more nats per token: auto (by dtype); 0 never stops
    max_new_tokens = 1024, -- longest reply in tokens
    max_grad_norm = 1.0, -- the policy's gradient is scaled down to this norm, and apart from it the value head's
    first_task_id = 50000, -- task ids of the rollouts are drawn from here
    last_task_id = 899999, -- up to here
    save_steps = 10, -- iterations between checkpoints
    save_total_limit = 2, -- checkpoints kept, the newest ones
    resume_from_checkpoint = "", -- a checkpoint folder; empty: go on after an interruption by itself
  },

  evaluation = {
    num_eval_samples = 200, -- held-out task ids per environment
    first_task_id = 7000000, -- the first of them; their prompts are kept out of all training
    choose_first_task_id = 3000000, -- the best constant answer is chosen on these ids, not on the ones above
    temperature = 0.7, -- of the replies that are judged; greedy ones are shown beside them
    top_p = 1.0, -- sample from the smallest set of tokens that holds this probability
    max_new_tokens = 1024, -- longest reply in tokens
    samples_per_task = 1, -- episodes per task and model, each with other luck
    as_served = false, -- each turn's prompt is rendered anew, as a chat server does, not extended as in training
    batch_size = 32, -- episodes played side by side
    confidence = 0.8, -- of the intervals
    min_score_threshold = 0.0, -- deploy refuses a model whose mean score in any environment is lower
  },

  huggingface = {
    repo_name = "Cometstar/affine-model", -- OWNER/NAME of the model's repository on the Hub, as its card has it
    output_dir = "models/deploy", -- where deploy writes the folder; in a named experiment, below its folder
    create_model_card = true, -- write README.md with the measured scores
    license = "apache-2.0", -- licence named in the card
    language = { "en" }, -- languages named in the card, as the Hub writes them
    upload = false, -- deploy uploads what it wrote, too (--upload)
    private = false, -- a repository that it makes is seen by its owner alone
    create_pr = false, -- it opens a pull request in place of a commit
    revision = "main", -- the branch that it commits to
    adapter_base = "", -- Hub id of the model below a published adapter, where that is a folder here
  },

  tracking = {
    run_name = "", -- last part of the run's folder name; empty: the preset's name
    use_wandb = false, -- write a run of Weights & Biases, too: runs/RUN/wandb, which `wandb sync` uploads
    wandb_project = "affine-training", -- the project that it is shown in
    wandb_entity = "", -- the user or team that it belongs to; empty: whoever uploads it
    wandb_mode = "offline", -- offline, or online: uploaded meanwhile by `wandb beta sync --live`
    use_tensorboard = false, -- write TensorBoard's event files, too: tensorboard --logdir runs
  },

  presets = {
    -- A new small model, from nothing to a measured gain in minutes on two CPU cores.
    demo = {
      model = { torch_dtype = "float32" },
      training = {
        max_steps = 600,
        batch_size = 16,
        gradient_accumulation_steps = 2,
        learning_rate = 3e-3,
        warmup_ratio = 0.05,
        max_length = 1024,
        gradient_checkpointing = false,
        lora_r = 16,
        lora_alpha = 32,
      },
      data = {
        environments = { { name = "affine:sat", n = 4, k = 2, m = 10 }, "grid" },
        num_samples = { sat = 3500, grid = 4500 },
        expert_noise = { grid = 0.3 },
        reasoning = false,
        min_score = 0.0,
        deduplicate = false,
        split_by = "order",
        train_split = 0.95,
      },
      rl = {
        iterations = 20,
        num_rollouts = { sat = 64, grid = 160 },
        ppo_epochs = 2,
        minibatch_size = 32,
        batch_size = 16,
        rollout_batch_size = 256,
        learning_rate = 1e-3,
        value_learning_rate = 1e-2,
        gamma = 1.0,
        gae_lambda = 0.8,
        max_new_tokens = 48,
      },
      evaluation = { max_new_tokens = 48, batch_size = 200 },
    },

    -- The original pipeline: Qwen3-4B with the sections' own values.
    ["affine-0004"] = {
      model = { base_model_path = "kiwikiw/Affine-0004" },
      data = {
        environments = { "sat", "abd", "ded", "webshop", "alfworld", "babyai", "sciworld", "textcraft" },
      },
    },
  },
}
