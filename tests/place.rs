//! Where the tests work: in a folder of their own and with a home of their own, whatever a test's author remembers.
//!
//! Both are entered before `main`, and so hold for every test, for every script that a test runs in this process and for
//! every program that it starts. The folder shows the clone's `tests` and `scripts` as links, so that their names are
//! those that a user types.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub const CLONE: &str = env!("CARGO_MANIFEST_DIR");
const LINKS: [&str; 2] = ["scripts", "tests"];

/// What a user's shell may say of her own files, tokens and servers.
const HERS: [&str; 6] = ["HF_", "HUGGING_FACE_", "TRANSFORMERS_", "XDG_", "AFFINE_LOG", "AFFINE_STDLIB"];

/// Where version managers keep their programs below a home: a `python3` of theirs is still found.
const MANAGERS: [(&str, &str); 3] =
    [("PYENV_ROOT", ".pyenv"), ("ASDF_DATA_DIR", ".asdf"), ("MISE_DATA_DIR", ".local/share/mise")];

static PLACE: OnceLock<PathBuf> = OnceLock::new();

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = enter;

extern "C" fn enter() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("place-{}", std::process::id()));
    // Of a process that had this one's number and was killed.
    let _ = std::fs::remove_dir_all(&place);
    let home = place.join("home");
    std::fs::create_dir_all(&home).unwrap();
    let here = place.join("here");
    std::fs::create_dir(&here).unwrap();
    show_clone(&here);
    std::env::set_current_dir(&here).unwrap();
    let hers: Vec<OsString> = std::env::vars_os().map(|(name, _)| name).filter(|name| is_hers(name)).collect();
    let old_home = std::env::var_os("HOME").map(PathBuf::from);
    // SAFETY: there is no other thread before `main`.
    unsafe {
        for name in hers {
            std::env::remove_var(name);
        }
        for (name, below) in MANAGERS {
            if let (Some(old), None) = (&old_home, std::env::var_os(name)) {
                std::env::set_var(name, old.join(below));
            }
        }
        std::env::set_var("HOME", &home);
        libc::atexit(leave);
    }
    PLACE.set(place).unwrap();
}

fn is_hers(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| HERS.iter().any(|prefix| name.starts_with(prefix)))
}

extern "C" fn leave() {
    let _ = std::env::set_current_dir(CLONE);
    if let Some(place) = PLACE.get() {
        let _ = std::fs::remove_dir_all(place);
    }
}

/// Links in `folder` by which the clone's scripts and tests are found from there.
pub fn show_clone(folder: &Path) {
    for name in LINKS {
        symlink(Path::new(CLONE).join(name), folder.join(name)).unwrap();
    }
}

/// What lies in such a folder beside the links.
pub fn left_in(folder: &Path) -> Vec<OsString> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| !LINKS.iter().any(|link| name == link)).collect()
}

#[test]
fn tests_work_outside_the_clone_and_away_from_a_users_home() {
    let here = std::env::current_dir().unwrap();
    assert!(here.ends_with("here") && here != Path::new(CLONE), "{}", here.display());
    for name in LINKS {
        assert_eq!(here.join(name).canonicalize().unwrap(), Path::new(CLONE).join(name), "{name}");
    }
    let script = "print(os.getenv 'HOME', os.getenv 'HF_TOKEN', os.getenv 'XDG_CACHE_HOME')";
    let said = crate::cli::stdout(&crate::cli::affine().args(["-e", script]).output().unwrap());
    assert_eq!(said, format!("{}\tnil\tnil\n", here.with_file_name("home").display()));
}
