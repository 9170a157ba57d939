//! Which file uses which, read from the sources, and the rings that this makes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;

/// A module's path below `crate`.
type Module = Vec<String>;

/// A path in the code, by its parts, and the number of its line.
type Named = (Vec<String>, usize);

/// A line of one file that uses another file.
pub struct Use {
    pub file: String,
    pub line: usize,
    pub used: String,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} uses {}", self.file, self.line, self.used)
    }
}

/// What one file says of others.
#[derive(Default)]
struct File {
    name: String,
    /// What its `use` statements bring in, by the name that it has here.
    imports: HashMap<String, Vec<String>>,
    /// What it uses: its private imports and the paths in its code. A public import is a name passed on, which is a use
    /// of whoever takes it up.
    named: Vec<Named>,
}

/// The files of a crate by their modules.
pub struct Program(BTreeMap<Module, File>);

impl Program {
    /// From each file's place below `src` and its text.
    pub fn read<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let module = |name: &str| -> Module {
            let mut parts: Module = name.trim_end_matches(".rs").split('/').map(str::to_string).collect();
            parts.pop_if(|last| ["mod", "lib"].contains(&last.as_str()));
            parts
        };
        Program(sources.into_iter().map(|(name, text)| (module(name), File::read(name, text))).collect())
    }

    /// The shortest ring between files of different folders, by the lines that close it.
    pub fn ring(&self) -> Option<Vec<Use>> {
        let uses = self.uses();
        let across = uses.iter().flat_map(|(user, used)| used.keys().map(move |used| (*user, *used)));
        let rings = across.filter(|(user, used)| self.folder(user) != self.folder(used)).filter_map(|(user, used)| {
            let mut way = way(&uses, used, user)?;
            way.insert(0, user);
            Some(way)
        });
        let shortest = rings.min_by_key(Vec::len)?;
        let line = |pair: &[&Module]| Use {
            file: self.0[pair[0]].name.clone(),
            line: uses[pair[0]][pair[1]],
            used: self.0[pair[1]].name.clone(),
        };
        Some(shortest.windows(2).map(line).collect())
    }

    /// For each module those that it uses, with the first line that does.
    fn uses(&self) -> BTreeMap<&Module, BTreeMap<&Module, usize>> {
        let of = |module| {
            let mut used = BTreeMap::new();
            for (path, line) in &self.0[module].named {
                match self.resolve(module, path) {
                    Some(other) if other != module => *used.entry(other).or_insert(*line),
                    _ => continue,
                };
            }
            (module, used)
        };
        self.0.keys().map(of).collect()
    }

    /// The module whose file has what a path names as seen from `module`; `None` where that is another crate's, or a
    /// module itself, of which something is used elsewhere.
    fn resolve(&self, module: &Module, path: &[String]) -> Option<&Module> {
        let (first, rest) = path.split_first()?;
        match self.0[module].imports.get(first) {
            Some(import) => self.follow(module, &[import, rest].concat()),
            None => self.follow(module, path),
        }
    }

    /// As [`Program::resolve`], for a path that begins at a module.
    fn follow(&self, module: &Module, path: &[String]) -> Option<&Module> {
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" | "super" => (module.clone(), path),
            child => self.0.contains_key(&joined(module, child)).then(|| (module.clone(), path))?,
        };
        while let Some((next, after)) = rest.split_first() {
            match next.as_str() {
                "self" => {}
                "super" => drop(at.pop()?),
                child if self.0.contains_key(&joined(&at, child)) => at.push(child.to_string()),
                _ => break,
            }
            rest = after;
        }
        let (file_of, file) = self.0.get_key_value(&at)?;
        let (name, within) = rest.split_first()?;
        match file.imports.get(name) {
            Some(import) => self.follow(file_of, &[import, within].concat()).or(Some(file_of)),
            None => Some(file_of),
        }
    }

    /// The folder that a module's file belongs to: `a/mod.rs`, and `a.rs` beside `a/`, to that of the files below them.
    fn folder<'a>(&self, module: &'a Module) -> &'a [String] {
        let has_files_below = self.0.keys().any(|other| other.len() > module.len() && other.starts_with(module));
        if has_files_below { module } else { &module[..module.len() - 1] }
    }
}

fn joined(module: &[String], child: &str) -> Module {
    [module, &[child.to_string()]].concat()
}

/// The shortest way from one module to another along what they use.
fn way<'a>(
    uses: &BTreeMap<&'a Module, BTreeMap<&'a Module, usize>>,
    from: &'a Module,
    to: &Module,
) -> Option<Vec<&'a Module>> {
    let mut came_from = BTreeMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            let mut way: Vec<_> = std::iter::successors(Some(at), |at| came_from[at]).collect();
            way.reverse();
            return Some(way);
        }
        for next in uses[at].keys() {
            came_from.entry(next).or_insert_with(|| {
                queue.push_back(next);
                Some(at)
            });
        }
    }
    None
}

impl File {
    /// Comments and the tests at a file's end left out.
    fn read(name: &str, text: &str) -> Self {
        let mut file = File { name: name.to_string(), ..File::default() };
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
        let mut lines = (1..).zip(code);
        while let Some((number, line)) = lines.next() {
            let Some((is_public, statement)) = import(line) else {
                file.named.extend(paths(line).map(|path| (path, number)));
                continue;
            };
            let mut tree = statement.to_string();
            while !tree.contains(';') {
                let Some((_, more)) = lines.next() else { break };
                tree.push_str(more);
            }
            for (name, path) in leaves(&[], tree.trim_end_matches(';')) {
                if !is_public {
                    file.named.push((path.clone(), number));
                }
                if name != "*" {
                    file.imports.insert(name, path);
                }
            }
        }
        file
    }
}

/// Whether the `use` statement that begins on a line is public, and what stands behind its `use`.
fn import(line: &str) -> Option<(bool, &str)> {
    let behind = line.strip_prefix("pub").map(|rest| match rest.strip_prefix('(') {
        Some(inside) => inside.split_once(')').map_or(rest, |(_, rest)| rest),
        None => rest,
    });
    let statement = behind.map_or(line, str::trim_start).strip_prefix("use ")?;
    Some((behind.is_some(), statement))
}

/// The paths in a line of code.
fn paths(line: &str) -> impl Iterator<Item = Vec<String>> {
    let runs = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    runs.filter(|run| run.contains("::")).map(parts)
}

fn parts(path: &str) -> Vec<String> {
    path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_string).collect()
}

/// The names that a `use` statement's tree brings in, with their paths: `a::{b, c::{self, D as E}}` has `b`, `c`, `E`.
fn leaves(above: &[String], tree: &str) -> Vec<(String, Vec<String>)> {
    if let Some((start, list)) = tree.split_once('{') {
        let above = [above, &parts(start)].concat();
        let list = list.rsplit_once('}').map_or(list, |(list, _)| list);
        let mut depth = 0;
        let items = list.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        return items.flat_map(|item| leaves(&above, item.trim())).collect();
    }
    let (path, renamed) = match tree.split_once(" as ") {
        Some((path, name)) => (path, Some(name.to_string())),
        None => (tree, None),
    };
    let mut path = [above, &parts(path)].concat();
    path.pop_if(|last| last == "self" && !above.is_empty());
    let name = renamed.or(path.last().cloned());
    name.into_iter().map(|name| (name, path.clone())).collect()
}
