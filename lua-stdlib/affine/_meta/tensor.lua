---@meta affine.tensor

--- libtorch's tensors for loops written in Lua: arithmetic, parts, gradients, layers, losses, optimizers.
---
--- Positions (dimensions, indices, ranges) count from 1, -1 is the last. Values inside tensors (class labels, token
--- ids, what `argmax` gives and `gather` takes) count from 0, as libtorch's own do. Names, layouts and defaults are
--- PyTorch's where nothing else is said. Functions of one tensor are its methods, functions of several are here.
---
--- What does not fit is an error that names the function and both shapes, dtypes or devices. Tensors of different
--- dtypes meet by element as in PyTorch (the wider wins); products, layers and losses want one dtype. All tensors of a
--- call are on one device, except single numbers. A tensor that memory cannot hold is refused before it is made.
---@class affine.tensor
local tensor = {}

---@alias affine.tensor.Dtype
---| "float32"
---| "bfloat16"
---| "float16"
---| "float64"
---| "int64"
---| "int32"
---| "int16"
---| "int8"
---| "uint8"
---| "bool"

---@class affine.tensor.Options
---@field dtype? affine.tensor.Dtype "float32" by default, for Lua's 1 as for 1.0.
---@field device? string `cpu` (the default), `auto` (CUDA where there is one), `cuda` or `cuda:N`.
---@field requires_grad? boolean Whether `backward` leaves a gradient here.

-- New tensors

--- A tensor of a number, a boolean, or lists of them nested as deep as it has dimensions. Booleans become "bool" where
--- no dtype is given. A number that an integer dtype cannot hold is an error.
---@param value number|boolean|table
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.new(value, options) end

---@param shape integer[]
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.zeros(shape, options) end

---@param shape integer[]
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.ones(shape, options) end

--- The same value everywhere.
---@param shape integer[]
---@param value number|boolean
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.full(shape, value, options) end

--- Zeros in the shape of another tensor, with its dtype and on its device unless the options say otherwise. So for the
--- other two.
---@param tensor affine.tensor.Tensor
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.zeros_like(tensor, options) end

---@param tensor affine.tensor.Tensor
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.ones_like(tensor, options) end

---@param tensor affine.tensor.Tensor
---@param value number|boolean
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.full_like(tensor, value, options) end

--- Ones on the diagonal of [n, m] and zeros elsewhere; m is n where it is not given.
---@overload fun(n: integer, options?: affine.tensor.Options): affine.tensor.Tensor
---@param n integer
---@param m integer
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.eye(n, m, options) end

--- start, start + step, … as long as they are below stop (above it for a negative step).
---@overload fun(stop: number, options?: affine.tensor.Options): affine.tensor.Tensor
---@overload fun(start: number, stop: number, options?: affine.tensor.Options): affine.tensor.Tensor
---@param start number 0 where only stop is given.
---@param stop number
---@param step number 1 where it is not given.
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.arange(start, stop, step, options) end

--- So many numbers at equal distances, both ends included.
---@param start number
---@param stop number
---@param steps integer
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.linspace(start, stop, steps, options) end

-- Random numbers. Each draw has its own seed: it gives the numbers of PyTorch on the CPU after
-- `torch.manual_seed(seed)`, whatever the device and whatever was drawn before.

---@class affine.tensor.DrawOptions: affine.tensor.Options
---@field seed integer Required.

--- Uniform numbers in [0, 1).
---@param shape integer[]
---@param options affine.tensor.DrawOptions
---@return affine.tensor.Tensor
function tensor.rand(shape, options) end

--- Normal numbers with mean 0 and standard deviation 1.
---@param shape integer[]
---@param options affine.tensor.DrawOptions
---@return affine.tensor.Tensor
function tensor.randn(shape, options) end

--- `rand` in the shape, the dtype and on the device of another tensor.
---@param tensor affine.tensor.Tensor
---@param options affine.tensor.DrawOptions
---@return affine.tensor.Tensor
function tensor.rand_like(tensor, options) end

--- `randn` in the shape, the dtype and on the device of another tensor.
---@param tensor affine.tensor.Tensor
---@param options affine.tensor.DrawOptions
---@return affine.tensor.Tensor
function tensor.randn_like(tensor, options) end

--- Normal numbers with this mean and standard deviation.
---@param mean number
---@param std number At least 0.
---@param shape integer[]
---@param options affine.tensor.DrawOptions
---@return affine.tensor.Tensor
function tensor.normal(mean, std, shape, options) end

