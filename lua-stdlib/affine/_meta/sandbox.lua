---@meta affine.sandbox

---Runs CPython programs that nobody has read: no network, no files but the interpreter's own and a fresh folder, no
---other processes, no more than the limits.
---@class affine.sandbox
local sandbox = {}

---@class affine.sandbox.Limits
---@field wall? number seconds until it is killed (30)
---@field cpu? number seconds of processor time, rounded up to whole ones (10)
---@field memory? integer bytes of address space (512 MiB)
---@field output? integer bytes on each of standard output and standard error (1,000,000)

---@class affine.sandbox.RunOptions
---@field code string Python source, any bytes
---@field stdin? string all of its standard input, any bytes
---@field limits? affine.sandbox.Limits
---@field python? string the interpreter, else the `python3` on the path
---@field accept_risk? boolean run it even where the kernel lacks Landlock or seccomp

---@class affine.sandbox.Outcome
---@field status "ok"|"error"|"timeout"|"memory"|"output"
---@field limit "wall"|"cpu"|nil with status "timeout"
---@field stdout string
---@field stderr string
---@field exit_code integer? nil where a signal ended it

---Runs a program to its end or to the first limit.
---@param options affine.sandbox.RunOptions
---@return affine.sandbox.Outcome
function sandbox.run(options) end

return sandbox
