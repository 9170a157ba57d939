-- The half of `study:population` that must be Lua: its trials' functions run in coroutines and hand over at a report.

local population = {}

--- A trial as its function sees it.
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
function Member:report(...)
  self.trial:report(...)
  coroutine.yield()
end

---@async
function Member:report_tasks(...)
  self.trial:report_tasks(...)
  coroutine.yield()
end

--- The coroutine of a trial.
function population.start(trial, adapter, f)
  local member = setmetatable({ trial = trial, name = adapter }, Member)
  return coroutine.create(function()
    return f(member)
  end)
end

--- Lets it go on to its next report: true, or false and what its function returned.
function population.turn(thread)
  local function told(ok, ...)
    if not ok then
      error((...), 0)
    end
    return coroutine.status(thread) == "suspended", ...
  end
  return told(coroutine.resume(thread))
end

--- Closes what its function had open; an error in that is raised.
function population.close(thread)
  local ok, problem = coroutine.close(thread)
  if not ok then
    error(problem, 0)
  end
end

return population