--- Integers from low to high - 1, all as likely; int64 where no dtype is given.
---@param low integer
---@param high integer
---@param shape integer[]
---@param options affine.tensor.DrawOptions
---@return affine.tensor.Tensor
function tensor.randint(low, high, shape, options) end

--- The integers from 0 to n - 1 in random order, as an index; int64 where no dtype is given.
---@param n integer
---@param options affine.tensor.DrawOptions
---@return affine.tensor.Tensor
function tensor.randperm(n, options) end

-- Functions of several tensors

--- Joins tensors along a dimension that they have (the first by default).
---@param tensors affine.tensor.Tensor[]
---@param dim? integer
---@return affine.tensor.Tensor
function tensor.cat(tensors, dim) end

--- Joins tensors of one shape along a new dimension, which stands at `dim` (first by default).
---@param tensors affine.tensor.Tensor[]
---@param dim? integer
---@return affine.tensor.Tensor
function tensor.stack(tensors, dim) end

--- `a` where the condition is true, `b` elsewhere; all broadcast. At least one of `a` and `b` is a tensor.
---@param condition affine.tensor.Tensor bool
---@param a affine.tensor.Tensor|number
---@param b affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function tensor.where(condition, a, b) end

--- The larger value of each pair.
---@param a affine.tensor.Tensor
---@param b affine.tensor.Tensor
---@return affine.tensor.Tensor
function tensor.maximum(a, b) end

--- The smaller value of each pair.
---@param a affine.tensor.Tensor
---@param b affine.tensor.Tensor
---@return affine.tensor.Tensor
function tensor.minimum(a, b) end

--- a + weight · (b - a).
---@param a affine.tensor.Tensor
---@param b affine.tensor.Tensor
---@param weight affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function tensor.lerp(a, b, weight) end

--- Products summed along the letters that the right side of the equation leaves out: `tensor.einsum("bij,kj->bik",
--- { a, b })`.
---@param equation string
---@param tensors affine.tensor.Tensor[]
---@return affine.tensor.Tensor
function tensor.einsum(equation, tensors) end

-- Layers

--- The rows of `weight` [rows, size] that an index of any shape tells, counted from 0: [.., size].
---@param weight affine.tensor.Tensor
---@param index affine.tensor.Tensor int64
---@return affine.tensor.Tensor
function tensor.embedding(weight, index) end

--- `x` [.., in] by the transpose of `weight` [out, in], plus `bias` [out]: [.., out].
---@param x affine.tensor.Tensor
---@param weight affine.tensor.Tensor
---@param bias? affine.tensor.Tensor
---@return affine.tensor.Tensor
function tensor.linear(x, weight, bias) end

---@class affine.tensor.NormOptions
---@field eps? number What is added below the root. 1e-5 for `layer_norm`; for `rms_norm` the distance of 1 to the next
--- number of the dtype.

--- The last dimensions of `x`, as many as `weight` has (one without a weight), brought to mean 0 and variance 1, times
--- `weight`, plus `bias`.
---@param x affine.tensor.Tensor
---@param weight? affine.tensor.Tensor
---@param bias? affine.tensor.Tensor
---@param options? affine.tensor.NormOptions
---@return affine.tensor.Tensor
function tensor.layer_norm(x, weight, bias, options) end

--- The last dimensions of `x`, as many as `weight` has (one without a weight), over the root of their mean square,
--- times `weight`.
---@param x affine.tensor.Tensor
---@param weight? affine.tensor.Tensor
---@param options? affine.tensor.NormOptions
---@return affine.tensor.Tensor
function tensor.rms_norm(x, weight, options) end

---@class affine.tensor.AttentionOptions
---@field causal? boolean Row i sees the keys up to the i-th. Not together with a mask.
---@field mask? affine.tensor.Tensor Broadcast to [.., l, s]: booleans, where true lets a key be seen, or numbers that
--- are added to the scores.
---@field scale? number What scores are multiplied by, 1 / √e by default.

--- softmax(query · keyᵀ · scale) · value over [.., l, e], [.., s, e] and [.., s, v]: [.., l, v]. libtorch's
--- `scaled_dot_product_attention`, without dropout.
---@param query affine.tensor.Tensor
---@param key affine.tensor.Tensor
---@param value affine.tensor.Tensor
---@param options? affine.tensor.AttentionOptions
---@return affine.tensor.Tensor
function tensor.attention(query, key, value, options) end

