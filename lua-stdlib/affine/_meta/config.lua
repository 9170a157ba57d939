---@meta affine.config

--- The pipeline's settings: `config.lua` and its presets, a user's file, and the command line, checked and merged.
---
--- Later wins: the sections of config.lua, the preset, the user's own file, `--set section.key=value`. A file may hold
--- only the keys that it changes. A file with `presets` of its own is laid below the preset, one without above it.
---@class affine.config
local config = {}

--- Which settings may be one number or a table from environment to number, by path.
---@type table<string, boolean>
config.by_environment = {}

---@class affine.config.Flag
---@field value? string What the flag takes, as `--help` names it (`PATH`); without it the flag is true when given.
---@field doc string
---@field decides? boolean Of a stage's flag: whether its result depends on it (true).

--- Settings and flags from a command line. Understands `--config FILE`, `--preset NAME`, `--experiment NAME`,
--- `--set section.key=value` (one Lua literal, else a string; may be repeated) and `--help`, which prints every key with its value and ends the
--- program. An unknown key, a value of another type or an unknown flag is an error that names it and the nearest right one.
---@param arg string[] The global `arg`.
---@param extra? table<string, affine.config.Flag> The script's own flags by name, without the dashes.
---@return table settings The sections as nested tables, and `preset`, `experiment` and `seed`.
---@return table<string, string|true> flags Which of the script's own flags were given.
function config.load(arg, extra) end

--- The value at a dotted path such as `training.learning_rate`, or nil.
---@param settings table
---@param path string
---@return any
function config.get(settings, path) end

--- A value as a Lua literal with sorted keys: equal values give equal texts.
---@param value any
---@return string
function config.literal(value) end

return config
