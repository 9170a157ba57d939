-- A stage: when it is done already, what it does when it is not, where its log and its notes are.
--
-- A stage's output folder holds `stage.json` (see fingerprint.lua). A stage whose fingerprint is there and done is
-- skipped; one whose fingerprint is there but not done was interrupted and goes on from its last checkpoint; one whose
-- fingerprint differs says what changed and runs again, with the result before kept (see results.lua).

local command = require("affine.internal.command")
local fingerprint = require("affine.internal.fingerprint")
local fs = require("affine.fs")
local json = require("affine.json")
local log = require("affine.log")
local plan = require("affine.internal.plan")
local results = require("affine.internal.results")
local time = require("affine.time")
local track = require("affine.track")

local stage = {}

--- Where something of this experiment is: `path` itself, or below the folder of the experiment that was named.
function stage.folder(settings, path)
  return settings.experiment ~= "" and ("experiments/%s/%s"):format(settings.experiment, path) or path
end

local Stage = {}
Stage.__index = Stage

--- A line for the person who watches and for the stage's log.
function Stage:say(text, ...) ---@diagnostic disable-line: unused
  log.info(select("#", ...) > 0 and text:format(...) or text)
end

--- Adds a line of numbers to the run's metrics.jsonl.
function Stage:log(numbers)
  local line = { stage = self.name }
  for key, value in pairs(numbers) do
    line[key] = value
  end
  self.run:log(line)
end

function Stage:write_record()
  fs.mkdir(self.output)
  fs.write(self.output .. "/stage.json", json.encode(self.record, { indent = 2 }))
end

--- A value measured once and kept in stage.json, so that it outlives an interruption.
function Stage:once(key, measure)
  local notes = self.record.notes
  if notes[key] == nil then
    notes[key] = measure()
    self:write_record()
  end
  return notes[key]
end

--- Keeps a value in stage.json, in place of the one before.
function Stage:note(key, value)
  self.record.notes[key] = value
  self:write_record()
end

--- The value that was kept; nil where there is none.
function Stage:noted(key)
  return self.record.notes[key]
end

--- Adds the report of a step or an iteration to what training came to: sums in `state`, the table of a script's own that
--- the trainer's checkpoints hold, so that an interruption loses and doubles none.
function Stage:count(state, report) ---@diagnostic disable-line: unused
  local work = state.work or { steps = 0, seconds = 0 }
  work.steps = work.steps + 1
  for _, key in ipairs { "seconds", "tokens", "episodes", "failed" } do
    work[key] = report[key] and (work[key] or 0) + report[key]
  end
  state.work = work
end

--- Notes what training came to, of which model and where.
function Stage:note_training(m, state)
  local info = m:info()
  self.record.notes.model = {
    parameters = info.parameters,
    trainable_parameters = info.trainable_parameters,
    device = info.device,
  }
  self.record.notes.work = state.work
end

--- Where a sample of what is trained on goes: the option `samples` of a trainer.
function Stage:samples()
  return { file = self.run:path() .. "/episodes.jsonl.zst", stage = self.name }
end

-- What of a sample's tokens is shown as a distribution.
local TOKEN_NUMBERS = { "logprobs", "advantages", "values" }

