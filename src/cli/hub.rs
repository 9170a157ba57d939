//! `affine hub`: what a script does with `affine.hub`, from the shell.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::failure::Failure;
use super::output::say;
use crate::engine::hub::{self, BRANCH, Kind, Repository, Settings, Upload, Uploaded, Way};
use crate::engine::{Error, Result, bytes};
use crate::lua::report::Report;

/// Download from the Hugging Face Hub, upload to it, or ask it
///
/// The token is HF_TOKEN's, or HF_TOKEN=… in the file .env, or what `hf auth login` left. Files are kept in the cache that
/// Python's huggingface_hub shares (HF_HOME, HF_HUB_CACHE).
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Bring a repository's files into the cache, and print the folder that holds them
    Download {
        #[command(flatten)]
        which: Which,
        /// Files, or patterns such as '*.safetensors'; may be repeated. Without it what a model, or rows, are made of
        #[arg(long = "file", value_name = "PATTERN")]
        files: Vec<String>,
    },
    /// Upload the folder of a model or an adapter in one commit, and read it back
    Upload(UploadOptions),
    /// What the Hub knows of a repository; without one, whose token it is
    Info {
        /// OWNER/NAME
        repo: Option<String>,
        /// A branch, a tag or a commit
        #[arg(long, default_value = BRANCH)]
        revision: String,
        #[arg(long, value_enum, default_value_t = RepoType::Model)]
        repo_type: RepoType,
    },
}

#[derive(Args)]
struct Which {
    /// OWNER/NAME
    repo: String,
    /// A branch, a tag or a commit
    #[arg(long, default_value = BRANCH)]
    revision: String,
    #[arg(long, value_enum, default_value_t = RepoType::Model)]
    repo_type: RepoType,
}

#[derive(Args)]
struct UploadOptions {
    folder: PathBuf,
    /// OWNER/NAME; made where it is not there
    repo: String,
    /// Only its owner sees it
    #[arg(long)]
    private: bool,
    /// A branch that is there
    #[arg(long, default_value = BRANCH)]
    revision: String,
    /// Open a pull request in place of a commit on the branch
    #[arg(long)]
    create_pr: bool,
    /// The first line of the commit
    #[arg(long)]
    message: Option<String>,
    /// Files to send, or patterns; may be repeated. Without it all, which must be what models are made of
    #[arg(long = "file", value_name = "PATTERN")]
    files: Vec<String>,
    /// Send nothing, and tell what would be sent
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum RepoType {
    Model,
    Dataset,
}

impl RepoType {
    fn repository(self, id: &str) -> Result<Repository> {
        let kind = match self {
            RepoType::Model => Kind::Model,
            RepoType::Dataset => Kind::DataSet,
        };
        Repository::named(kind, id)
    }
}

pub fn run(options: Options) -> std::result::Result<(), Failure> {
    let done = match options.action {
        Action::Download { which, files } => download(&which, &files),
        Action::Upload(options) => upload(options),
        Action::Info { repo: Some(repo), revision, repo_type } => info(&repo, &revision, repo_type),
        Action::Info { repo: None, .. } => whoami(),
    };
    done.map_err(|error| Failure::Script(Report::of(&error)))
}

fn download(which: &Which, files: &[String]) -> Result<()> {
    let repository = which.repo_type.repository(&which.repo)?;
    let patterns = (!files.is_empty()).then_some(files);
    let folder = hub::download(&Settings::read()?, &repository, &which.revision, patterns)?;
    say(folder.display());
    Ok(())
}

fn info(repo: &str, revision: &str, repo_type: RepoType) -> Result<()> {
    let Some(info) = hub::info(Settings::read()?, &repo_type.repository(repo)?, revision)? else {
        let hint = "check the id; for a private one set HF_TOKEN to a token of the right account";
        return Err(Error::hinted(format!("{repo}: the Hub has none of that name that you may see"), hint));
    };
    let visible = if info.private { "private" } else { "public" };
    say(format_args!("{} at {revision}: commit {}, {visible}", info.id, info.commit));
    for file in &info.files {
        say(format_args!("{:>10}  {}", bytes::of_file(file.size), file.path));
    }
    Ok(())
}

fn whoami() -> Result<()> {
    let account = hub::whoami(Settings::read()?)?;
    let organizations = match account.organizations.as_slice() {
        [] => String::new(),
        names => format!(", of {}", names.join(", ")),
    };
    say(format_args!("{}{organizations}", account.name));
    Ok(())
}

fn upload(options: UploadOptions) -> Result<()> {
    let default = Upload::default();
    let upload = Upload {
        folder: options.folder,
        repo: options.repo,
        private: options.private,
        revision: options.revision,
        create_pr: options.create_pr,
        message: options.message.unwrap_or(default.message),
        files: (!options.files.is_empty()).then_some(options.files),
        dry_run: options.dry_run,
    };
    let dry_run = upload.dry_run;
    tell(&hub::upload(Settings::read()?, upload)?, dry_run);
    Ok(())
}

fn tell(uploaded: &Uploaded, dry_run: bool) {
    for file in &uploaded.files {
        let way = match file.way {
            Way::Commit => "in the commit",
            Way::Store => "alone, through the store of large files",
            Way::Unchanged => "there already",
        };
        say(format_args!("{:>10}  {:<40}  {way}", bytes::of_file(file.size), file.path));
    }
    for name in &uploaded.removed {
        say(format_args!("{:>10}  {name:<40}  of an earlier model, removed", ""));
    }
    for warning in &uploaded.warnings {
        say(format_args!("to know: {warning}"));
    }
    match (&uploaded.commit, &uploaded.pull_request) {
        (Some(commit), Some(page)) => say(format_args!("{page} (commit {commit})")),
        (Some(commit), None) => say(format_args!("{} (commit {commit})", uploaded.url)),
        (None, _) if dry_run && uploaded.created => {
            say(format_args!("{}: would be made; nothing was sent", uploaded.url))
        }
        (None, _) => say(format_args!("{}: nothing was sent", uploaded.url)),
    }
}
