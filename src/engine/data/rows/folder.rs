//! Which files of a folder are read as rows. The rules, which are those of Python's `datasets` where it has one:
//!
//! 1. Folders are searched to their ends, through links too. What begins with a dot, a folder that begins with `__`, and
//!    documents about a data set (README.md, dataset_info.json, …) are no data.
//! 2. A name that ends as a format of rows does ([`format`]) is data, whatever format the others have.
//! 3. A file belongs to a split where a word of a folder's name says so, else where one of its own name does: `train`,
//!    `training`; `validation`, `valid`, `val`, `dev`; `test`, `testing`, `eval`, `evaluation`. Words are what stands between
//!    characters that are no letters, so `constraints` is none of them.
//! 4. Of a folder with a training split that alone is read; of another the files of no split; and where there are only
//!    other splits, those.
//! 5. Each file is read once, however many names it has.
//!
//! What the second to the fifth leave out is told with its reason.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::{EXPECTED, format};
use crate::engine::file::unreadable;
use crate::engine::{Error, Result};

/// At most this many files that are left out are named.
const MAX_NAMED: usize = 5;

/// A folder's files, sorted by path.
#[derive(Debug, Default)]
pub struct DataFiles {
    pub files: Vec<PathBuf>,
    /// Those that are not read, and why.
    pub left_out: Vec<(PathBuf, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    fn name(self) -> &'static str {
        self.words()[0]
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Split::Train => &["train", "training"],
            Split::Validation => &["validation", "valid", "val", "dev"],
            Split::Test => &["test", "testing", "eval", "evaluation"],
        }
    }

    /// The split that a name tells; of several the first, as `datasets` reads `train_test.jsonl` as training data.
    fn of_name(name: &str) -> Option<Split> {
        let says = |split: &Split| {
            let mut words = name.split(|c: char| !c.is_alphabetic());
            words.any(|word| split.words().iter().any(|known| word.eq_ignore_ascii_case(known)))
        };
        Split::ALL.into_iter().find(says)
    }

    /// The split of a file by its path below the folder that is read.
    fn of(path: &Path) -> Option<Split> {
        let folders = path.parent().into_iter().flat_map(Path::components);
        let mut told = folders.filter_map(|part| Split::of_name(&part.as_os_str().to_string_lossy()));
        told.next().or_else(|| Split::of_name(&path.file_name()?.to_string_lossy()))
    }
}

/// The files below a folder that are read as rows; an error where none is.
pub fn data_files(folder: &Path) -> Result<DataFiles> {
    let mut found =
        Search { root: folder, data: Vec::new(), left_out: Vec::new(), above: Vec::new(), searched: HashSet::new() };
    found.folder(folder)?;
    let splits: Vec<Option<Split>> = found.data.iter().map(|(path, _)| Split::of(found.below(path))).collect();
    let wanted = [Some(Split::Train), None].into_iter().find(|wanted| splits.contains(wanted));
    let mut result = DataFiles { files: Vec::new(), left_out: found.left_out };
    let mut known: HashMap<Id, PathBuf> = HashMap::new();
    for ((path, id), split) in found.data.into_iter().zip(splits) {
        let same = id.and_then(|id| known.get(&id));
        let why = match (wanted.is_none_or(|wanted| split == wanted), split, same) {
            (false, Some(split), _) => format!("the {} split", split.name()),
            (false, None, _) => "of no split, beside a training split".to_string(),
            (true, _, Some(same)) => {
                format!("the same file as {}", same.strip_prefix(folder).unwrap_or(same).display())
            }
            (true, _, None) => {
                known.extend(id.map(|id| (id, path.clone())));
                result.files.push(path);
                continue;
            }
        };
        result.left_out.push((path, why));
    }
    result.left_out.sort();
    match result.files.is_empty() {
        true => Err(nothing(folder, &result)),
        false => Ok(result),
    }
}

impl DataFiles {
    /// What is left out of `folder`, in one sentence; nothing where all is read.
    pub fn told(&self, folder: &Path) -> Option<String> {
        let named = self.left_out.iter().take(MAX_NAMED);
        let named: Vec<String> = named
            .map(|(path, why)| format!("{} ({why})", path.strip_prefix(folder).unwrap_or(path).display()))
            .collect();
        let more = match self.left_out.len() - named.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
    }
}

fn nothing(folder: &Path, found: &DataFiles) -> Error {
    let others = found.told(folder).map_or(String::new(), |told| format!("; not read: {told}"));
    Error::file(folder, format!("no file of rows is in this folder: expected names that end in {EXPECTED}{others}"))
}

/// What two names of one file or folder have in common.
type Id = (u64, u64);

struct Search<'a> {
    root: &'a Path,
    /// Files that hold rows by their names. A link that leads nowhere is left to its reader.
    data: Vec<(PathBuf, Option<Id>)>,
    left_out: Vec<(PathBuf, String)>,
    /// The folders that the current one is in: a link to one of them would be a circle.
    above: Vec<Id>,
    /// Each folder is searched once for each split that its names tell.
    searched: HashSet<(Id, Option<Split>)>,
}

impl Search<'_> {
    fn below<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(self.root).unwrap_or(path)
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let wrong = |error: std::io::Error| unreadable(folder, &error);
        let own = id(&fs::metadata(folder).map_err(wrong)?);
        if self.above.contains(&own) || !self.searched.insert((own, Split::of(self.below(folder)))) {
            return Ok(());
        }
        let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
        let mut paths: Vec<PathBuf> = entries.map_err(wrong)?.iter().map(fs::DirEntry::path).collect();
        paths.sort();
        self.above.push(own);
        let searched = paths.into_iter().try_for_each(|path| self.entry(path));
        self.above.pop();
        searched
    }

    fn entry(&mut self, path: PathBuf) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let about = fs::metadata(&path).ok();
        let is_folder = about.as_ref().is_some_and(Metadata::is_dir);
        if name.starts_with('.') || is_folder && name.starts_with("__") || is_document(&name) {
            return Ok(());
        }
        match about {
            Some(_) if is_folder => return self.folder(&path),
            Some(about) if !about.is_file() => self.left_out.push((path, "no regular file".to_string())),
            _ if format(&path).is_none() => self.left_out.push((path, "in no format that is read".to_string())),
            about => self.data.push((path, about.as_ref().map(id))),
        }
        Ok(())
    }
}

fn id(about: &Metadata) -> Id {
    (about.dev(), about.ino())
}

/// What tells of a data set and holds none of its rows.
fn is_document(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let about = ["config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"];
    about.contains(&name.as_str()) || name.ends_with(".md") || name.starts_with("readme") || name.starts_with("license")
}