--- Of the tokens that the policy said.
local function said_numbers(episodes, what)
  local numbers = {}
  for _, episode in ipairs(episodes) do
    local own = episode[what] or {}
    for _, range in ipairs(episode.mask or {}) do
      table.move(own, range[1] + 1, math.min(range[2], #own), #numbers + 1, numbers)
    end
  end
  return numbers
end

--- Shows W&B and TensorBoard an iteration's sample: its episodes as a table, the best and the worst as texts, and how the numbers of their tokens
--- are distributed.
function Stage:show_episodes(iteration)
  local place, rows = { stage = self.name, iteration = iteration }, {}
  local episodes = track.episodes(self.run:path(), place)
  for index, episode in ipairs(episodes) do
    local said = {}
    for turn, message in ipairs(episode.messages) do
      said[turn] = ("[%s] %s"):format(message.role, message.content)
    end
    local conversation = table.concat(said, "\n")
    rows[index] = {
      episode.env,
      episode.task_id,
      episode.picked,
      episode.score,
      episode.ending,
      conversation,
    }
    if episode.picked == "best" or episode.picked == "worst" then
      local title = ("episodes/%s/%s"):format(episode.env, episode.picked)
      self.run:text(place, title, ("score %.3f\n\n%s"):format(episode.score or 0, conversation))
    end
  end
  local columns = { "environment", "task", "picked", "score", "ending", "conversation" }
  self.run:table(place, "episodes", columns, rows)
  for _, what in ipairs(TOKEN_NUMBERS) do
    local numbers = said_numbers(episodes, what)
    if #numbers > 0 then
      self.run:histogram(place, "sample/" .. what, numbers)
    end
  end
end

--- What `resume_from_checkpoint` should be: the configured folder, or whether to look for the newest.
function Stage:resume_from(configured)
  return configured ~= "" and configured or self.resuming
end

-- What the logs of the stages are called; that of another stage by its name.
local LOGS = {
  collect = "data-collection",
  base = "base-training",
  sft = "sft-training",
  rl = "rl-training",
  evaluate = "evaluation",
  deploy = "deployment",
}

--- Sends log lines to the stage's own file, which begins with the run that they belong to; closed by an error, the file ends
--- with it.
local function open_log(settings, name, run)
  local path = ("%s/%s_%s.log"):format(stage.folder(settings, "logs"), LOGS[name] or name, time.stamp())
  log.file(path)
  log.info(("%s: run %s, log %s"):format(name, run:path(), path))
  return setmetatable({}, {
    __close = function(_, problem)
      local file = problem and io.open(path, "a")
      if file then
        file:write("stopped: ", tostring(problem), "\n")
        file:close()
      end
    end,
  })
end

--- Adds to the record what could not be read before the work: a model that only now is in the Hub's cache.
local function complete(self, spec)
  local record = self.record
  if spec.reads then
    local now = {}
    spec.reads(self.config, now, record.files, self.flags)
    for name, digest in pairs(now) do
      local was = record.files[name]
      record.files[name] = was and was.sha256 ~= "" and was or digest
    end
    fingerprint.seal(record)
  end
  record.outputs = fingerprint.made(self.holds, record.others)
end

local function run_stage(self, spec)
  local _ <close> = open_log(self.config, self.name, self.run)
  plan.stage(self.name)
  self:say("%s: begins", self.name)
  if not self.resuming then
    self.record.others = fingerprint.held(self.holds)
  end
  self.record.command = command.line(arg)
  self.record.versions = json.decode(fs.read(self.run:path() .. "/versions.json"))
  self:write_record()
  local started = time.clock()
  spec.run(self.config, self)
  self.record.seconds = time.clock() - started
  complete(self, spec)
  self.record.done = true
  self:write_record()
  self:say("%s: done in %.0f s, in %s", self.name, self.record.seconds, self.output)
end

--- Says what a person should know of a result that is taken as it is.
local function say_of_skipped(self)
  local record = self.record
  self:say("%s: done already, in %s; skipped", self.name, self.output)
  for _, path in ipairs(fingerprint.edits(self.holds, record)) do
    self:say("%s: %s changed since then; it is taken as it is now (--force makes it anew)", self.name, path)
  end
  if record.affine ~= self.made_by then
    local text = "%s: made by affine %s, this is %s; that alone makes nothing anew (--force does)"
    self:say(text, self.name, record.affine, self.made_by)
  end
end

--- Why a stage whose record is `before` cannot be skipped, in words; nil where it can.
local function reason_to_run(holds, before, record, flags)
  if flags.force then
    return "--force"
  elseif before.fingerprint ~= record.fingerprint then
    return fingerprint.difference(before, record)
  end
  local missing = before.done and fingerprint.lacks(holds, before)
  return missing and missing .. " is missing" or nil
end

--- The record of the result before the last one where that was made of the same and is whole, or can be gone on with;
--- else nil.
local function fitting_previous(self, record)
  local folder = results.previous(self.output)
  local previous = not self.in_place and not self.flags.force and fingerprint.read(folder)
  if not previous or previous.fingerprint ~= record.fingerprint then
    return nil
  end
  local is_whole = previous.done and not fingerprint.lacks(folder, previous)
  local goes_on = not previous.done and self.checkpoints and fs.exists(results.previous(self.checkpoints))
  return (is_whole or goes_on) and previous or nil
end

--- Whether what is there is worth keeping: a result, or one that was begun and does not push out a finished one.
local function is_kept(self, before)
  if not before or self.in_place then
    return false
  end
  local previous = fingerprint.read(results.previous(self.output))
  local was_begun = self.checkpoints and fs.exists(self.checkpoints) and not (previous and previous.done)
  return before.done or was_begun
end

--- Makes room for a new result.
local function make_room(self, before)
  if self.checkpoints and fs.exists(self.checkpoints) then
    fs.lock(self.checkpoints):close() -- a trainer at work there is not robbed of them
  end
  if is_kept(self, before) then
    for _, path in ipairs(fingerprint.edits(self.output, before)) do
      self:say("%s: %s changed since it was made; that goes with it", self.name, path)
    end
    results.set_aside(before, self.output, self.checkpoints)
    local what = before.done and "the result before" or "what was begun"
    self:say("%s: %s is kept in %s", self.name, what, results.previous(self.output))
  elseif self.checkpoints and fs.exists(self.checkpoints) then
    fs.remove(self.checkpoints, { recursive = true }) -- they belong to other settings
  end
end

--- Closed by an error, takes the result before back, where the stage has no checkpoints to go on from.
local function back_where_it_fails(self, before)
  local is_kept_whole = before and before.done and not self.in_place and not self.checkpoints
  return setmetatable({}, {
    __close = function(_, problem)
      if problem and is_kept_whole then
        results.take_back(before, self.record, self.output)
        self:say("%s: failed; the result before is back in %s", self.name, self.output)
      end
    end,
  })
end

local function call_stage(spec, settings, run, flags)
  if spec.before and (not spec.before.wanted or spec.before.wanted(settings)) then
    spec.before(settings, run, {})
  end
  local output = spec.output(settings)
  local checkpoints = spec.checkpoints and stage.folder(settings, spec.checkpoints)
  local holds = spec.holds and spec.holds(settings, flags) or output
  local _ <close> = fs.lock(output)
  local before = fingerprint.read(output)
  local record = fingerprint.record(spec, settings, flags, before)
  local why = before and reason_to_run(holds, before, record, flags)

  local self = setmetatable({
    name = spec.name,
    output = output,
    holds = holds,
    checkpoints = checkpoints,
    config = settings,
    flags = flags,
    run = run,
    made_by = record.affine,
    in_place = spec.in_place,
    resuming = before ~= nil and not why and not before.done and checkpoints ~= nil,
    record = before and not why and before or record,
  }, Stage)

  local previous = (not before or why) and fitting_previous(self, record)
  if previous then
    results.take_back(previous, before, output, checkpoints)
    self.record, self.resuming = previous, not previous.done
    local text = "%s: %s of these settings was kept in %s and is taken back"
    self:say(text, spec.name, previous.done and "the result" or "what was begun", results.previous(output))
  end

  if self.record.done then
    say_of_skipped(self)
  else
    if self.resuming then
      self:say("%s: was interrupted, goes on", spec.name)
    elseif why then
      self:say("%s: runs again (%s)", spec.name, why)
    end
    if not self.resuming then
      make_room(self, before)
    end
    local _ <close> = back_where_it_fails(self, before)
    run_stage(self, spec)
  end
  if spec.present then
    spec.present(settings, self)
  end
end

--- A stage, called as `stage(settings, run, flags)`. `spec` holds:
---
--- - name; run(settings, stage), which does the work; output(settings) → its folder;
--- - needs(settings, flags) → the folders of earlier stages, or { folder, file, … } where not all of one is read;
--- - ignores and except: which settings cannot matter to it (also as a function of the settings), and which of those
---   still do, words with spaces between;
--- - reads(settings, found, known, flags), which notes by content what it reads beside earlier stages' results (see
---   inputs.lua), and plays, whether it plays the environments;
---
--- and perhaps:
---
--- - present(settings, stage), which shows the result also when the work was skipped;
--- - checkpoints, a folder that goes with the result;
--- - in_place, where it replaces a result itself when the new one is there; holds(settings, flags) → the folder of what it makes,
---   where that is not all of its own;
--- - flags, as `config.load` takes them; before, a stage that runs first where its wanted(settings) says so.
function stage.callable(spec)
  return setmetatable(
    { name = spec.name, flags = spec.flags or {}, wanted = spec.wanted, plays = spec.plays },
    {
      __call = function(_, settings, run, flags)
        call_stage(spec, settings, run, flags or {})
      end,
    }
  )
end

return stage
