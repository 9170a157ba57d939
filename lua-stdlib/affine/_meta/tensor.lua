---@meta affine.tensor

--- libtorch's tensors, as much of them as a training loop in Lua needs.
---
--- Positions (dimensions, indices) count from 1, -1 is the last. Values inside tensors (class labels, token ids, what
--- `argmax` gives and `gather` takes) count from 0, as libtorch's own do.
---@class affine.tensor
local tensor = {}

---@alias affine.tensor.Dtype "float32"|"bfloat16"|"float16"|"float64"|"int64"|"bool"

---@class affine.tensor.Options
---@field dtype? affine.tensor.Dtype "float32" by default, for Lua's 1 as for 1.0.
---@field device? string `cpu` (the default), `auto` (CUDA where there is one), `cuda` or `cuda:N`.
---@field requires_grad? boolean Whether `backward` leaves a gradient here.

--- A tensor of a number, a boolean, or lists of them nested as deep as it has dimensions. Booleans become "bool" where
--- no dtype is given.
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

--- start, start + step, … as long as they are below stop (above it for a negative step).
---@overload fun(stop: number, options?: affine.tensor.Options): affine.tensor.Tensor
---@overload fun(start: number, stop: number, options?: affine.tensor.Options): affine.tensor.Tensor
---@param start number 0 where only stop is given.
---@param stop number
---@param step number 1 where it is not given.
---@param options? affine.tensor.Options
---@return affine.tensor.Tensor
function tensor.arange(start, stop, step, options) end

---@class affine.tensor.DrawOptions: affine.tensor.Options
---@field seed integer Seeds libtorch's generator on the CPU and draws there: the numbers of PyTorch after
--- `torch.manual_seed(seed)`, whatever the device.

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

--- Calls a function inside which nothing is recorded for `backward`. What it returns or raises passes through.
---@generic T
---@param body fun(): T
---@return T
function tensor.no_grad(body) end

--- Writes tensors by name as a safetensors file.
---@param path string
---@param tensors table<string, affine.tensor.Tensor>
function tensor.save(path, tensors) end

--- The tensors of a safetensors file by name, on the CPU.
---@param path string
---@return table<string, affine.tensor.Tensor>
function tensor.load(path) end

--- A tensor, or a view of another one's values. `t[i]` is its i-th part along the first dimension, `#t` how many there
--- are, `tostring(t)` shows shape, dtype and values (the outer ones of a large tensor). Arithmetic goes by element and
--- broadcasts; `==` compares handles, `t:eq(other)` the values.
---@class affine.tensor.Tensor
---@field [integer] affine.tensor.Tensor
---@operator add(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator sub(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator mul(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator div(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator pow(affine.tensor.Tensor|number): affine.tensor.Tensor
---@operator unm: affine.tensor.Tensor
---@operator len: integer
local Tensor = {}

---@return affine.tensor.Tensor
function Tensor:exp() end

--- The natural logarithm.
---@return affine.tensor.Tensor
function Tensor:log() end

---@return affine.tensor.Tensor
function Tensor:sqrt() end

---@return affine.tensor.Tensor
function Tensor:abs() end

---@return affine.tensor.Tensor
function Tensor:tanh() end

---@return affine.tensor.Tensor
function Tensor:sigmoid() end

---@return affine.tensor.Tensor
function Tensor:relu() end

--- The same as `t ^ other`.
---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:pow(other) end

--- Every value brought between min and max; either may be nil.
---@param min? number
---@param max? number
---@return affine.tensor.Tensor
function Tensor:clamp(min, max) end

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

--- The matrix product: [n, k] by [k, m], with dimensions before those broadcast; [k] is one row or one column.
---@param other affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:matmul(other) end

--- The sum of all values, or along one dimension, which goes or, with keepdim, stays with the size 1. So for the
--- reductions below.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:sum(dim, keepdim) end

---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:mean(dim, keepdim) end

--- The standard deviation, divided by n - 1.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:std(dim, keepdim) end

---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:max(dim, keepdim) end

---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:min(dim, keepdim) end

--- Where the largest value is, counted from 0; among all values row by row where no dimension is given.
---@param dim? integer
---@param keepdim? boolean
---@return affine.tensor.Tensor
function Tensor:argmax(dim, keepdim) end

--- Along `dim`, exp(t) / sum(exp(t)).
---@param dim integer
---@return affine.tensor.Tensor
function Tensor:softmax(dim) end

--- The logarithm of `softmax`, without its loss of precision.
---@param dim integer
---@return affine.tensor.Tensor
function Tensor:log_softmax(dim) end

--- The same values in another shape; one size may be -1, to be computed. A view where that is possible.
---@param shape integer[]
---@return affine.tensor.Tensor
function Tensor:reshape(shape) end

--- As `reshape`, but never a copy: an error where only a copy would do.
---@param shape integer[]
---@return affine.tensor.Tensor
function Tensor:view(shape) end

--- A view with two dimensions exchanged.
---@param dim1 integer
---@param dim2 integer
---@return affine.tensor.Tensor
function Tensor:transpose(dim1, dim2) end

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

--- Without a flag, whether gradients reach this tensor. With one, sets it and returns the tensor.
---@overload fun(self: affine.tensor.Tensor): boolean
---@param flag boolean
---@return affine.tensor.Tensor
function Tensor:requires_grad(flag) end

--- Adds to the gradient of every tensor that requires one and that this single value was computed from.
function Tensor:backward() end

--- The gradient itself, not a copy, or nil where `backward` left none.
---@return affine.tensor.Tensor?
function Tensor:grad() end

--- Sets the gradient to zero, where there is one.
function Tensor:zero_grad() end

--- The same values, cut off from what they were computed from.
---@return affine.tensor.Tensor
function Tensor:detach() end

--- Changes the tensor in place and returns it. So for the changes below. Inside `tensor.no_grad` where it requires grad.
---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:add_(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:sub_(other) end

---@param other affine.tensor.Tensor|number
---@return affine.tensor.Tensor
function Tensor:mul_(other) end

--- Overwrites the values with those of another tensor.
---@param source affine.tensor.Tensor
---@return affine.tensor.Tensor
function Tensor:copy_(source) end

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

--- How many values there are.
---@return integer
function Tensor:numel() end

---@return string
function Tensor:dtype() end

---@return string
function Tensor:device() end

--- Frees the tensor now instead of at the next garbage collection; `local t <close> = …` does it at the block's end.
function Tensor:close() end

return tensor
