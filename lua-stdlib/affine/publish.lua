-- What deploy does with the Hub: sends a part (a model or an adapter, with its folder and its repository), tells what went, and
-- looks at it once more.

local card = require("affine.card")
local fs = require("affine.fs")
local hub = require("affine.hub")
local json = require("affine.json")
local path = require("affine.path")
local pipeline = require("affine.pipeline")
local plan = require("affine.internal.plan")

local publish = {}

local CARD = "README.md"

--- Whether a run of deploy has to do with the Hub.
function publish.is_wanted(settings, flags)
  return settings.huggingface.upload or flags.upload or flags["dry-run"] or flags.verify
end

--- Lets an adapter in a folder name its base as others find it, where the settings tell that.
function publish.name_base(settings, folder)
  local id, file = settings.huggingface.adapter_base, folder .. "/adapter_config.json"
  if id ~= "" then
    local config = json.decode(fs.read(file))
    config.base_model_name_or_path = id
    config.revision = json.null
    fs.write(file, json.encode(config, { indent = 2 }))
  end
end

--- The hashes of the weights in a folder, by the files' names.
local function weights_of(folder)
  local found, by_name = {}, {}
  pipeline.read_weights(found, folder, {})
  for file, digest in pairs(found) do
    by_name[path.name(file)] = digest.sha256
  end
  return by_name
end

--- Makes sure that the base which an adapter names is, byte for byte, the one that it was trained over.
local function check_base(settings, part)
  local id = settings.huggingface.adapter_base
  if not part.adapter or id == "" or plan.active() then
    return
  end
  local there = hub.info { repo = id }
    or pipeline.fail("huggingface.adapter_base: the Hub has no model %s that you may see", id)
  local remote = {}
  for _, file in ipairs(there.files) do
    remote[file.path] = file.sha256
  end
  for name, digest in pairs(weights_of(part.adapter.base)) do
    if name:find("%.safetensors$") and remote[name] ~= digest then
      local text = "huggingface.adapter_base: %s of %s is not that of %s, over which the adapter was trained"
      pipeline.fail(text, name, id, part.adapter.base)
    end
  end
end

--- The hash of a repository's card, and its commit; nil where it has none.
local function card_there(repo, revision)
  local there = hub.info { repo = repo, revision = revision }
  if there then
    for _, file in ipairs(there.files) do
      if file.path == CARD then
        return file.git_sha1 or file.sha256, there.commit
      end
    end
  end
  return nil
end

--- Takes over what was written on the Hub around the measured block, unless it is what was sent from here the last time.
local function keep_card(settings, stage, part, about)
  local hash, commit = card_there(part.repo, settings.huggingface.revision)
  local sent = stage:noted("cards_sent") or {}
  if not hash or hash == sent[part.repo] or not settings.huggingface.create_model_card then
    return
  end
  local folder = hub.download { repo = part.repo, revision = commit, files = { CARD } }
  about.existing = path.join(folder, CARD)
  local text, warnings = card.text(settings, about)
  fs.write(path.join(part.folder, CARD), text)
  stage:say("the card of %s was written to on the Hub; that stays, and what was measured is new", part.repo)
  for _, warning in ipairs(warnings) do
    stage:say("warning: %s", warning)
  end
end

local WAYS = { commit = "in the commit", store = "alone", unchanged = "there already" }

--- Says file by file what is sent, in a dry run; else in one line.
local function say_what(stage, done, is_dry)
  local counts, bytes = {}, 0
  for _, file in ipairs(done.files) do
    counts[file.way] = (counts[file.way] or 0) + 1
    bytes = bytes + file.size
    if is_dry then
      stage:say("  %12d bytes  %s, %s", file.size, file.path, WAYS[file.way])
    end
  end
  for _, name in ipairs(done.removed) do
    stage:say("  %s, of an earlier model, %s", name, is_dry and "would be removed" or "removed")
  end
  local parts = {}
  for _, way in ipairs { "commit", "store", "unchanged" } do
    parts[#parts + 1] = counts[way] and ("%d %s"):format(counts[way], WAYS[way]) or nil
  end
  stage:say("%d files of %d bytes: %s", #done.files, bytes, table.concat(parts, ", "))
  for _, warning in ipairs(done.warnings) do
    stage:say("to know: %s", warning)
  end
end

--- Adds an upload to the run's summary.json.
local function add_to_summary(stage, part, done)
  local file = path.join(stage.run:path(), "summary.json")
  local summary = fs.exists(file) and json.decode(fs.read(file)) or {}
  local entry = { url = done.url, commit = done.commit, pull_request = done.pull_request }
  summary.hub = summary.hub or {}
  summary.hub[part.repo] = entry
  stage.run:summary(summary)
end

--- Notes the card as it was sent, so that a later upload knows whether somebody has written to it since.
local function note_card(stage, part, commit)
  local sent = stage:noted("cards_sent") or {}
  sent[part.repo] = card_there(part.repo, commit)
  stage:note("cards_sent", sent)
end

--- Downloads what was sent into a new cache, and lets `check` load it.
local function verify(stage, part, commit, check)
  local cache = part.folder .. ".verify"
  local _ <close> = setmetatable({}, {
    __close = function()
      fs.remove(cache, { recursive = true })
    end,
  })
  local folder = hub.download { repo = part.repo, revision = commit, files = { "*" }, cache_dir = cache }
  stage:say("downloaded again from %s at %s", part.repo, commit)
  check(folder)
end

--- Uploads a part. `about` is what its card is made of (see card.lua); `check(folder)` compares a model's folder with what was
--- trained.
function publish.upload(settings, stage, part, about, check)
  local h, is_dry = settings.huggingface, stage.flags["dry-run"] == true
  check_base(settings, part)
  keep_card(settings, stage, part, about)
  local done = hub.upload {
    folder = part.folder,
    repo = part.repo,
    private = h.private,
    revision = h.revision,
    create_pr = h.create_pr,
    dry_run = is_dry,
  }
  say_what(stage, done, is_dry)
  if is_dry or not done.commit then
    stage:say("%s: nothing was sent", done.url)
    return
  end
  stage:say("uploaded to %s (commit %s)", done.pull_request or done.url, done.commit)
  add_to_summary(stage, part, done)
  note_card(stage, part, done.commit)
  if stage.flags.verify then
    verify(stage, part, done.commit, check)
  end
end

return publish
