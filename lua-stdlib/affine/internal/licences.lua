-- What is known of the licence of each environment's data, for who publishes a model that was trained on it.
--
-- Read off the licence files of the originals. What is not known is said to be not stated.

local licences = {}

local NOT_STATED = "not stated"
local OWN = "tasks made by affine, no data of others"

--- By environment: of its own tasks, and of the original's data where it was given that.
local NOTES = {
  sat = { OWN },
  grid = { OWN },
  ["sciworld-mini"] = { OWN },
  abd = { OWN, "rows of the data set named here, whose licence is " .. NOT_STATED },
  ded = { OWN, "rows of the data set named here, whose licence is " .. NOT_STATED },
  babyai = { "levels made by affine after BabyAI and MiniGrid (Apache-2.0)" },
  textcraft = { "recipes of Minecraft as AgentGym (MIT) publishes them; their own licence is " .. NOT_STATED },
  alfworld = {
    OWN,
    "games of ALFWorld (code under MIT); a licence of the games themselves is " .. NOT_STATED,
  },
  webshop = {
    OWN,
    "WebShop (academic and research use only, no commercial use), with products of Amazon whose licence is "
      .. NOT_STATED,
  },
  sciworld = { "ScienceWorld's simulator (Apache-2.0)" },
}

--- Of an environment by its name, and whether it was given the original's data.
function licences.of(name, has_data)
  local notes = NOTES[name]
  return notes and (has_data and notes[2] or notes[1]) or NOT_STATED
end

licences.NOT_STATED = NOT_STATED

return licences
