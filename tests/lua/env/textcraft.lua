-- TextCraft and the AgentGym client as a script meets them.
local env = require("affine.env")
local fs = require("affine.fs")
local path = require("affine.path")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

describe("textcraft", function()
  it("is played from a script", function()
    local e <close> = env.make("agentgym:textcraft")
    local about = e:describe()
    expect({ about.name, about.num_tasks, about.max_turns }):equals { "textcraft", 544, 20 }
    local episode = env.play(e, 12, function(player)
      return "Thought:\nBread.\n\nAction:\n" .. player:expert()
    end)
    expect({ episode.turns, episode.score, episode.success }):equals { 2, 1, true }
    expect(#episode.messages):equals(6)
    expect(episode.messages[5].content):equals("Got 3 wheat")
  end)

  it("takes its own instructions from a text or a file", function()
    local folder = fs.tempdir()
    local file = path.join(folder, "mine.txt")
    fs.write(file, "Craft it.")
    for _, instructions in ipairs { "Craft it.", file } do
      local e <close> = env.make("textcraft", { instructions = instructions })
      e:reset(0)
      expect(e:messages()[1].content):equals("Craft it.")
    end
  end)

  it("complains of two actions in a reply", function()
    local e <close> = env.make("textcraft")
    local action, complaint = e:parse("Action: a\nAction: b")
    expect(action):equals(nil)
    expect(complaint):equals("Error: Only one 'Action' is allowed per response. Please adjust your response.")
  end)

  it("names an option that it does not have", function()
    expect(function()
      env.make("textcraft", { hash_sed = 1 })
    end):raises("hash_seed")
  end)
end)

describe("env.built_in", function()
  it("lists what env.make knows", function()
    for _, built_in in ipairs(env.built_in()) do
      local made, e = pcall(env.make, built_in.name)
      if made then
        e:close()
      else
        expect(built_in.name):equals("sciworld") -- Java and its jar are no part of a clone
      end
    end
  end)
end)

describe("an AgentGym server", function()
  it("that is not there is named", function()
    expect(function()
      env.make("http://127.0.0.1:9", { kind = "webshop" })
    end):raises("server http://127.0.0.1:9: nothing answers there")
  end)

  it("has one of five kinds", function()
    expect(function()
      env.make("http://127.0.0.1:9", { kind = "webshp" })
    end):raises("webshop")
  end)
end)
