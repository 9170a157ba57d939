-- A language model over characters: one block of causal attention, trained on the text below, which then goes on
-- writing by itself.
--   affine scripts/examples/char_lm.lua

local tensor = require("affine.tensor")

local context, batch, width, heads, steps, learning_rate = 32, 16, 48, 4, 150, 0.01

local text = [[
The tide came in at noon and took the castle. The children watched it go, wall by wall, and said nothing. Then the
smallest of them picked up her spade and began again, a little higher on the beach. The others laughed, and then they
helped. At four the tide turned, and the castle stood. They ate bread and apples in its shadow and told each other that
they had known it all along. In the night the wind rose and blew the towers flat. In the morning they came back with
their spades. The sea was far out, the sand was firm and wet, and nobody said a word about the wind.
]]

-- The characters in use, numbered from 0, and the text as those numbers.
local characters, number_of = {}, {}
for character in text:gmatch(utf8.charpattern) do
  if not number_of[character] then
    number_of[character] = #characters
    table.insert(characters, character)
  end
end
local numbers = {}
for character in text:gmatch(utf8.charpattern) do
  table.insert(numbers, number_of[character])
end
local ids = tensor.new(numbers, { dtype = "int64" })

-- Weights by name, each drawn from a seed of its own.
local parameters, seed = {}, 0
local function weight(name, shape, deviation)
  seed = seed + 1
  parameters[name] = (tensor.randn(shape, { seed = seed }) * deviation):requires_grad(true)
end
local function ones(name, shape)
  parameters[name] = tensor.ones(shape, { requires_grad = true })
end
weight("token", { #characters, width }, 0.3)
weight("place", { context, width }, 0.3)
weight("qkv", { 3 * width, width }, width ^ -0.5)
weight("out", { width, width }, width ^ -0.5)
weight("up", { 4 * width, width }, width ^ -0.5)
weight("down", { width, 4 * width }, (4 * width) ^ -0.5)
weight("head", { #characters, width }, width ^ -0.5)
ones("norm1", { width })
ones("norm2", { width })
ones("norm3", { width })

-- The logits [batch, length, characters] of what comes after each place of `input` [batch, length].
local function model(input)
  local p = parameters
  local rows, length = table.unpack(input:shape())
  local eps = { eps = 1e-6 }
  ---@type affine.tensor.Tensor
  local x = tensor.embedding(p.token, input) + p.place[{ { 1, length } }]

  local qkv = tensor.linear(tensor.rms_norm(x, p.norm1, eps), p.qkv)
  local parts = {}
  for i, part in ipairs(qkv:chunk(3, -1)) do
    parts[i] = part:reshape({ rows, length, heads, width // heads }):transpose(2, 3)
  end
  local attended = tensor.attention(parts[1], parts[2], parts[3], { causal = true })
  local attentive = x + tensor.linear(attended:transpose(2, 3):reshape { rows, length, width }, p.out)

  local inner = tensor.linear(tensor.rms_norm(attentive, p.norm2, eps), p.up):gelu()
  local thought = attentive + tensor.linear(inner, p.down)
  return tensor.linear(tensor.rms_norm(thought, p.norm3, eps), p.head)
end

local optimizer = tensor.adamw(parameters, { learning_rate = learning_rate, weight_decay = 0 })
local losses = {}
for step = 1, steps do
  -- Every row begins somewhere else; a label is the character after its place.
  local starts = tensor.randint(0, #numbers - context, { batch, 1 }, { seed = 1000 + step })
  local window = ids[starts + tensor.arange(context + 1, { dtype = "int64" })]
  local logits = model(window[{ {}, { 1, -2 } }])
  local loss = tensor.cross_entropy(logits:flatten(1, 2), window[{ {}, { 2, -1 } }]:flatten())
  optimizer:zero_grad()
  loss:backward()
  tensor.clip_grad_norm(parameters, 1)
  optimizer:step()
  losses[step] = loss:item()
  if step % 50 == 0 then
    print(("step %d: loss %.4f"):format(step, losses[step]))
  end
end

-- Goes on from a beginning, each character drawn with its probability, sharpened by a temperature.
local function write(beginning, length, temperature)
  local written = {}
  for character in beginning:gmatch(utf8.charpattern) do
    table.insert(written, number_of[character])
  end
  for i = 1, length do
    local seen = table.pack(table.unpack(written, math.max(1, #written - context + 1)))
    seen.n = nil
    local next_one = tensor.no_grad(function()
      local logits = model(tensor.new({ seen }, { dtype = "int64" }))
      return (logits[{ 1, -1 }] / temperature):softmax(1):multinomial(1, { seed = i }):item()
    end)
    table.insert(written, next_one)
  end
  for i, number in ipairs(written) do
    written[i] = characters[number + 1]
  end
  return table.concat(written)
end

local written = write("The tide ", 120, 0.5)
print(written)
return { losses = losses, text = text, written = written }
