//! Puts libtorch's real folder into the binary's rpath, compiles the C++ of `engine/native`, records the git
//! revision and rebuilds when the Lua standard library gains a file.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let lib = libtorch_lib();
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    println!("cargo:rustc-env=AFFINE_LIBTORCH_LIB={}", lib.display());
    println!("cargo:rustc-env=AFFINE_GIT_REVISION={}", git_revision());
    compile_native(&lib);
    compile_cuda(&lib);
    println!("cargo:rerun-if-changed=lua-stdlib");
    println!("cargo:rerun-if-changed=config.lua");
}

/// The C++ of `engine/native`, against the headers beside libtorch. It compiles for a minute, so what a change of Lua or a
/// commit finds compiled already stays.
fn compile_native(lib: &Path) {
    println!("cargo:rerun-if-changed=src/engine/native");
    let kept = Kept::of("libaffine_native.a", lib);
    if kept.is_current() {
        println!("cargo:rustc-link-search=native={}", out_dir().display());
        println!("cargo:rustc-link-lib=static=affine_native");
        println!("cargo:rustc-link-lib=stdc++");
        return;
    }
    let is_compiled = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "cpp");
    let mut sources: Vec<PathBuf> = files_of(&"src/engine/native").into_iter().filter(is_compiled).collect();
    sources.sort();
    let include = lib.join("../include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        // The loops are to be vectorised in every profile; none of them looks at errno or floating-point traps.
        .opt_level(3)
        .flag("-fopenmp-simd")
        .flag("-fno-math-errno")
        .flag("-fno-trapping-math")
        .warnings(false)
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .files(&sources)
        .compile("affine_native");
    kept.note();
}

/// The C++ of `engine/native/cuda` as a shared object that the binary carries, linked with nothing: libtorch's CUDA half
/// is opened before it. An empty file where CUDA's headers are not beside libtorch, as its wheels lay them out.
fn compile_cuda(lib: &Path) {
    let object = out_dir().join("libaffine_cuda.so");
    let (torch, cuda) = (lib.join("../include"), lib.join("../../nvidia/cu13/include"));
    if cuda.exists() {
        println!("cargo:rerun-if-changed={}", cuda.display());
    }
    let kept = Kept::of("libaffine_cuda.so", lib);
    if kept.is_current() {
        return;
    }
    // Of the two wheels that have them.
    let headers = ["cuda_runtime_api.h", "crt/host_config.h"];
    let compiled = headers.iter().all(|header| cuda.join(header).exists()) && {
        let compiler = cc::Build::new()
            .cpp(true)
            .std("c++17")
            .opt_level(2)
            .warnings(false)
            .pic(true)
            .includes([torch.clone(), torch.join("torch/csrc/api/include"), cuda])
            .get_compiler();
        let arguments = ["-shared", "-s", "src/engine/native/cuda/graph.cpp", "-o"];
        compiler.to_command().args(arguments).arg(&object).status().is_ok_and(|status| status.success())
    };
    if !compiled {
        println!("cargo:warning=without CUDA graphs: CUDA's headers are not beside libtorch, or do not compile");
        std::fs::write(&object, []).expect("OUT_DIR can be written to");
        return;
    }
    kept.note();
}

/// Something compiled in OUT_DIR, and a note beside it of what it was compiled from.
struct Kept {
    note: PathBuf,
    made_from: String,
}

impl Kept {
    fn of(name: &str, lib: &Path) -> Self {
        let mut files: Vec<PathBuf> =
            ["src/engine/native", "src/engine/native/cuda"].iter().flat_map(files_of).collect();
        files.push("src/build.rs".into());
        files.sort();
        let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap_or_default());
        let compiler = ["CXX", "CXXFLAGS"].map(|name| {
            println!("cargo:rerun-if-env-changed={name}");
            std::env::var(name).unwrap_or_default()
        });
        let made_from = format!("{}\n{compiler:?}\n{}", lib.display(), texts.collect::<String>());
        Kept { note: out_dir().join(format!("{name}.made-from")), made_from }
    }

    fn is_current(&self) -> bool {
        std::fs::read_to_string(&self.note).is_ok_and(|text| text == self.made_from)
    }

    fn note(&self) {
        std::fs::write(&self.note, &self.made_from).expect("OUT_DIR can be written to");
    }
}

/// The C++ files of a folder.
fn files_of(folder: &&str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_source = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "cpp" || kind == "h");
    entries.map(|entry| entry.path()).filter(is_source).collect()
}

fn out_dir() -> PathBuf {
    PathBuf::from(std::env::var("OUT_DIR").expect("cargo names it"))
}

/// The folder that holds libtorch_cpu.so itself. torch-sys may have been given a folder of links; the wheel's
/// libraries find their neighbours relative to where they really are.
fn libtorch_lib() -> PathBuf {
    let given = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names libtorch's folder");
    let library = Path::new(&given).join("libtorch_cpu.so");
    let real = library.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", library.display()));
    real.parent().expect("a file has a folder").to_path_buf()
}

fn git_revision() -> String {
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_string(),
        _ => "unknown".to_string(),
    }
}
