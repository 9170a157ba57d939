-- The nearest right name for a mistyped one.

local suggest = {}

--- Number of single-character edits between two words (Levenshtein).
local function distance(a, b)
  local row = {} ---@type integer[]
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local substitution = diagonal + (a:byte(i) == b:byte(j) and 0 or 1)
      diagonal = row[j]
      row[j] = math.min(substitution, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

--- The candidate with the fewest edits from `word`, or nil when none is near.
function suggest.nearest(word, candidates)
  local nearest, best = nil, (#word <= 3 and 1 or math.max(2, #word // 3)) + 1
  for _, candidate in ipairs(candidates) do
    local edits = distance(word, candidate)
    if edits < best then
      nearest, best = candidate, edits
    end
  end
  return nearest
end

--- The end of an error sentence: a nearby candidate, or what there is when the list is short.
function suggest.ending(word, candidates)
  local nearest = suggest.nearest(word, candidates)
  if nearest then
    return (", did you mean `%s`?"):format(nearest)
  end
  return #candidates <= 12 and (" (there are: %s)"):format(table.concat(candidates, ", ")) or ""
end

return suggest
