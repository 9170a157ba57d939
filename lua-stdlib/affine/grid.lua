-- A room seen through words: find the named object among others.
--
-- The agent stands on one cell of a walled grid and faces one of four directions. It sees every object at its place
-- relative to where it faces ("red ball 1 ahead 2 left"). The reward is 1, and the episode over, when the agent
-- steps onto the cell of the object that the goal names; it is 0 when the moves run out first, which is a rule of
-- the game and no truncation. A wall or another object in the way leaves the agent where it is; a reply that is no
-- action costs a move too. Starts are drawn until the goal can be reached within the moves, so the expert always
-- succeeds.

local env = require("affine.env")

local COLOURS = { "red", "green", "blue", "yellow" }
local SHAPES = { "ball", "box", "key" }
local ACTIONS = { "move forward", "turn left", "turn right" }

-- Direction d (0 north, 1 east, 2 south, 3 west) as a step in x and y; y grows southwards.
local STEP_X = { [0] = 0, 1, 0, -1 }
local STEP_Y = { [0] = -1, 0, 1, 0 }

--- Cell (x, y) as the agent sees it: steps ahead and steps to the right, negative for behind and left.
local function relative(agent, x, y)
  local dx, dy = x - agent.x, y - agent.y
  local ahead_x, ahead_y = STEP_X[agent.direction], STEP_Y[agent.direction]
  return dx * ahead_x + dy * ahead_y, dy * ahead_x - dx * ahead_y
end

local function place_in_words(ahead, right)
  local words = {}
  if ahead ~= 0 then
    words[#words + 1] = ("%d %s"):format(math.abs(ahead), ahead > 0 and "ahead" or "behind")
  end
  if right ~= 0 then
    words[#words + 1] = ("%d %s"):format(math.abs(right), right > 0 and "right" or "left")
  end
  return table.concat(words, " ")
end

local function look(self)
  local seen = {}
  for index, object in ipairs(self.objects) do
    seen[index] = object.name .. " " .. place_in_words(relative(self.agent, object.x, object.y))
  end
  return "You see: " .. table.concat(seen, ", ")
end

--- Whether the agent may enter a cell: inside the walls, and empty or the goal.
local function is_free(self, x, y)
  if x < 1 or y < 1 or x > self.options.width or y > self.options.height then
    return false
  end
  for _, object in ipairs(self.objects) do
    if object ~= self.goal and object.x == x and object.y == y then
      return false
    end
  end
  return true
end

--- Where an action leads from (x, y, direction); the same place when the way is blocked.
local function move(self, agent, action)
  local x, y, direction = agent.x, agent.y, agent.direction
  if action == "turn left" then
    direction = (direction + 3) % 4
  elseif action == "turn right" then
    direction = (direction + 1) % 4
  elseif is_free(self, x + STEP_X[direction], y + STEP_Y[direction]) then
    x, y = x + STEP_X[direction], y + STEP_Y[direction]
  end
  return { x = x, y = y, direction = direction }
end

--- A shortest plan to the goal by breadth-first search: its first action and its length, or nil where there is none.
local function plan(self)
  local width, height = self.options.width, self.options.height
  local function key(agent)
    return (agent.direction * height + agent.y) * width + agent.x
  end
  local queue, seen = { { agent = self.agent, length = 0 } }, { [key(self.agent)] = true }
  local head = 1
  while queue[head] do
    local here = queue[head]
    head = head + 1
    if here.agent.x == self.goal.x and here.agent.y == self.goal.y then
      return here.first, here.length
    end
    for _, action in ipairs(ACTIONS) do
      local agent = move(self, here.agent, action)
      if not seen[key(agent)] then
        seen[key(agent)] = true
        queue[#queue + 1] = { agent = agent, first = here.first or action, length = here.length + 1 }
      end
    end
  end
  return nil
end

--- Puts the agent and distinct objects on different cells; the first object drawn is the goal.
local function arrange(self, rng)
  local width, height = self.options.width, self.options.height
  local taken, named = {}, {}
  local function free_cell()
    local x, y
    repeat
      x, y = rng:int(1, width), rng:int(1, height)
    until not taken[y * width + x]
    taken[y * width + x] = true
    return x, y
  end
  local x, y = free_cell()
  self.agent = { x = x, y = y, direction = rng:int(0, 3) }
  self.objects = {}
  for index = 1, self.options.num_objects do
    local name
    repeat
      name = COLOURS[rng:int(1, #COLOURS)] .. " " .. SHAPES[rng:int(1, #SHAPES)]
    until not named[name]
    named[name] = true
    x, y = free_cell()
    self.objects[index] = { name = name, x = x, y = y }
  end
  self.goal = self.objects[rng:int(1, #self.objects)]
end

local function check_options(options)
  local most = math.min(#COLOURS * #SHAPES, options.width * options.height - 1)
  if options.num_objects < 1 or options.num_objects > most then
    error(("num_objects: expected 1 to %d, got %d"):format(most, options.num_objects))
  end
end

return env.define {
  name = "grid",
  options = { width = 5, height = 5, num_objects = 2, max_turns = 8 },
  max_turns = 8,
  constant_actions = ACTIONS,

  prompt = function(self)
    local goal, actions = self.goal.name, table.concat(ACTIONS, ", ")
    return ("Goal: go to the %s in %d moves. Actions: %s"):format(goal, self.options.max_turns, actions)
  end,

  reset = function(self, task)
    check_options(self.options)
    self.moves = 0
    for _ = 1, 1000 do
      arrange(self, task.rng)
      local _, length = plan(self)
      if length and length <= self.options.max_turns then
        return look(self)
      end
    end
    error(("no start can be solved in %d moves"):format(self.options.max_turns))
  end,

  step = function(self, action)
    self.moves = self.moves + 1
    local known = false
    for _, name in ipairs(ACTIONS) do
      known = known or name == action
    end
    if known then
      self.agent = move(self, self.agent, action)
    end
    if self.agent.x == self.goal.x and self.agent.y == self.goal.y then
      return ("You reached the %s."):format(self.goal.name), 1, true
    elseif self.moves >= self.options.max_turns then
      return "No moves left.", 0, true
    elseif not known then
      return "Unknown action. Actions: " .. table.concat(ACTIONS, ", "), 0, false
    end
    return look(self), 0, false
  end,

  expert = function(self)
    return (plan(self))
  end,

  random_action = function(_, rng)
    return ACTIONS[rng:int(1, #ACTIONS)]
  end,

  -- One line: forward while the goal is ahead, else turn to its side. It does not see what stands in the way.
  rule = function(self)
    local ahead, right = relative(self.agent, self.goal.x, self.goal.y)
    return ahead > 0 and "move forward" or right < 0 and "turn left" or "turn right"
  end,
}
