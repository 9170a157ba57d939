-- Text that others will read, without what gives access to something.

local secrets = {}

-- Ends of names whose value is a secret.
local NAMES = { "token", "api_key", "apikey", "password", "secret", "authorization" }

local HIDDEN = "…"

--- A text of settings or of a command with the secrets in it hidden: quoted values of such names, all that follows one in an
--- argument (`key.token=…`), and user and password in an address.
function secrets.hidden(text)
  text = text:gsub("://[^/%s\"'@]+@", "://" .. HIDDEN .. "@")
  for _, name in ipairs(NAMES) do
    text = text:gsub("(%f[%a]" .. name .. "[\"'%]]*%s*=%s*)([\"']).-%2", "%1%2" .. HIDDEN .. "%2")
    text = text:gsub("^([%w_.]*%f[%a]" .. name .. "=)[^\"'{].*$", "%1" .. HIDDEN)
  end
  return text
end

return secrets
