local command = require("affine.internal.command")
local secrets = require("affine.internal.secrets")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

describe("what others will read", function()
  it("holds no secret", function()
    for text, shown in pairs {
      ['{ name = "x", api_key = "abc" }'] = '{ name = "x", api_key = "…" }',
      ["hf_token = 'a\"b'"] = "hf_token = '…'",
      ["http://ann:pass@host:80/x"] = "http://…@host:80/x",
      ["data.password=abc"] = "data.password=…",
      ["rl.max_new_tokens = 48"] = "rl.max_new_tokens = 48",
      ["rl.max_new_tokens=48"] = "rl.max_new_tokens=48",
      ["http://host:80/a@b"] = "http://host:80/a@b",
    } do
      expect(secrets.hidden(text)):equals(shown)
    end
  end)

  it("is a command as a shell takes it", function()
    local arguments = { [0] = "my scripts/a.lua", "--set", "a={ 'b' }", "--preset", "x-1", "c.token=d" }
    expect(command.line(arguments)):equals(
      "affine 'my scripts/a.lua' --set 'a={ '\\''b'\\'' }' --preset x-1 'c.token=…'"
    )
    expect(command.line {}):equals(nil)
    expect(command.line(nil)):equals(nil)
  end)
end)
