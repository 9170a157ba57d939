"""Numbers of PyTorch for tests/lua/tensor/torch.lua: what each function gives, and the gradients of its inputs.

    python scripts/dev/peer/tensor_functions.py > tests/golden/tensor/functions.json

Needs torch 2.11. Inputs are drawn from seeds, so that both sides have the same ones; a gradient is that of the sum of
the output times a tensor drawn from the seed 99.
"""

import json
import sys

import torch
import torch.nn.functional as F

CASES = []


def draw(kind, shape, seed, high=None):
    torch.manual_seed(seed)
    if kind == "randint":
        return torch.randint(0, high, shape)
    return torch.randn(shape) if kind == "randn" else torch.rand(shape)


def numbers(tensor):
    return [float(f"{x:.9g}") for x in tensor.to(torch.float64).flatten().tolist()]


def case(name, function, *inputs):
    tensors = [draw(*each) for each in inputs]
    floats = [t for t in tensors if t.is_floating_point()]
    for t in floats:
        t.requires_grad_(True)
    output = function(*tensors)
    torch.manual_seed(99)
    weights = torch.randn(output.shape)
    gradients = []
    if output.requires_grad:
        (output * weights).sum().backward()
        gradients = [numbers(t.grad) if t.grad is not None else [] for t in floats]
    described = [dict(zip(("kind", "shape", "seed", "high"), (k, list(s), n, *rest))) for k, s, n, *rest in inputs]
    CASES.append(
        {
            "name": name,
            "inputs": described,
            "shape": list(output.shape),
            "output": numbers(output.detach()),
            "gradients": gradients,
        }
    )


def normal(*shape, seed=1):
    return ("randn", shape, seed)


def uniform(*shape, seed=1):
    return ("rand", shape, seed)


def whole(high, *shape, seed=7):
    return ("randint", shape, seed, high)


# Functions of every value, under the name that both sides share.
for name in (
    "abs sign square exp expm1 floor ceil round trunc sin cos tan atan sinh cosh tanh erf sigmoid relu isfinite "
    "logical_not".split()
):
    case(name, getattr(torch, name), normal(2, 5))
for name in "sqrt rsqrt reciprocal log log1p log2 log10 asin acos".split():
    case(name, getattr(torch, name), uniform(2, 5))
for name in "silu softplus elu gelu".split():
    case(name, getattr(F, name), normal(2, 5))
case("log_sigmoid", F.logsigmoid, normal(2, 5))
case("gelu tanh", lambda x: F.gelu(x, approximate="tanh"), normal(2, 5))
case("leaky_relu 0.2", lambda x: F.leaky_relu(x, 0.2), normal(2, 5))
case("clamp", lambda x: x.clamp(-0.5, 0.5), normal(2, 5))

