-- `affine env list|play|check|serve`.

local check = require("affine.internal.env_check")
local env = require("affine.env")

local command = {}

local function count(n, noun)
  return ("%s %s%s"):format(n, noun, n == 1 and "" or "s")
end

local function size(about)
  return about.num_tasks and count(about.num_tasks, "task") or "any task id"
end

--- One line per environment that ships here.
function command.list()
  for _, built_in in ipairs(env.built_in()) do
    local made, e = pcall(env.make, built_in.name)
    local facts = made and ("%-13s %-9s"):format(size(e:describe()), count(e:describe().max_turns, "turn"))
      or tostring(e):match("^[^\n]*")
    print(("%-13s %s  %s"):format(built_in.name, facts, built_in.origin))
    if made then
      e:close()
    end
  end
  print(
    "\nOthers: custom:NAME (a module of that name here), a .lua file, http://HOST:PORT (an AgentGym server)"
  )
end

local HELP = "Type an action; `:expert` shows the expert's, `:quit` ends."

--- The reply that a typed line is: as it stands where the environment finds an action in it, else it is an action alone.
local function reply_of(e, line)
  local action = e:parse(line)
  return action and action ~= "" and line or e:reply(line)
end

--- Plays a task with whoever types.
function command.play(name, task, options)
  local e <close> = env.make(name, options)
  local about = e:describe()
  e:reset(task)
  for _, message in ipairs(e:messages()) do
    print(("[%s]\n%s\n"):format(message.role, message.content))
  end
  print(("%s, task %d, at most %s. %s"):format(about.name, task, count(about.max_turns, "turn"), HELP))
  local episode = e:episode()
  while not episode.ending do
    io.write("> ")
    io.flush()
    local line = io.read("l")
    if not line or line == ":quit" then
      break
    elseif line == ":expert" then
      print(e:expert() or "The expert has no advice.")
    elseif line:sub(1, 1) == ":" then
      print(HELP)
    else
      local observation, reward = e:hear(reply_of(e, line))
      episode = e:episode()
      print(observation)
      print(("(reward %g, score %g)"):format(reward, episode.score))
    end
  end
  local ending = episode.finished and "The episode is over"
    or episode.ending and "The turns are used up"
    or "Stopped"
  local verdict = episode.success and "a success" or "no success"
  print(("%s after %s: score %g, %s."):format(ending, count(episode.turns, "turn"), episode.score, verdict))
end

--- Checks an environment; an error when something is wrong with it.
function command.check(name, options)
  local failed = check.run(name, options)
  if failed > 0 then
    error(("%s: %s failed"):format(name, count(failed, "check")), 0)
  end
end

--- Serves it as AgentGym's servers do, until Ctrl-C.
function command.serve(name, serving, options)
  local e <close> = env.make(name, options)
  env.serve(e, serving)
end

local function literal(text)
  local chunk = load("return " .. text, "=--set", "t", {})
  local ok, value = pcall(chunk or error)
  if ok and value ~= nil then
    return value
  end
  return text
end

--- `KEY=VALUE` words as options.
local function options(words)
  local all = {}
  for _, word in ipairs(words) do
    local key, value = word:match("^([%w_]+)=(.*)$")
    if not key then
      error(("--set: expected KEY=VALUE, got `%s`"):format(word), 0)
    end
    all[key] = literal(value)
  end
  return all
end

--- What the command line asks for: the command, its words in order, then the settings.
function command.main(name, ...)
  local words = { ... }
  if name == "list" then
    command.list()
  elseif name == "play" then
    command.play(words[1], math.tointeger(words[2]), options { table.unpack(words, 3) })
  elseif name == "check" then
    command.check(words[1], options { table.unpack(words, 2) })
  elseif name == "serve" then
    command.serve(words[1], {
      host = words[2],
      port = math.tointeger(words[3]),
      api_key = words[4] ~= "" and words[4] or nil,
      max_instances = math.tointeger(words[5]),
    }, options { table.unpack(words, 6) })
  end
end

return command
