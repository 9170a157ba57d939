-- Several trials on one loaded base, an adapter and an optimizer each, by turns.
--
-- Each trial's function runs in a coroutine of its own and hands over at `trial:report`. So the function is the one that
-- `study:run` takes; nothing is loaded twice, and a pruner's decision costs nothing but the trial's own adapter.

local population = {}

--- A trial as its function sees it: `report` ends its turn.
local Member = {}

function Member.__index(self, key)
  local own = rawget(Member, key)
  if own then
    return own
  end
  local method = self.trial[key]
  return function(_, ...)
    return method(self.trial, ...)
  end
end

--- The name of the adapter that is this trial's: `m:add_lora { adapter_name = trial:adapter(), … }`.
function Member:adapter()
  return self.name
end

---@async
function Member:report(step, value)
  self.trial:report(step, value)
  coroutine.yield(self.trial:should_prune() and "pruned" or "turn")
end

local function has_adapter(m, name)
  for _, known in ipairs(m:info().adapters) do
    if known == name then
      return true
    end
  end
  return false
end

local function start(study, f)
  local trial = study:ask()
  local member = setmetatable({ trial = trial, name = ("trial-%d"):format(trial:number()) }, Member)
  member.thread = coroutine.create(f)
  return member
end

--- Ends a member: what its function had open is closed, its adapter goes.
local function finish(m, member)
  coroutine.close(member.thread)
  if has_adapter(m, member.name) then
    m:delete_adapter(member.name)
  end
end

--- One turn of a member; whether it goes on.
local function take_turn(m, member)
  if has_adapter(m, member.name) then
    m:set_adapter(member.name)
  end
  local results = table.pack(coroutine.resume(member.thread, member))
  if coroutine.status(member.thread) == "suspended" then
    if results[2] ~= "pruned" then
      return true
    end
    member.trial:prune()
  elseif not results[1] then
    member.trial:fail(tostring(results[2]))
  else
    local ok, problem = pcall(member.trial.complete, member.trial, table.unpack(results, 2, results.n))
    if not ok then
      member.trial:fail(tostring(problem))
    end
  end
  finish(m, member)
  return false
end

--- Trials until the study has `options.n`, at most `options.size` of them on `options.model` at a time.
function population.run(study, options, f)
  local m, size, wanted = options.model, options.size or 8, options.n
  local members = {}
  while true do
    while #members < size and #study:trials() < wanted do
      members[#members + 1] = start(study, f)
    end
    if #members == 0 then
      return
    end
    for index = #members, 1, -1 do
      if not take_turn(m, members[index]) then
        table.remove(members, index)
      end
    end
  end
end

return population
