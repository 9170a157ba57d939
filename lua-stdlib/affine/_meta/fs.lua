---@meta affine.fs

---Files and folders. What goes wrong is an error that names the path.
---@class affine.fs
local fs = {}

---The whole content of a file, any bytes.
---@param path string
---@return string
function fs.read(path) end

---An iterator over the lines of a file, without their line ends: `for line in fs.lines(path) do`.
---@param path string
---@return fun(): string?
function fs.lines(path) end

---Writes a file whole or not at all: whoever looks sees the old content or the new.
---@param path string
---@param text string
function fs.write(path, text) end

---Adds to the end of a file, which is made when missing.
---@param path string
---@param text string
function fs.append(path, text) end

---Whether there is a file or a folder of this name.
---@param path string
---@return boolean
function fs.exists(path) end

---@param path string
---@return boolean
function fs.is_dir(path) end

---The names in a folder, sorted.
---@param path string
---@return string[]
function fs.list(path) end

---Makes a folder and those above it; one that is there is fine.
---@param path string
function fs.mkdir(path) end

---@class affine.fs.Remove
---@field recursive? boolean Remove a folder with all that is in it; false by default.

---Removes a file, a link, or a folder. Returns whether there was one.
---@param path string
---@param options? affine.fs.Remove
---@return boolean
function fs.remove(path, options) end

---Copies a file; one of the new name is replaced.
---@param from string
---@param to string
function fs.copy(from, to) end

---@param from string
---@param to string
function fs.rename(from, to) end

---Makes `link` point at `target`, which is relative to the link's folder. A link that is there is replaced at once.
---@param target string
---@param link string
function fs.symlink(target, link) end

---SHA-256 of a text, in lower-case hexadecimal.
---@param text string
---@return string
function fs.sha256(text) end

---SHA-256 of a file's content.
---@param path string
---@return string
function fs.sha256_file(path) end

---@class affine.fs.Lock
local Lock = {}

---Frees what is locked. A lock is free too when it goes out of a `<close>` scope, and when its process ends in any way.
function Lock:close() end

---Locks a file or a folder, which need not exist, against every other `fs.lock` and trainer that asks for it. Where another
---process holds it, the log says which (process, host, command, since when), and it is waited for for a minute; then that is
---an error. Meanwhile a file `.<name>.lock` is beside it.
---@param path string
---@return affine.fs.Lock
function fs.lock(path) end

---The working folder.
---@return string
function fs.cwd() end

---A new empty folder for temporary files. It stays until the script removes it.
---@return string
function fs.tempdir() end

return fs
