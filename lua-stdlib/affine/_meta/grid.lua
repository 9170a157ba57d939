---@meta affine.grid

--- A room seen through words: the definition behind `env.make "grid"`, made by `env.define`.
---@class affine.grid : affine.env.Definition
local grid = {}

grid.name = "grid"
grid.options = { width = 5, height = 5, num_objects = 2, max_turns = 8 }
grid.max_turns = 8
grid.turn_limit = "task"
grid.score_range = { 0, 1 }
grid.success_threshold = 1
grid.constant_actions = { "move forward", "turn left", "turn right" }

function grid.prompt(self) end

function grid.reset(self, task) end

function grid.step(self, action) end

function grid.expert(self) end

function grid.random_action(self, rng) end

function grid.rule(self) end

return grid
