---@meta affine.hub

--- The Hugging Face Hub, both ways: models and data sets into the cache that Python's `huggingface_hub` shares, and a model's
--- folder into a repository. In a plan (`affine --plan`) nothing is asked of it and nothing is sent.
---
--- Variables that count: `HF_TOKEN` (or `HF_TOKEN=…` in the file `.env` of the working folder, `HF_TOKEN_PATH`, or what
--- `hf auth login` left), `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_HUB_ETAG_TIMEOUT` and
--- `HF_HUB_DOWNLOAD_TIMEOUT` (seconds).
---@class affine.hub
local hub = {}

--- Brings files of a repository into the cache, those that it lacks, and gives the folder that holds them. A download that was
--- cut goes on where it stopped; each file's hash is compared with the Hub's before it gets its name. Where the Hub cannot be
--- reached, files that the cache has are taken.
---@param options affine.hub.DownloadOptions
---@return string folder
function hub.download(options) end

---@class affine.hub.DownloadOptions
---@field repo string `owner/name`.
---@field revision? string A branch, a tag or a commit ("main").
---@field files? string[] Names, or patterns whose `*` stands for any characters; without it what a model, or rows of a data set, are made of.
---@field repo_type? "model"|"dataset" ("model")
---@field cache_dir? string A cache in place of the one that all share.

--- Uploads the folder of a model or of an adapter in one commit, and reads it back: every file's size and hash are compared
--- with what is here. Large files travel alone (through Xet, or Git LFS where a server has no Xet) and never in the commit;
--- files that are there already are not sent; what is left of an earlier model, other shards or an adapter beside a whole model,
--- is removed in the same commit. A cut upload leaves the repository as it was, and the next one goes on.
---
--- Refused: a folder without licence, tokenizer or `generation_config.json`; files that do not belong to a model; a file that
--- holds a key or a token; a link out of the folder; a repository that is public where `private` was asked for, or the other way.
---@param options affine.hub.UploadOptions
---@return affine.hub.Uploaded
function hub.upload(options) end

---@class affine.hub.UploadOptions
---@field folder string
---@field repo string `owner/name`; made where it is not there.
---@field private? boolean Whether only its owner sees it (false).
---@field revision? string A branch that is there ("main").
---@field create_pr? boolean Open a pull request in place of a commit on the branch (false).
---@field message? string The first line of the commit.
---@field files? string[] Names or patterns of the files to send; without it all, which must be what models are made of.
---@field dry_run? boolean Send nothing, and tell what would be sent (false).

---@class affine.hub.Uploaded
---@field url string The repository's page.
---@field commit? string The commit that holds the files; nil in a dry run.
---@field pull_request? string Its page.
---@field created boolean Whether the repository was made for this; in a dry run, whether it would be.
---@field files affine.hub.Sent[]
---@field removed string[] Files of an earlier model that went.
---@field sent_bytes integer Bytes of large files that went over the line; what the store had of them did not.
---@field warnings string[] What to know before others load it.

---@class affine.hub.Sent
---@field path string
---@field size integer In bytes.
---@field way "commit"|"store"|"unchanged" In the commit; alone, through the store of large files; not at all, because it is there.

--- Makes a repository for models. One that is there is left as it is.
---@param options { repo: string, private?: boolean }
---@return string url Its page.
function hub.create(options) end

--- What the Hub knows of a repository; nil where it has none of that name that your account may see.
---@param options { repo: string, revision?: string, repo_type?: "model"|"dataset" }
---@return affine.hub.Info?
function hub.info(options) end

---@class affine.hub.Info
---@field id string What it is called now; repositories are renamed.
---@field commit string
---@field private boolean
---@field files affine.hub.File[]

---@class affine.hub.File
---@field path string
---@field size integer In bytes.
---@field sha256? string Of a large file.
---@field git_sha1? string Of a small one, as git computes it.

--- Whose token it is.
---@return affine.hub.Account
function hub.whoami() end

---@class affine.hub.Account
---@field name string
---@field organizations string[]
---@field token? string The name that its owner gave the token.

return hub