-- Losses

---@alias affine.tensor.Reduction "mean"|"sum"|"none"

---@class affine.tensor.NllOptions
---@field ignore_index? integer Labels of this value count for nothing, in a mean too. -100 by default.
---@field reduction? affine.tensor.Reduction "mean" by default.

---@class affine.tensor.CrossEntropyOptions: affine.tensor.NllOptions
---@field label_smoothing? number The share of each label that is spread over all classes, from 0 (the default) to 1.

--- The cross entropy of logits [classes], [n, classes] or [n, classes, ..]. Labels are classes counted from 0, in the
--- logits' shape without the classes, or probabilities in the logits' shape. The mean over no labels at all is NaN.
---@param logits affine.tensor.Tensor
---@param labels affine.tensor.Tensor int64, or a dtype like the logits'
---@param options? affine.tensor.CrossEntropyOptions
---@return affine.tensor.Tensor
function tensor.cross_entropy(logits, labels, options) end

--- As `cross_entropy`, of log-probabilities and classes.
---@param logprobs affine.tensor.Tensor
---@param labels affine.tensor.Tensor int64
---@param options? affine.tensor.NllOptions
---@return affine.tensor.Tensor
function tensor.nll_loss(logprobs, labels, options) end

---@class affine.tensor.LossOptions
---@field reduction? affine.tensor.Reduction "mean" by default.

--- The squared differences. Both tensors have one shape, as for the losses below: nothing is broadcast.
---@param input affine.tensor.Tensor
---@param target affine.tensor.Tensor
---@param options? affine.tensor.LossOptions
---@return affine.tensor.Tensor
function tensor.mse_loss(input, target, options) end

--- The absolute differences.
---@param input affine.tensor.Tensor
---@param target affine.tensor.Tensor
---@param options? affine.tensor.LossOptions
---@return affine.tensor.Tensor
function tensor.l1_loss(input, target, options) end

---@class affine.tensor.SmoothOptions: affine.tensor.LossOptions
---@field beta? number Where the two parts meet, 1 by default.

--- Half the squared differences over beta where they are below it, the absolute ones less half of beta beyond.
---@param input affine.tensor.Tensor
---@param target affine.tensor.Tensor
---@param options? affine.tensor.SmoothOptions
---@return affine.tensor.Tensor
function tensor.smooth_l1_loss(input, target, options) end

--- The cross entropy of probabilities `target` under the sigmoid of `input`.
---@param input affine.tensor.Tensor
---@param target affine.tensor.Tensor
---@param options? affine.tensor.LossOptions
---@return affine.tensor.Tensor
function tensor.binary_cross_entropy_with_logits(input, target, options) end

---@class affine.tensor.KlOptions
---@field reduction? affine.tensor.Reduction|"batchmean" "mean" by default, over all elements. "batchmean" divides the
--- sum by the size of the first dimension, which is what the definition means.
---@field log_target? boolean Whether `target` holds log-probabilities too.

--- KL(target ‖ input) by element, where `input` holds log-probabilities.
---@param input affine.tensor.Tensor
---@param target affine.tensor.Tensor
---@param options? affine.tensor.KlOptions
---@return affine.tensor.Tensor
function tensor.kl_div(input, target, options) end

-- Gradients

---@class affine.tensor.GradOptions
---@field create_graph? boolean Whether the gradients can be gone back from themselves. false by default.
---@field retain_graph? boolean Whether the way back stays for another time; as `create_graph` by default.

--- The gradients of one value with respect to a tensor, or to each of a list. The inputs need not be leaves; what
--- `t:grad()` gives stays as it is. An input that the output was not computed from is an error.
---@overload fun(output: affine.tensor.Tensor, input: affine.tensor.Tensor, options?: affine.tensor.GradOptions): affine.tensor.Tensor
---@param output affine.tensor.Tensor One value.
---@param inputs affine.tensor.Tensor[]
---@param options? affine.tensor.GradOptions
---@return affine.tensor.Tensor[]
function tensor.grad(output, inputs, options) end

--- Calls a function inside which nothing is recorded for `backward`. What it returns or raises passes through.
---@generic T
---@param body fun(): T
---@return T
function tensor.no_grad(body) end

