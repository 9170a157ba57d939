-- Plays an environment to see whether it keeps its promises: the same id gives the same bytes, instances share nothing,
-- results have their types, the expert succeeds, no action breaks it.

local env = require("affine.env")
local random = require("affine.random")

local env_check = {}

local TASKS = 20

-- What models say in their worst moments.
local ODD =
  { "", " ", "Action:", "Action:\nAction:", ("x"):rep(5000), "ä\u{2028}\0", "Action:\nlook\nAction:\nlook" }

local function sameness(a, b, what)
  if a ~= b then
    error(("%s: %q and then %q"):format(what, a:sub(1, 200), b:sub(1, 200)), 0)
  end
end

local function text(messages)
  local parts = {}
  for index, message in ipairs(messages) do
    parts[index] = message.role .. ": " .. message.content
  end
  return table.concat(parts, "\n")
end

--- Plays the episode that has begun, with actions that `choose` gives; how it stands in the end.
local function play(e, about, choose)
  local episode = e:episode()
  while not episode.ending do
    local action = choose()
    if action == nil then
      break
    end
    e:step(action)
    episode = e:episode()
    -- A penalty below the range is allowed, and counts as the lowest score.
    if not (episode.score <= about.score_high) then
      local problem = "action %q: the score %g is above %g"
      error(problem:format(action:sub(1, 80), episode.score, about.score_high), 0)
    end
  end
  return episode
end

local CHECKS = {
  {
    "reset twice gives the same bytes, and so do the opening turns",
    function(e, _, _, task)
      local first, opening = e:reset(task), text(e:messages())
      sameness(first, e:reset(task), "the first observation")
      sameness(opening, text(e:messages()), "the opening turns")
    end,
  },
  {
    "an episode leaves nothing behind",
    function(e, about, other, task)
      local first = e:reset(task)
      local stream = random.new(task, "env check")
      other:reset(task + 1 < (about.num_tasks or math.huge) and task + 1 or 0)
      play(e, about, function()
        return e:random_action(stream) or ODD[stream:int(1, #ODD)]
      end)
      sameness(first, e:reset(task), "the first observation after an episode")
      sameness(first, other:reset(task), "the first observation of another instance")
    end,
  },
  {
    "the expert succeeds",
    function(e, about, _, task)
      e:reset(task)
      local first = e:expert()
      if first == nil and task == 0 then
        return "there is no expert"
      elseif first == nil then
        return nil, ("it gives up on task %d"):format(task)
      end
      local episode = play(e, about, function()
        local action = first or e:expert()
        first = nil
        return action
      end)
      if not episode.finished and not episode.success then
        -- Some tasks take longer than the turns that there are, as in AgentGym's BabyAI.
        return nil, ("it does not finish task %d in %d turns"):format(task, about.max_turns)
      elseif not episode.success then
        error(("its score is %g, a success is %g"):format(episode.score, about.success_threshold), 0)
      end
    end,
  },
  {
    "random play breaks nothing",
    function(e, about, _, task)
      e:reset(task)
      local stream = random.new(task, "env check random")
      if e:random_action(stream) == nil then
        return "there is no random player"
      end
      play(e, about, function()
        return e:random_action(stream)
      end)
    end,
  },
  {
    "odd replies break nothing",
    function(e, _, _, task)
      for _, reply in ipairs(ODD) do
        e:reset(task)
        e:hear(reply)
      end
    end,
  },
}

--- Runs every check on the first tasks, printing one line for each. Returns how many failed.
function env_check.run(name, options)
  local e <close> = env.make(name, options)
  local other <close> = env.make(name, options)
  local about = e:describe()
  local last = math.min(about.num_tasks or TASKS, TASKS) - 1
  print(("%s, tasks 0 to %d"):format(about.name, last))
  local failed = 0
  for _, check in ipairs(CHECKS) do
    local title, run = table.unpack(check)
    local verdict, note, remarks = "ok", nil, {}
    for task = 0, last do
      -- Nothing when it passed; why it cannot be tried; or nil and a remark.
      local passed, said, remark = pcall(run, e, about, other, task)
      remarks[#remarks + 1] = passed and remark or nil
      if not passed then
        verdict, note, failed = "FAIL", ("task %d: %s"):format(task, tostring(said)), failed + 1
        break
      elseif said then
        verdict, note = "skip", said
        break
      end
    end
    if verdict == "ok" and 2 * #remarks > last + 1 then
      verdict, failed = "FAIL", failed + 1
    end
    local others = #remarks > 1 and (", nor %d others"):format(#remarks - 1) or ""
    note = note or remarks[1] and remarks[1] .. others
    print(("  %-5s %s%s"):format(verdict, title, note and ": " .. note or ""))
  end
  return failed
end

return env_check
