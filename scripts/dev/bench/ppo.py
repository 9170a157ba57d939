#!/usr/bin/env python3
"""PPO iterations with LoRA: rollout, log-probs of policy and reference, values, GAE, then epochs over mini-batches.

--impl loop: plain transformers + PEFT; the reference is the model with its adapter off, the critic a linear head on the
             policy's last hidden states, as affine's is.
--impl trl:  TRL's PPOTrainer, which is in trl 1.12.0 and gone from 1.13 on. Its critic is a backbone of its own with an
             adapter of its own: more work than the other two do.
"""

import tempfile

from common import *


def gae(rewards, values, gamma=0.99, lam=0.95):
    advantages, last = torch.zeros_like(rewards), 0.0
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] if t + 1 < rewards.shape[1] else 0.0
        last = rewards[:, t] + gamma * following - values[:, t] + gamma * lam * last
        advantages[:, t] = last
    return advantages


def run_loop(a, prompts):
    policy = with_adapter(a, load(a))
    base = policy.get_base_model()
    head = torch.nn.Linear(policy.config.hidden_size, 1)
    params = [p for m in (policy, head) for p in m.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(params, lr=a.learning_rate, weight_decay=0.0)
    first, new = prompts.shape[1], a.new
    autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=a.amp)
    generation = transformers.GenerationConfig(do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=new,
                                               pad_token_id=0, eos_token_id=None)

    def logprobs(rows):
        with autocast():
            # Completion positions alone. contiguous: without grad, a sliced bf16 input sends a large CPU linear down a
            # path that is 80 times slower.
            hidden = base.model(input_ids=rows[:, :-1], use_cache=False).last_hidden_state[:, first - 1:].contiguous()
            logits = base.lm_head(hidden).float()
        return torch.log_softmax(logits, -1).gather(-1, rows[:, first:, None]).squeeze(-1), hidden

    def values(hidden):
        return head(hidden.float()).squeeze(-1)

    def rollout():
        with torch.inference_mode(), autocast():
            return policy.generate(input_ids=prompts, attention_mask=torch.ones_like(prompts), generation_config=generation)

    def reference(rows):
        with policy.disable_adapter():
            return logprobs(rows)[0]

    def iteration(clock):
        policy.eval()
        with torch.no_grad():
            rows = clock.run("rollout", rollout).clone()
            old, hidden = clock.run("logprobs", logprobs, rows)
            ref = clock.run("reference", reference, rows)
            old_values = values(hidden)
            rewards = -0.05 * (old - ref)
            rewards[:, -1] += (rows[:, first:].float().mean(1) % 7) / 7
            advantages = gae(rewards, old_values)
            returns = advantages + old_values
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        policy.train()

        def update():
            for _ in range(a.epochs):
                for part in torch.randperm(len(rows)).split(a.minibatch_size):
                    now_logprobs, now_hidden = logprobs(rows[part])
                    value = values(now_hidden)
                    ratio = (now_logprobs - old[part]).exp()
                    credit = advantages[part]
                    policy_loss = torch.max(-credit * ratio, -credit * ratio.clamp(0.8, 1.2)).mean()
                    clipped = old_values[part] + (value - old_values[part]).clamp(-0.2, 0.2)
                    value_loss = 0.5 * torch.max((value - returns[part]) ** 2, (clipped - returns[part]) ** 2).mean()
                    (policy_loss + 0.25 * value_loss).backward()
                    torch.nn.utils.clip_grad_norm_(params, 1.0)
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)

        clock.run("update", update)
        return rows.numel() - prompts.numel(), float(old.mean())

    torch.manual_seed(1)
    times, phases, made, means = [], [], [], []
    for _ in range(a.warmup + a.steps):
        clock, start = Clock(), now()
        count, mean = iteration(clock)
        times.append(since(start))
        phases.append({name: cpu for name, (_, cpu) in clock.seconds.items()})
        made.append(count)
        means.append(mean)
    return times, phases, made, means


