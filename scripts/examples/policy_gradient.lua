-- REINFORCE on the cart and pole: a net learns to keep a pole upright by pushing the cart under it left or right.
-- The physics are those of Barto, Sutton and Anderson (1983), steps of 0.02 s.
--   affine scripts/examples/policy_gradient.lua

local tensor = require("affine.tensor")

local carts, max_steps, iterations, learning_rate, gamma = 8, 200, 40, 0.02, 0.99

-- A state is the cart's position and speed, the pole's angle and its speed. One push of 10 N to either side.
local function push(state, right)
  local x, speed, angle, turn = table.unpack(state)
  local gravity, cart, pole, half = 9.8, 1.0, 0.1, 0.5
  local total, force = cart + pole, right and 10 or -10
  local sin, cos = math.sin(angle), math.cos(angle)
  local thrust = (force + pole * half * turn * turn * sin) / total
  local turning = (gravity * sin - cos * thrust) / (half * (4 / 3 - pole * cos * cos / total))
  local moving = thrust - pole * half * turning * cos / total
  local dt = 0.02
  return { x + dt * speed, speed + dt * moving, angle + dt * turn, turn + dt * turning }
end

local function fallen(state)
  return math.abs(state[1]) > 2.4 or math.abs(state[3]) > 12 * math.pi / 180
end

local w1 = (tensor.randn({ 32, 4 }, { seed = 1 }) / 2):requires_grad(true)
local b1 = tensor.zeros({ 32 }, { requires_grad = true })
local w2 = (tensor.randn({ 2, 32 }, { seed = 2 }) / 32):requires_grad(true)
local b2 = tensor.zeros({ 2 }, { requires_grad = true })

-- The log-probabilities of left and right [n, 2] in states [n, 4].
local function policy(states)
  return tensor.linear(tensor.linear(states, w1, b1):tanh(), w2, b2):log_softmax(-1)
end

-- Lets some carts go until all have fallen, and returns the states, what was done in each (0 left, 1 right) and what
-- was still to come there: the sum of later steps, each worth gamma times the one before.
---@param iteration integer
local function episodes(iteration)
  local beginnings = (tensor.rand({ carts, 4 }, { seed = 2 * iteration }) * 0.1 - 0.05):totable()
  local draws = tensor.rand({ max_steps, carts }, { seed = 2 * iteration + 1 }):totable()
  local running, states, actions, returns, lengths = {}, {}, {}, {}, {}
  for cart = 1, carts do
    running[cart] = { cart = cart, state = beginnings[cart], states = {}, actions = {} }
  end
  local all = { table.unpack(running) }
  for step = 1, max_steps do
    local now = {}
    for i, episode in ipairs(running) do
      now[i] = episode.state
    end
    local right = tensor.no_grad(function()
      return policy(tensor.new(now))[{ {}, 2 }]:exp():totable()
    end)
    local still = {}
    for i, episode in ipairs(running) do
      local action = draws[step][episode.cart] < right[i] and 1 or 0
      table.insert(episode.states, episode.state)
      table.insert(episode.actions, action)
      episode.state = push(episode.state, action == 1)
      if not fallen(episode.state) then
        table.insert(still, episode)
      end
    end
    running = still
    if #running == 0 then
      break
    end
  end
  for _, episode in ipairs(all) do
    local length = #episode.states
    table.insert(lengths, length)
    for i = 1, length do
      table.insert(states, episode.states[i])
      table.insert(actions, episode.actions[i])
      table.insert(returns, (1 - gamma ^ (length - i + 1)) / (1 - gamma))
    end
  end
  return states, actions, returns, lengths
end

local optimizer = tensor.adamw({ w1, b1, w2, b2 }, { learning_rate = learning_rate, weight_decay = 0 })
---@type table<integer, table<string, any>>
local history = {}
for iteration = 1, iterations do
  local states, actions, returns, lengths = episodes(iteration)
  local done = tensor.new(actions, { dtype = "int64" }):unsqueeze(2)
  local gains = tensor.new(returns)
  local advantages = (gains - gains:mean()) / (gains:std() + 1e-6)

  local loss = -(policy(tensor.new(states)):gather(2, done):squeeze(2) * advantages):mean()
  optimizer:zero_grad()
  loss:backward()
  optimizer:step()

  local steps = 0.0
  for _, length in ipairs(lengths) do
    steps = steps + length / carts
  end
  history[iteration] = { loss = loss:item(), steps = steps, right = tensor.new(actions):mean():item() }
  if iteration % 10 == 0 then
    print(("iteration %d: the pole stands for %.1f of %d steps"):format(iteration, steps, max_steps))
  end
end
return history
