"""The examples of affine.tensor again in PyTorch: what tests/lua/tensor/examples.lua compares them with.

    python scripts/dev/peer/tensor_examples.py > tests/golden/tensor/examples.json

Needs torch 2.11. The weights, the data and the draws come from the seeds that the Lua scripts use, the text from the
Lua script itself.
"""

import json
import math
import re
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

EXAMPLES = Path(__file__).parent.parent / "examples"


def randn(seed, *shape):
    torch.manual_seed(seed)
    return torch.randn(shape)


def rand(seed, *shape):
    torch.manual_seed(seed)
    return torch.rand(shape)


def two_layer_net():
    points, hidden, steps = 400, 32, 200

    def data(seed):
        x = 2 * rand(seed, points, 2) - 1
        return x, (x.square().sum(1) < 0.7**2).long()

    def layer(outputs, inputs, seed):
        weight = randn(seed, outputs, inputs) / math.sqrt(inputs)
        return weight.requires_grad_(True), torch.zeros(outputs, requires_grad=True)

    (w1, b1), (w2, b2) = layer(hidden, 2, 1), layer(2, hidden, 2)

    def net(x):
        return F.linear(torch.tanh(F.linear(x, w1, b1)), w2, b2)

    x, labels = data(3)
    optimizer = torch.optim.AdamW([w1, b1, w2, b2], lr=0.02)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    unseen, answers = data(4)
    return {"losses": losses, "accuracy": (net(unseen).argmax(1) == answers).float().mean().item()}


def char_lm():
    context, batch, width, heads, steps = 32, 16, 48, 4, 150
    text = re.search(r"\[\[\n(.*?)\]\]", (EXAMPLES / "char_lm.lua").read_text(), re.S).group(1)
    characters = list(dict.fromkeys(text))
    ids = torch.tensor([characters.index(c) for c in text])

    shapes = {
        "token": ((len(characters), width), 0.3),
        "place": ((context, width), 0.3),
        "qkv": ((3 * width, width), width**-0.5),
        "out": ((width, width), width**-0.5),
        "up": ((4 * width, width), width**-0.5),
        "down": ((width, 4 * width), (4 * width) ** -0.5),
        "head": ((len(characters), width), width**-0.5),
    }
    p = {}
    for seed, (name, (shape, deviation)) in enumerate(shapes.items(), 1):
        p[name] = (randn(seed, *shape) * deviation).requires_grad_(True)
    for name in ("norm1", "norm2", "norm3"):
        p[name] = torch.ones(width, requires_grad=True)

    def norm(x, weight):
        return F.rms_norm(x, (width,), weight, 1e-6)

    def model(inputs):
        rows, length = inputs.shape
        x = F.embedding(inputs, p["token"]) + p["place"][:length]
        qkv = F.linear(norm(x, p["norm1"]), p["qkv"])
        q, k, v = (t.reshape(rows, length, heads, -1).transpose(1, 2) for t in qkv.chunk(3, -1))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.linear(attended.transpose(1, 2).reshape(rows, length, width), p["out"])
        x = x + F.linear(F.gelu(F.linear(norm(x, p["norm2"]), p["up"])), p["down"])
        return F.linear(norm(x, p["norm3"]), p["head"])

    optimizer = torch.optim.AdamW(p.values(), lr=0.01, weight_decay=0)
    losses = []
    for step in range(1, steps + 1):
        torch.manual_seed(1000 + step)
        starts = torch.randint(0, len(ids) - context, (batch, 1))
        window = ids[starts + torch.arange(context + 1)]
        logits = model(window[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), 1)
        optimizer.step()
        losses.append(loss.item())
    return {"losses": losses, "characters": len(characters)}


def push(state, right):
    x, speed, angle, turn = state
    gravity, cart, pole, half = 9.8, 1.0, 0.1, 0.5
    total, force = cart + pole, 10.0 if right else -10.0
    sin, cos = math.sin(angle), math.cos(angle)
    thrust = (force + pole * half * turn * turn * sin) / total
    turning = (gravity * sin - cos * thrust) / (half * (4 / 3 - pole * cos * cos / total))
    moving = thrust - pole * half * turning * cos / total
    dt = 0.02
    return [x + dt * speed, speed + dt * moving, angle + dt * turn, turn + dt * turning]


def policy_gradient():
    carts, max_steps, iterations, gamma = 8, 200, 40, 0.99
    w1 = (randn(1, 32, 4) / 2).requires_grad_(True)
    b1 = torch.zeros(32, requires_grad=True)
    w2 = (randn(2, 2, 32) / 32).requires_grad_(True)
    b2 = torch.zeros(2, requires_grad=True)

    def policy(states):
        return F.linear(torch.tanh(F.linear(states, w1, b1)), w2, b2).log_softmax(-1)

    optimizer = torch.optim.AdamW([w1, b1, w2, b2], lr=0.02, weight_decay=0)
    history = []
    for iteration in range(1, iterations + 1):
        beginnings = (rand(2 * iteration, carts, 4) * 0.1 - 0.05).tolist()
        draws = rand(2 * iteration + 1, max_steps, carts).tolist()
        episodes = [([], []) for _ in range(carts)]
        running = list(enumerate(beginnings))
        for step in range(max_steps):
            if not running:
                break
            with torch.no_grad():
                right = policy(torch.tensor([state for _, state in running]))[:, 1].exp().tolist()
            still = []
            for (cart, state), chance in zip(running, right):
                action = int(draws[step][cart] < chance)
                episodes[cart][0].append(state)
                episodes[cart][1].append(action)
                state = push(state, action == 1)
                if not (abs(state[0]) > 2.4 or abs(state[2]) > 12 * math.pi / 180):
                    still.append((cart, state))
            running = still
        states = torch.tensor([state for states, _ in episodes for state in states])
        actions = torch.tensor([action for _, actions in episodes for action in actions])
        gains = torch.tensor(
            [
                (1 - gamma ** (len(actions) - i)) / (1 - gamma)
                for _, actions in episodes
                for i in range(len(actions))
            ]
        )
        advantages = (gains - gains.mean()) / (gains.std() + 1e-6)
        loss = -(policy(states).gather(1, actions[:, None])[:, 0] * advantages).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps = sum(len(actions) / carts for _, actions in episodes)
        history.append({"loss": loss.item(), "steps": steps, "right": actions.float().mean().item()})
    return history


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


results = {f.__name__: f() for f in (two_layer_net, char_lm, policy_gradient)}
json.dump(rounded({"torch": torch.__version__} | results), sys.stdout, indent=None, separators=(",", ":"))