--- Calls a function inside which everything is recorded for `backward`, in the middle of a `no_grad` too.
---@generic T
---@param body fun(): T
---@return T
function tensor.enable_grad(body) end

-- Optimizers

---@alias affine.tensor.Parameters affine.tensor.Tensor[]|table<string, affine.tensor.Tensor>

---@class affine.tensor.SgdOptions
---@field learning_rate number Required; at least 0.
---@field momentum? number 0 by default.
---@field weight_decay? number Added to the gradient, times the parameter. 0 by default.
---@field nesterov? boolean Only with a momentum.

--- PyTorch's `SGD` over leaves that require grad, each of them once; a list, or a table by name.
---@param params affine.tensor.Parameters
---@param options affine.tensor.SgdOptions
---@return affine.tensor.Optimizer
function tensor.sgd(params, options) end

---@class affine.tensor.AdamWOptions
---@field learning_rate? number 0.001 by default.
---@field betas? number[] { 0.9, 0.999 } by default.
---@field eps? number 1e-8 by default.
---@field weight_decay? number Taken from the parameter itself. 0.01 by default.

--- PyTorch's `AdamW`, over parameters as for `sgd`.
---@param params affine.tensor.Parameters
---@param options? affine.tensor.AdamWOptions
---@return affine.tensor.Optimizer
function tensor.adamw(params, options) end

--- The 2-norm of all gradients as one vector, which are scaled down to `max_norm` where it is larger. A norm that is no
--- finite number is returned with the gradients as they are.
---@param params affine.tensor.Parameters
---@param max_norm number Above 0.
---@return number
function tensor.clip_grad_norm(params, max_norm) end

-- Files

--- Writes tensors by name as a safetensors file.
---@param path string
---@param tensors table<string, affine.tensor.Tensor>
function tensor.save(path, tensors) end

--- The tensors of a safetensors file by name, on the CPU.
---@param path string
---@return table<string, affine.tensor.Tensor>
function tensor.load(path) end

--- An optimizer shares its parameters with the script and changes them in place. It keeps a float32 copy of float16 and
--- bfloat16 parameters, which is where small steps add up: whoever overwrites such a parameter makes a new optimizer.
---@class affine.tensor.Optimizer
local Optimizer = {}

--- One update of every parameter that has a gradient.
function Optimizer:step() end

--- Sets all gradients to zero.
function Optimizer:zero_grad() end

--- The rate of the next step, set first where one is given.
---@param rate? number
---@return number
function Optimizer:learning_rate(rate) end

--- Copies of all that decides the next step beside the parameters, for `tensor.save`: `learning_rate`, and per
--- parameter `<name>.momentum_buffer`, or `<name>.step`, `<name>.exp_avg` and `<name>.exp_avg_sq`, and `<name>.master`
--- for half precision. The names of a list are its positions.
---@return table<string, affine.tensor.Tensor>
function Optimizer:state() end

--- Goes on from a state as if it had not stopped. An error that changes nothing where the state belongs to other
--- parameters.
---@param state table<string, affine.tensor.Tensor>
function Optimizer:load_state(state) end