def run_trl(a, prompts):
    from datasets import Dataset
    from peft import inject_adapter_in_model
    try:
        from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer as module
    except ImportError:
        raise SystemExit("this trl has no PPO (it went with 1.13.0): put trl 1.12.0 first on PYTHONPATH")
    policy = load(a)
    critic = load(a, cls=transformers.AutoModelForSequenceClassification, num_labels=1)
    for p in critic.parameters():
        p.requires_grad_(False)
    inject_adapter_in_model(lora_config(a, "SEQ_CLS"), critic)
    critic.score.requires_grad_(True)

    class Backbone(torch.nn.Module):
        def forward(self, input_ids, **kw):
            return type("Output", (), {"hidden_states": [(input_ids.float() % 7 / 7)[..., None]]})()

    class Reward(torch.nn.Module):
        base_model_prefix = "backbone"

        def __init__(self):
            super().__init__()
            self.backbone, self.score = Backbone(), torch.nn.Identity()

    clock, marks = Clock(), []
    plain = {name: getattr(module, name) for name in ("batch_generation", "forward", "get_reward")}
    module.batch_generation = lambda *x, **k: clock.run("rollout", plain["batch_generation"], *x, **k)
    module.get_reward = lambda *x, **k: clock.run("values", plain["get_reward"], *x, **k)
    module.forward = lambda *x, **k: (plain["forward"](*x, **k) if torch.is_grad_enabled()
                                      else clock.run("reference", plain["forward"], *x, **k))

    class Mark(transformers.TrainerCallback):
        def on_train_begin(self, *x, **k):
            marks.append((now(), {}))

        def on_step_end(self, *x, **k):
            marks.append((now(), dict(clock.seconds)))

    tokenizer = transformers.AutoTokenizer.from_pretrained(a.model, padding_side="left")
    iterations, rows = a.warmup + a.steps, prompts.tolist()
    with tempfile.TemporaryDirectory() as folder:
        config = PPOConfig(
            output_dir=folder, per_device_train_batch_size=len(rows), gradient_accumulation_steps=1,
            num_mini_batches=len(rows) // a.minibatch_size, num_ppo_epochs=a.epochs, response_length=a.new,
            temperature=1.0, total_episodes=len(rows) * iterations, local_rollout_forward_batch_size=len(rows),
            num_sample_generations=0, bf16=a.amp, gradient_checkpointing=False, report_to="none", save_strategy="no",
            use_cpu=True, learning_rate=a.learning_rate, logging_steps=1000, disable_tqdm=True,
            dataloader_pin_memory=False)
        trainer = PPOTrainer(
            args=config, processing_class=tokenizer, model=policy, ref_model=None, reward_model=Reward(),
            train_dataset=Dataset.from_dict({"input_ids": rows * iterations}), value_model=critic,
            eval_dataset=Dataset.from_dict({"input_ids": rows}),
            data_collator=lambda xs: {"input_ids": torch.tensor([x["input_ids"] for x in xs])},
            peft_config=lora_config(a, "CAUSAL_LM"), callbacks=[Mark()])
        trainer.train()
    times, phases = [], []
    for (start, before), (end, after) in zip(marks, marks[1:]):
        times.append(tuple(y - x for x, y in zip(start, end)))
        cpu = {name: spent - before.get(name, (0, 0))[1] for name, (_, spent) in after.items()}
        phases.append({**cpu, "update and rest": times[-1][1] - sum(cpu.values())})
    return times, phases, [len(rows) * a.new] * iterations, []


def main():
    a = job(__doc__, ("loop", "trl"))
    prompts = torch.tensor([r["input_ids"] for r in records(a)])
    times, phases, made, means = (run_loop if a.impl == "loop" else run_trl)(a, prompts)
    median = lambda name: sorted(p[name] for p in phases[a.warmup:])[a.steps // 2]
    emit(a, times[a.warmup:], tokens=made[a.warmup:], mean_logprob=means,
         phases={name: round(median(name), 4) for name in phases[0]})


if __name__ == "__main__":
    main()