# Operators and functions of pairs.
pair = (normal(2, 5), normal(5, seed=2))
case("+", lambda a, b: a + b, *pair)
case("-", lambda a, b: a - b, *pair)
case("*", lambda a, b: a * b, *pair)
case("/", lambda a, b: a / b, *pair)
case("//", lambda a, b: a.detach() // b.detach(), *pair)
case("%", lambda a, b: a % b, *pair)
case("^", lambda a, b: a**b, uniform(2, 5), normal(5, seed=2))
case("2 -", lambda a: 2 - a, normal(2, 5))
case("2 /", lambda a: 2 / a, normal(2, 5))
case("2 //", lambda a: 2 // a.detach(), normal(2, 5))
case("2 %", lambda a: torch.remainder(torch.tensor(2.0), a), normal(2, 5))
case("2 ^", lambda a: 2**a, normal(2, 5))
case("& |", lambda a, b: (a & 6) | (b & 3), whole(100, 4), whole(100, 4, seed=8))
case("~", lambda a, b: (~a) ^ b, whole(100, 4), whole(100, 4, seed=8))
case("maximum", torch.maximum, *pair)
case("minimum", torch.minimum, *pair)
case("where", lambda a, b: torch.where(a > b, a, b * 2), *pair)
case("lerp", lambda a, b: torch.lerp(a, b, 0.3), normal(2, 5), normal(2, 5, seed=2))
case("matmul", torch.matmul, normal(3, 2, 4), normal(4, 5, seed=2))
case("bmm", torch.bmm, normal(3, 2, 4), normal(3, 4, 2, seed=2))
case("dot", torch.dot, normal(5), normal(5, seed=2))
case("outer", torch.outer, normal(3), normal(2, seed=2))
case("einsum", lambda a, b: torch.einsum("bij,kj->bk", a, b), normal(3, 2, 4), normal(5, 4, seed=2))

# Reductions and orders.
block = normal(3, 4, 2)
for name in "sum mean prod var std logsumexp".split():
    case(name + " 2", lambda x, f=getattr(torch, name): f(x, dim=1), block)
for name in "max min".split():
    case(name + " 2", lambda x, f=getattr(torch, name): f(x, dim=1).values, block)
for name in "sum mean var std prod max min median".split():
    case(name, lambda x, f=getattr(torch, name): f(x), block)
case("sum 1 3", lambda x: x.sum(dim=(0, 2), keepdim=True), block)
case("var 1 3", lambda x: x.var(dim=(0, 2), correction=0), block)
case("norm", lambda x: x.norm(), block)
case("norm 1 2", lambda x: x.norm(1, dim=1), block)
case("cumsum", lambda x: x.cumsum(1), block)
case("cumprod", lambda x: x.cumprod(1), block)
case("softmax", lambda x: x.softmax(1), block)
case("log_softmax", lambda x: x.log_softmax(-1), block)
case("median 2", lambda x: x.median(dim=1).values, block)
case("sort", lambda x: x.sort(dim=1, descending=True).values, block)
case("argsort", lambda x: x.argsort(dim=1), block)
case("argmin", lambda x: x.argmin(dim=1), block)
case("topk", lambda x: x.topk(2, dim=1).values, block)
case("smallest", lambda x: x.topk(2, dim=1, largest=False).indices, block)
case("all", lambda x: (x > -1).all(dim=1), block)
case("any", lambda x: (x > 1).any(dim=1), block)
case("unique", lambda x: x.unique(), whole(4, 3, 3))
case("nonzero", lambda x: x.nonzero(), whole(2, 3, 3))

# Parts and shapes.
case("at", lambda x: x[1, :, -1], block)
case("range", lambda x: x[:, 1:4:2], block)
case("index", lambda x, i: x[i], block, whole(3, 2, 2))
case("index after a range", lambda x, i: x[0:2, i], block, whole(4, 3))
case("two indices", lambda x, i, j: x[i, :, j], block, whole(3, 2), whole(2, 2, seed=8))
case("mask", lambda x: x[x > 0], block)
case("mask after a position", lambda x: x[1, x[1] > 0], block)
case("gather", lambda x, i: x.gather(1, i), block, whole(4, 3, 2, 2))
case("index_select", lambda x, i: x.index_select(1, i), block, whole(4, 5))
case("index_add", lambda x, i, s: x.index_add(0, i, s), normal(3, 2), whole(3, 4), normal(4, 2, seed=2))
case("scatter", lambda x, s: x.scatter(1, torch.tensor([[2, 0], [1, 3]]), s), normal(2, 4), normal(2, 2, seed=2))
case("scatter_add", lambda x, i, s: x.scatter_add(0, i, s), normal(3, 2), whole(3, 4, 2), normal(4, 2, seed=2))
case("masked_fill", lambda x: x.masked_fill(x > 0, -7.0), block)
case("masked_select", lambda x: x.masked_select(x > 0), block)
case("one_hot", lambda x: F.one_hot(x, 4), whole(4, 2, 3))
case("permute", lambda x: x.permute(2, 0, 1), block)
case("flip", lambda x: x.flip(0, 2), block)
case("roll", lambda x: x.roll(-1, 1), block)
case("tril", lambda x: x.tril(-1), normal(4, 4))
case("triu", lambda x: x.triu(1), normal(4, 4))
case("diagonal", lambda x: x.diagonal(1), normal(4, 4))
case("expand", lambda x: x.expand(2, 3, 4), normal(3, 1))
case("tile", lambda x: x.tile(2, 1, 2), normal(3, 2))
case("repeat_interleave", lambda x: x.repeat_interleave(2, 1), normal(3, 2))
case("flatten", lambda x: x.flatten(1), block)
case("chunk", lambda x: x.chunk(3, 1)[1], block)
case("split", lambda x: x.split([1, 3], 1)[1], block)
case("unbind", lambda x: x.unbind(1)[2], block)
case("cat", lambda a, b: torch.cat((a, b), 1), normal(2, 3), normal(2, 1, seed=2))
case("stack", lambda a, b: torch.stack((a, b), 1), normal(2, 3), normal(2, 3, seed=2))


def assigned(x, y):
    z = x * 1
    z[0] = 0.5
    z[1:3, -1] = y
    z[z > 1] = 1
    return z


case("assignment", assigned, normal(4, 3), normal(2, seed=2))

# Layers and losses.
x, q, k, v = normal(2, 5, 4), normal(2, 3, 5, 4), normal(2, 3, 6, 4, seed=2), normal(2, 3, 6, 2, seed=3)
logits, labels = normal(6, 5), whole(5, 6)
case("embedding", lambda w, i: F.embedding(i, w), normal(5, 3), whole(5, 2, 4))
case("linear", F.linear, x, normal(3, 4, seed=2), normal(3, seed=3))
case("layer_norm", lambda x, w, b: F.layer_norm(x, (4,), w, b), x, normal(4, seed=2), normal(4, seed=3))
case("layer_norm 2", lambda x, w: F.layer_norm(x, (5, 4), w, None, 0.1), x, normal(5, 4, seed=2))
case("layer_norm plain", lambda x: F.layer_norm(x, (4,)), x)
case("rms_norm", lambda x, w: F.rms_norm(x, (4,), w, 1e-6), x, normal(4, seed=2))
case("rms_norm plain", lambda x: F.rms_norm(x, (4,)), x)
case("attention", F.scaled_dot_product_attention, q, k, v)
case("attention causal", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), q, q[:2] + (2,), q[:2] + (3,))
case("attention mask", lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m > 0), q, k, v, whole(2, 5, 6))
case("attention scores", lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m, scale=0.7), q, k, v, normal(5, 6, seed=4))
case("cross_entropy", F.cross_entropy, logits, labels)
case("cross_entropy sum", lambda x, y: F.cross_entropy(x, y, reduction="sum", label_smoothing=0.1), logits, labels)
case("cross_entropy none", lambda x, y: F.cross_entropy(x, y, reduction="none", ignore_index=2), logits, labels)
case("cross_entropy ignore", lambda x, y: F.cross_entropy(x, y, ignore_index=2), logits, labels)
case("cross_entropy 3", F.cross_entropy, normal(2, 5, 3), whole(5, 2, 3))
case("cross_entropy probabilities", lambda x, p: F.cross_entropy(x, p.softmax(1)), logits, normal(6, 5, seed=2))
case("nll_loss", lambda x, y: F.nll_loss(x.log_softmax(1), y, ignore_index=2), logits, labels)
case("mse_loss", F.mse_loss, normal(3, 2), normal(3, 2, seed=2))
case("mse_loss none", lambda a, b: F.mse_loss(a, b, reduction="none"), normal(3, 2), normal(3, 2, seed=2))
case("l1_loss", F.l1_loss, normal(3, 2), normal(3, 2, seed=2))
case("smooth_l1_loss", lambda a, b: F.smooth_l1_loss(a, b, beta=0.5, reduction="sum"), normal(3, 2), normal(3, 2, seed=2))
case("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, normal(3, 2), uniform(3, 2, seed=2))
case("kl_div", lambda a, b: F.kl_div(a.log_softmax(1), b.softmax(1), reduction="batchmean"), normal(3, 4), normal(3, 4, seed=2))
case("kl_div log", lambda a, b: F.kl_div(a.log_softmax(1), b.log_softmax(1), reduction="sum", log_target=True), normal(3, 4), normal(3, 4, seed=2))


# Draws: the same numbers after the same seed.
def drawn(name, function, *inputs):
    def seeded(*tensors):
        torch.manual_seed(5)
        return function(*tensors)

    case(name, seeded, *inputs)


drawn("rand", lambda: torch.rand(2, 9))
drawn("randn", lambda: torch.randn(2, 9))
drawn("normal", lambda: torch.normal(1.5, 2.0, (20,)))
drawn("randint", lambda: torch.randint(-3, 10, (20,)))
drawn("randperm", lambda: torch.randperm(20))
drawn("bernoulli", lambda p: torch.bernoulli(p.detach()), uniform(20))
drawn("multinomial", lambda p: torch.multinomial(p.detach(), 4), uniform(3, 6))
drawn("multinomial again", lambda p: torch.multinomial(p.detach(), 9, replacement=True), uniform(3, 6))
drawn("dropout", lambda x: F.dropout(x, 0.3), normal(4, 9))

# Optimizers: six steps on one small regression, clipped in the second half.
def fitted(make, dtype=torch.float32):
    x, y = draw("randn", (16, 3), 1), draw("randn", (16, 2), 2)
    w = (draw("randn", (3, 2), 3)).to(dtype).requires_grad_(True)
    b = torch.zeros(2, dtype=dtype, requires_grad=True)
    optimizer = make([w, b])
    losses, norms = [], []
    for step in range(6):
        loss = F.mse_loss(torch.tanh(x.to(dtype) @ w + b), y.to(dtype))
        optimizer.zero_grad()
        loss.backward()
        if step >= 3:
            norms.append(torch.nn.utils.clip_grad_norm_([w, b], 0.1).item())
        optimizer.step()
        losses.append(loss.item())
    return {"losses": losses, "norms": norms, "w": numbers(w.detach()), "b": numbers(b.detach())}


OPTIMIZERS = {
    "sgd": fitted(lambda p: torch.optim.SGD(p, lr=0.1)),
    "sgd decay": fitted(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05)),
    "sgd nesterov": fitted(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    "adamw": fitted(lambda p: torch.optim.AdamW(p, lr=0.01)),
    "adamw betas": fitted(lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    "adamw float64": fitted(lambda p: torch.optim.AdamW(p, lr=0.01), torch.float64),
}

json.dump({"torch": torch.__version__, "cases": CASES, "optimizers": OPTIMIZERS}, sys.stdout, indent=None, separators=(",", ":"))
