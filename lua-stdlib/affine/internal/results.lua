-- A stage's result while another takes its place: the one before is kept as `<folder>.previous`.
--
-- So a mistaken command destroys nothing: with the right settings again, what was kept is taken back. Only what a stage
-- made is moved, by its record; what else lies in its folder stays. A folder of checkpoints is moved whole.

local fs = require("affine.fs")
local path = require("affine.path")

local results = {}

function results.previous(folder)
  return folder .. ".previous"
end

--- Moves a result's files and, last, the record that names them.
local function move(record, from, to)
  local names = {}
  for name in pairs(record and record.outputs or {}) do
    names[#names + 1] = name
  end
  names[#names + 1] = "stage.json"
  for _, name in ipairs(names) do
    local source, target = path.join(from, name), path.join(to, name)
    if fs.exists(source) then
      fs.mkdir(path.parent(target))
      fs.rename(source, target)
    end
  end
end

local function move_folder(from, to)
  if from and fs.exists(from) then
    fs.rename(from, to)
  end
end

--- Keeps the result in `folder` as the previous one, in place of the one before, and its checkpoints with it.
function results.set_aside(record, folder, checkpoints)
  fs.remove(results.previous(folder), { recursive = true })
  move(record, folder, results.previous(folder))
  if checkpoints then
    fs.remove(results.previous(checkpoints), { recursive = true })
    move_folder(checkpoints, results.previous(checkpoints))
  end
end

--- Takes the previous result back; what is there now becomes the previous one.
function results.take_back(previous, current, folder, checkpoints)
  local between = folder .. ".swapping"
  fs.remove(between, { recursive = true })
  move(current, folder, between)
  move(previous, results.previous(folder), folder)
  fs.remove(results.previous(folder), { recursive = true })
  move_folder(between, results.previous(folder))
  if checkpoints then
    between = checkpoints .. ".swapping"
    fs.remove(between, { recursive = true })
    move_folder(checkpoints, between)
    move_folder(results.previous(checkpoints), checkpoints)
    move_folder(between, results.previous(checkpoints))
  end
end

return results
