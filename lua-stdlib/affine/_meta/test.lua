---@meta affine.test

---Tests in Lua. A test file is a script: it fails when the outermost `describe` does, which happens at its end when one
---of its tests failed.
---@class affine.test
local test = {}

---Groups tests under a title.
---@param title string
---@param body fun()
function test.describe(title, body) end

---One test, inside a `describe`. The title is a sentence about what holds.
---@param title string
---@param body fun()
function test.it(title, body) end

---@param value any
---@return affine.test.Expectation
function test.expect(value) end

---@class affine.test.Expectation
local Expectation = {}

---Equal, tables by their content.
---@param wanted any
function Expectation:equals(wanted) end

---A number within `tolerance` of another.
---@param wanted number
---@param tolerance? number 1e-6 by default.
function Expectation:near(wanted, tolerance) end

---A text with this part in it, letter by letter.
---@param part string
function Expectation:contains(part) end

---A function that raises an error with this part in its message.
---@param part string
function Expectation:raises(part) end

return test