--- A tensor, or a view of another one's values.
---
--- `t[i]` is its i-th part along the first dimension. `t[{ ... }]` has one entry for each dimension, from the first on:
--- a position, `{ from, to }` with both ends, `{ from, to, step }`, `{}` for all, a mask of bool (over as many
--- dimensions as it has) or an index of int64, whose values count from 0. `t[mask]` and `t[index]` stand for `t[{ mask
--- }]` and `t[{ index }]`. Positions and ranges give views, masks and indices copies. On the left of `=` the part is
--- overwritten with a number or a tensor of the same dtype, broadcast to it.
---
--- `#t` is the size of the first dimension; `tostring(t)` shows shape, dtype and values (the outer ones of a large
--- tensor). Arithmetic goes by element and broadcasts; `//` and `%` round down as Lua's do; `&`, `|` and `~` are for
--- integers and booleans. `==` compares handles, `t:eq(other)` the values; `<` and `<=` are errors, as Lua would make
--- one boolean of them.
---@class affine.tensor.Tensor
---@field [integer] affine.tensor.Tensor
---@field [table] affine.tensor.Tensor
---@field [affine.tensor.Tensor] affine.tensor.Tensor
---@operator add(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator sub(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator mul(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator div(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator idiv(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator mod(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator pow(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator band(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator bor(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator bxor(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator unm: affine.tensor.Tensor
---@operator bnot: affine.tensor.Tensor
---@operator len: integer
local Tensor = {}

-- Functions of every value

---@return affine.tensor.Tensor
function Tensor:abs() end

--- -1, 0 or 1.
---@return affine.tensor.Tensor
function Tensor:sign() end

---@return affine.tensor.Tensor
function Tensor:square() end

---@return affine.tensor.Tensor
function Tensor:sqrt() end

--- 1 / sqrt(t).
---@return affine.tensor.Tensor
function Tensor:rsqrt() end

--- 1 / t.
---@return affine.tensor.Tensor
function Tensor:reciprocal() end

---@return affine.tensor.Tensor
function Tensor:exp() end

--- exp(t) - 1, precise near 0.
---@return affine.tensor.Tensor
function Tensor:expm1() end

--- The natural logarithm.
---@return affine.tensor.Tensor
function Tensor:log() end

--- log(1 + t), precise near 0.
---@return affine.tensor.Tensor
function Tensor:log1p() end

---@return affine.tensor.Tensor
function Tensor:log2() end

---@return affine.tensor.Tensor
function Tensor:log10() end

---@return affine.tensor.Tensor
function Tensor:floor() end

---@return affine.tensor.Tensor
function Tensor:ceil() end

--- To the nearest integer, halves to the even one.
---@return affine.tensor.Tensor
function Tensor:round() end

--- Towards 0.
---@return affine.tensor.Tensor
function Tensor:trunc() end

--- Of radians, as its kin below.
---@return affine.tensor.Tensor
function Tensor:sin() end

---@return affine.tensor.Tensor
function Tensor:cos() end

---@return affine.tensor.Tensor
function Tensor:tan() end

---@return affine.tensor.Tensor
function Tensor:asin() end

---@return affine.tensor.Tensor
function Tensor:acos() end

---@return affine.tensor.Tensor
function Tensor:atan() end

---@return affine.tensor.Tensor
function Tensor:sinh() end

---@return affine.tensor.Tensor
function Tensor:cosh() end

---@return affine.tensor.Tensor
function Tensor:tanh() end

--- The error function.
---@return affine.tensor.Tensor
function Tensor:erf() end

--- 1 / (1 + exp(-t)).
---@return affine.tensor.Tensor
function Tensor:sigmoid() end

--- The logarithm of `sigmoid`, without its loss of precision.
---@return affine.tensor.Tensor
function Tensor:log_sigmoid() end

--- max(t, 0).
---@return affine.tensor.Tensor
function Tensor:relu() end

--- t · sigmoid(t).
---@return affine.tensor.Tensor
function Tensor:silu() end

--- log(1 + exp(t)).
---@return affine.tensor.Tensor
function Tensor:softplus() end

--- t where it is above 0, exp(t) - 1 elsewhere.
---@return affine.tensor.Tensor
function Tensor:elu() end

--- t · Φ(t), Φ being the normal distribution's; with "tanh" by the usual approximation.
---@param approximate? "none"|"tanh"
---@return affine.tensor.Tensor
function Tensor:gelu(approximate) end

--- t where it is above 0, negative_slope · t elsewhere.
---@param negative_slope? number 0.01 by default.
---@return affine.tensor.Tensor
function Tensor:leaky_relu(negative_slope) end

--- Every value brought between min and max; either may be nil.
---@param min? number
---@param max? number
---@return affine.tensor.Tensor
function Tensor:clamp(min, max) end

--- As a tensor of booleans. So for the two below.
---@return affine.tensor.Tensor
function Tensor:isnan() end

---@return affine.tensor.Tensor
function Tensor:isinf() end

---@return affine.tensor.Tensor
function Tensor:isfinite() end

--- 0 and false give true, as a tensor of booleans. So for the three below.
---@return affine.tensor.Tensor
function Tensor:logical_not() end

---@param other affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:logical_and(other) end

---@param other affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:logical_or(other) end

---@param other affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:logical_xor(other) end

-- Pairs of values

--- The same as `t ^ other`.
---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:pow(other) end

--- Where values are equal, as a tensor of booleans. So for the five comparisons below.
---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:eq(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:ne(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:lt(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:le(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:gt(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:ge(other) end

-- Products

--- The matrix product: [n, k] by [k, m], with dimensions before those broadcast; [k] is one row or one column.
---@param other affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:matmul(other) end

--- The matrix products [b, n, k] by [b, k, m].
---@param other affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:bmm(other) end

--- The sum of the products of two vectors of one length.
---@param other affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:dot(other) end

--- The product of every pair of values of two vectors: [n, m].
---@param other affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:outer(other) end

-- Reductions

--- The sum of all values, or along one dimension or several, which go or, with keepdim, stay with the size 1. So for
--- the reductions below.
---@param dim? integer|integer[]
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:sum(dim, keepdim) end

---@param dim? integer|integer[]
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:mean(dim, keepdim) end

--- log(Σ exp(t)), without overflow.
---@param dim? integer|integer[]
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:logsumexp(dim, keepdim) end

--- The product.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:prod(dim, keepdim) end

--- Whether all values are true.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:all(dim, keepdim) end

--- Whether any value is true.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:any(dim, keepdim) end

--- Where the largest value is, counted from 0; among all values row by row where no dimension is given.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:argmax(dim, keepdim) end

--- Where the smallest value is.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:argmin(dim, keepdim) end

--- The standard deviation: the square root of `var`.
---@param dim? integer|integer[]
---@param keepdim? boolean
---@param correction? integer
---@return affine.tensor.Tensor
function Tensor:std(dim, keepdim, correction) end

--- The mean squared distance from the mean, over n - correction (1 by default).
---@param dim? integer|integer[]
---@param keepdim? boolean
---@param correction? integer
---@return affine.tensor.Tensor
function Tensor:var(dim, keepdim, correction) end

--- (Σ |t|^p)^(1/p); the largest |t| for p = math.huge.
---@param p? number 2 by default.
---@param dim? integer|integer[]
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:norm(p, dim, keepdim) end

--- The sums of all values so far along `dim`.
---@param dim integer
---@return affine.tensor.Tensor
function Tensor:cumsum(dim) end

--- The products of all values so far along `dim`.
---@param dim integer
---@return affine.tensor.Tensor
function Tensor:cumprod(dim) end

--- Along `dim`, exp(t) / sum(exp(t)).
---@param dim integer
---@return affine.tensor.Tensor
function Tensor:softmax(dim) end

--- The logarithm of `softmax`, without its loss of precision.
---@param dim integer
---@return affine.tensor.Tensor
function Tensor:log_softmax(dim) end

-- Order. The second result says where the values were, counted from 0.

--- The largest of all values, or the largest along a dimension and where they are. So for `min` and `median`.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor values
---@return affine.tensor.Tensor? places int64; none without a dim
function Tensor:max(dim, keepdim) end

---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor values
---@return affine.tensor.Tensor? places int64; none without a dim
function Tensor:min(dim, keepdim) end

--- The lower one of the two in the middle where the number is even.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor values
---@return affine.tensor.Tensor? places int64; none without a dim
function Tensor:median(dim, keepdim) end

--- The values along a dimension (the last by default) in order; equal ones keep theirs.
---@param dim? integer
---@param descending? boolean
---@return affine.tensor.Tensor values
---@return affine.tensor.Tensor places int64
function Tensor:sort(dim, descending) end

--- The second result of `sort`.
---@param dim? integer
---@param descending? boolean
---@return affine.tensor.Tensor places int64
function Tensor:argsort(dim, descending) end

--- The k largest values along a dimension (the last by default), best first; the smallest where `largest` is false.
---@param k integer
---@param dim? integer
---@param largest? boolean
---@return affine.tensor.Tensor values
---@return affine.tensor.Tensor places int64
function Tensor:topk(k, dim, largest) end

--- The different values in order, for each value of the tensor the place of its own among them, and how often each
--- occurs.
---@return affine.tensor.Tensor values
---@return affine.tensor.Tensor places int64
---@return affine.tensor.Tensor counts int64
function Tensor:unique() end

-- Other shapes

--- The same values in another shape; one size may be -1, to be computed. A view where that is possible.
---@param shape integer[]
---@return affine.tensor.Tensor
function Tensor:reshape(shape) end

--- As `reshape`, but never a copy: an error where only a copy would do.
---@param shape integer[]
---@return affine.tensor.Tensor
function Tensor:view(shape) end

--- The dimensions from one to another as one; all by default.
---@param first? integer
---@param last? integer
---@return affine.tensor.Tensor
function Tensor:flatten(first, last) end

--- A view in which dimensions of size 1 are repeated, and new ones stand in front; -1 keeps a size.
---@param shape integer[]
---@return affine.tensor.Tensor
function Tensor:expand(shape) end

--- The same values row by row in memory: a copy where they are not.
---@return affine.tensor.Tensor
function Tensor:contiguous() end

--- A view with two dimensions exchanged.
---@param dim1 integer
---@param dim2 integer
---@return affine.tensor.Tensor
function Tensor:transpose(dim1, dim2) end

--- A view with all dimensions in a new order.
---@param dims integer[]
---@return affine.tensor.Tensor
function Tensor:permute(dims) end

--- The transpose of a tensor of at most two dimensions.
---@return affine.tensor.Tensor
function Tensor:t() end

--- A view with a new dimension of size 1, which stands at `dim`.
---@param dim integer
---@return affine.tensor.Tensor
function Tensor:unsqueeze(dim) end

--- A view without this dimension if its size is 1, or without all such.
---@param dim? integer
---@return affine.tensor.Tensor
function Tensor:squeeze(dim) end

--- The parts along a dimension, or several, in reverse.
---@param dim integer|integer[]
---@return affine.tensor.Tensor
function Tensor:flip(dim) end

--- The parts along a dimension moved on by `shift`, those beyond the end back to the beginning.
---@param shift integer
---@param dim integer
---@return affine.tensor.Tensor
function Tensor:roll(shift, dim) end

--- A view of the values whose place in dim2 is k beyond that in dim1; 0, the first and the second dimension by default.
---@param k? integer
---@param dim1? integer
---@param dim2? integer
---@return affine.tensor.Tensor
function Tensor:diagonal(k, dim1, dim2) end

--- The values on and below the k-th diagonal of the last two dimensions (0 is the main one, 1 above it), zeros
--- elsewhere.
---@param k? integer
---@return affine.tensor.Tensor
function Tensor:tril(k) end

--- The values on and above the k-th diagonal.
---@param k? integer
---@return affine.tensor.Tensor
function Tensor:triu(k) end

-- Several of one, one of several

--- At most so many views along a dimension (the first by default), of one length but for the last.
---@param chunks integer
---@param dim? integer
---@return affine.tensor.Tensor[]
function Tensor:chunk(chunks, dim) end

--- Views of a length along a dimension (the first by default), the last may be shorter; or of the lengths in a list.
---@param size integer|integer[]
---@param dim? integer
---@return affine.tensor.Tensor[]
function Tensor:split(size, dim) end

--- A view of each part along a dimension (the first by default), which goes.
---@param dim? integer
---@return affine.tensor.Tensor[]
function Tensor:unbind(dim) end

--- Copies side by side: so many along each dimension, along the last ones where there are fewer numbers.
---@param times integer[]
---@return affine.tensor.Tensor
function Tensor:tile(times) end

--- Each part along a dimension (the first by default) so many times.
---@param times integer
---@param dim? integer
---@return affine.tensor.Tensor
function Tensor:repeat_interleave(times, dim) end

-- Parts

--- The part at a position of a dimension, which goes. `t:select(1, i)` is `t[i]`.
---@param dim integer
---@param index integer
---@return affine.tensor.Tensor
function Tensor:select(dim, index) end

--- `length` parts along a dimension, from a position on.
---@param dim integer
---@param start integer
---@param length integer
---@return affine.tensor.Tensor
function Tensor:narrow(dim, start, length) end

--- For each place of `index` the value found by going along `dim` to the place that the index tells, counted from 0.
--- The log-probability of each label: `logp:gather(2, labels:unsqueeze(2))`.
---@param dim integer
---@param index affine.tensor.Tensor int64
---@return affine.tensor.Tensor
function Tensor:gather(dim, index) end

--- The parts along `dim` that a one-dimensional index tells, counted from 0.
---@param dim integer
---@param index affine.tensor.Tensor int64
---@return affine.tensor.Tensor
function Tensor:index_select(dim, index) end

--- A copy in which the parts of `source` are added to the parts that a one-dimensional index tells.
---@param dim integer
---@param index affine.tensor.Tensor int64
---@param source affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:index_add(dim, index, source) end

--- A copy in which each place that `index` tells along `dim` has the value of `source` there, or the number: the
--- reverse of `gather`. Where an index occurs twice, either value may win.
---@param dim integer
---@param index affine.tensor.Tensor int64
---@param source affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:scatter(dim, index, source) end

--- As `scatter`, but the values are added.
---@param dim integer
---@param index affine.tensor.Tensor int64
---@param source affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:scatter_add(dim, index, source) end

--- A copy with one value where the mask, broadcast to the tensor, is true.
---@param mask affine.tensor.Tensor bool
---@param value number|boolean|affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:masked_fill(mask, value) end

--- The values where the mask is true, one behind the other.
---@param mask affine.tensor.Tensor bool
---@return affine.tensor.Tensor
function Tensor:masked_select(mask) end

--- Where values are not 0: a row of places, counted from 0, for each: [n, dimensions].
---@return affine.tensor.Tensor
function Tensor:nonzero() end

--- For each value, a class counted from 0, a row with a 1 in its place: [.., classes].
---@param classes integer
---@return affine.tensor.Tensor
function Tensor:one_hot(classes) end

-- Random numbers, as for the functions above

---@class affine.tensor.Seed
---@field seed integer Required.

---@class affine.tensor.MultinomialOptions: affine.tensor.Seed
---@field replacement? boolean Whether a place may be drawn again. false by default.

--- 1 with each value's probability, else 0.
---@param options affine.tensor.Seed
---@return affine.tensor.Tensor
function Tensor:bernoulli(options) end

--- From each row of weights [places] or [rows, places], which need not add up to 1, n places, counted from 0.
---@param n integer
---@param options affine.tensor.MultinomialOptions
---@return affine.tensor.Tensor places int64
function Tensor:multinomial(n, options) end

--- Each value to 0 with probability p, the others over 1 - p.
---@param p number
---@param options affine.tensor.Seed
---@return affine.tensor.Tensor
function Tensor:dropout(p, options) end

-- Gradients

--- Without a flag, whether gradients reach this tensor. With one, sets it and returns the tensor.
---@overload fun(self: affine.tensor.Tensor): boolean
---@param flag boolean
---@return affine.tensor.Tensor
function Tensor:requires_grad(flag) end

--- Whether it was computed from nothing that requires grad. Only leaves keep gradients.
---@return boolean
function Tensor:is_leaf() end

--- Adds to the gradient of every leaf that requires one and that this tensor was computed from. A tensor of more than
--- one value needs the gradient of what follows, in its own shape.
---@param gradient? affine.tensor.Tensor
function Tensor:backward(gradient) end

--- The gradient itself, not a copy, or nil where `backward` left none.
---@return affine.tensor.Tensor?
function Tensor:grad() end

--- Sets the gradient to zero, where there is one.
function Tensor:zero_grad() end

--- The same values, cut off from what they were computed from.
---@return affine.tensor.Tensor
function Tensor:detach() end

-- Changes in place

--- Changes the tensor in place and returns it. So for the changes below. Inside `tensor.no_grad` where it requires
--- grad.
---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:add_(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:sub_(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:mul_(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:div_(other) end

--- Overwrites the values with those of another tensor, of any dtype and on any device.
---@param source affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:copy_(source) end

--- Overwrites every value.
---@param value number|boolean
---@return affine.tensor.Tensor
function Tensor:fill_(value) end

---@return affine.tensor.Tensor
function Tensor:zero_() end

-- To Lua and elsewhere

--- A copy with values of its own, through which gradients pass.
---@return affine.tensor.Tensor
function Tensor:clone() end

--- The same values in another dtype or on another device; the same tensor where nothing changes.
---@param options { dtype?: affine.tensor.Dtype, device?: string }
---@return affine.tensor.Tensor
function Tensor:to(options) end

--- The values as nested lists of floats, integers or booleans; one value where the tensor has no dimensions.
---@return table|number|boolean
function Tensor:totable() end

--- The value of a tensor that has only one.
---@return number|boolean
function Tensor:item() end

---@return integer[]
function Tensor:shape() end

--- How many dimensions there are.
---@return integer
function Tensor:dim() end

--- How many values there are.
---@return integer
function Tensor:numel() end

---@return affine.tensor.Dtype
function Tensor:dtype() end

--- `cpu` or `cuda:N`.
---@return string
function Tensor:device() end

--- Frees the tensor now instead of at the next garbage collection; `local t <close> = …` does it at the block's end.
function Tensor:close() end

return tensor
