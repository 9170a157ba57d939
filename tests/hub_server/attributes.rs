//! `.gitattributes` and `.gitignore`: which files go to large-file storage, and which are left out.

/// What a new repository's `.gitattributes` sends to large-file storage.
const LARGE: &str = "\
*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy *.npz *.onnx *.ot \
*.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz \
*.zip *.zst *tfevents*";

/// What a data set's sends there besides.
const LARGE_IN_DATASETS: &str = "\
*.lz4 *.mds *.pcm *.sam *.raw *.aac *.flac *.mp3 *.ogg *.wav *.bmp *.gif *.png *.tiff *.jpg *.jpeg *.webp *.mp4 *.webm";

/// Files from this size on go to large-file storage whatever they are called.
const REGULAR_LIMIT: u64 = 10_000_000;

pub fn default_attributes(is_dataset: bool) -> String {
    let more = if is_dataset { LARGE_IN_DATASETS } else { "" };
    LARGE.split_whitespace().chain(more.split_whitespace()).map(attribute_line).collect()
}

pub fn attribute_line(pattern: &str) -> String {
    format!("{pattern} filter=lfs diff=lfs merge=lfs -text\n")
}

/// Whether a file goes to large-file storage: by its name, its size, or because it is binary. An empty one never does.
pub fn goes_to_large_storage(attributes: &str, path: &str, size: u64, sample: &[u8]) -> bool {
    size > 0 && (is_large(attributes, path) || size >= REGULAR_LIMIT || is_binary(sample))
}

/// Whether `.gitattributes` sends the path to large-file storage. The last line that matches decides.
pub fn is_large(attributes: &str, path: &str) -> bool {
    let mut large = false;
    for line in attributes.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        if words.next().is_some_and(|pattern| matches_path(pattern, path)) {
            for word in words {
                match word {
                    "filter=lfs" => large = true,
                    "-filter" | "!filter" => large = false,
                    _ => {}
                }
            }
        }
    }
    large
}

/// Whether `.gitignore` leaves the path out, for patterns without negation.
pub fn is_ignored(ignore: &str, path: &str) -> bool {
    let patterns = ignore.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    patterns.into_iter().any(|pattern| {
        let folder = pattern.trim_end_matches('/');
        matches_path(folder, path) && folder.len() == pattern.len()
            || parents(path).any(|parent| matches_path(folder, parent))
    })
}

/// Content that git would call binary: a zero byte near its beginning.
fn is_binary(sample: &[u8]) -> bool {
    sample.contains(&0) || std::str::from_utf8(sample).is_err_and(|error| error.error_len().is_some())
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// Git's rule: a pattern without a slash is matched against the last component, one with a slash against the path.
fn matches_path(pattern: &str, path: &str) -> bool {
    match pattern.trim_start_matches('/') {
        whole if pattern.contains('/') => matches(whole.as_bytes(), path.as_bytes()),
        name => matches(name.as_bytes(), path.rsplit('/').next().unwrap_or(path).as_bytes()),
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            matches(rest, text) || (0..text.len()).any(|at| text[at] == b'/' && matches(rest, &text[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| matches(rest, &text[at..])),
        [b'*', rest @ ..] => {
            let component = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
            (0..=component).any(|at| matches(rest, &text[at..]))
        }
        [b'?', rest @ ..] => text.first().is_some_and(|&byte| byte != b'/') && matches(rest, &text[1..]),
        [byte, rest @ ..] => text.first() == Some(byte) && matches(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_attributes_choose_weights_and_not_texts() {
        let attributes = default_attributes(false);
        for large in ["model.safetensors", "deep/er/a.bin", "saved_model/x/y.txt", "runs/events.out.tfevents.1"] {
            assert!(is_large(&attributes, large), "{large}");
        }
        for regular in ["config.json", "README.md", "model.safetensors.index.json", "image.png"] {
            assert!(!is_large(&attributes, regular), "{regular}");
        }
        assert!(is_large(&default_attributes(true), "image.png"));
        assert!(!is_large(&format!("{attributes}small.bin -filter\n"), "small.bin"));
    }

    #[test]
    fn ignore_patterns_name_files_and_folders() {
        let ignore = "# left out\n*.log\nbuild/\n/top.txt\n";
        for ignored in ["a.log", "deep/a.log", "build/x", "deep/build/x/y", "top.txt"] {
            assert!(is_ignored(ignore, ignored), "{ignored}");
        }
        for kept in ["log", "build", "deep/top.txt", "a.logs"] {
            assert!(!is_ignored(ignore, kept), "{kept}");
        }
    }
}
