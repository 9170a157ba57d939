//! Work on a GPU recorded as a CUDA graph (`cuda/graph.cpp`) and started again with one call.
//!
//! That C++ needs libtorch's CUDA half, which this binary opens only where there is a driver. So it is a shared object of
//! its own, carried in the binary and opened here.

use std::ffi::{c_char, c_void};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use tch::{Cuda, Device, Tensor};

use super::call;
use crate::engine::error::with_causes;
use crate::engine::{Error, Result, refusal};

/// Empty where CUDA's headers were missing when affine was built.
const SHARED_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libaffine_cuda.so"));

/// Whether this binary can record graphs, given a GPU.
pub fn is_built() -> bool {
    !SHARED_OBJECT.is_empty()
}

/// Recorded work and the tensor that it leaves its result in.
pub struct Graph {
    /// Dropped first: it lies in the recording's memory.
    output: Tensor,
    recording: Recording,
}

impl Graph {
    /// Runs `work` once as usual and once more recorded. It must be the same work whenever it runs: on the same tensors, of
    /// the same shapes, without the host looking at a number. The tensors must live as long as the graph.
    pub fn capture(device: Device, mut work: impl FnMut() -> Tensor) -> Result<Self> {
        let Device::Cuda(index) = device else {
            return Err(Error::message(format!("{device:?} has no CUDA graphs")));
        };
        let functions = functions()?;
        // What libtorch sets up with the first call of an operation cannot be recorded, hence the run before.
        let recording = Recording::new(functions, index)?;
        let _ = refusal::attempt(|| Ok(work()))?;
        recording.begin()?;
        let output = refusal::attempt(|| Ok(work()))?;
        recording.end()?;
        Ok(Graph { output, recording })
    }

    /// Does the recorded work on what its tensors hold now. The result is overwritten by the next call.
    pub fn replay(&self) -> Result<&Tensor> {
        self.recording.replay()?;
        Ok(&self.output)
    }
}

/// The C++ object. While it is being recorded, this thread's work goes to a stream of its own; dropping it ends that.
struct Recording {
    functions: &'static Functions,
    object: *mut c_void,
}

impl Recording {
    fn new(functions: &'static Functions, index: usize) -> Result<Self> {
        let mut object = std::ptr::null_mut();
        done(|refusal| {
            // SAFETY: returns a new object, or null and a text.
            object = unsafe { (functions.new)(index as i32, refusal) };
            !object.is_null()
        })?;
        Ok(Recording { functions, object })
    }

    fn begin(&self) -> Result<()> {
        // SAFETY: the object lives as long as `self`; the function catches what libtorch throws. So below.
        done(|refusal| unsafe { (self.functions.begin)(self.object, refusal) })
    }

    fn end(&self) -> Result<()> {
        done(|refusal| unsafe { (self.functions.end)(self.object, refusal) })
    }

    fn replay(&self) -> Result<()> {
        done(|refusal| unsafe { (self.functions.replay)(self.object, refusal) })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // SAFETY: nobody else holds the object.
        unsafe { (self.functions.free)(self.object) }
    }
}

fn done(call: impl FnOnce(*mut *mut c_char) -> bool) -> Result<()> {
    // SAFETY: every function of graph.cpp leaves a C string that is ours where it returns false.
    unsafe { call::done(call) }.map_err(|text| Error::torch(&text))
}

type Step = unsafe extern "C" fn(*mut c_void, *mut *mut c_char) -> bool;

struct Functions {
    new: unsafe extern "C" fn(i32, *mut *mut c_char) -> *mut c_void,
    begin: Step,
    end: Step,
    replay: Step,
    free: unsafe extern "C" fn(*mut c_void),
}

/// The shared object's functions, opened once per process, or why there are none.
fn functions() -> Result<&'static Functions> {
    static FUNCTIONS: OnceLock<std::result::Result<Functions, String>> = OnceLock::new();
    let opened = FUNCTIONS.get_or_init(|| {
        if !is_built() {
            return Err("affine was built without CUDA's headers".to_string());
        }
        if !Cuda::is_available() {
            return Err("libtorch sees no CUDA device".to_string());
        }
        open().map_err(|error| with_causes(error.as_ref()))
    });
    opened.as_ref().map_err(|why| Error::message(why.clone()))
}

fn open() -> std::result::Result<Functions, Box<dyn std::error::Error>> {
    // A file without a name, so that nothing is left behind and no folder need be writable.
    let file = rustix::fs::memfd_create("libaffine_cuda.so", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    file.write_all(SHARED_OBJECT)?;
    // SAFETY: compiled from graph.cpp beside this file, whose functions have these types; it stays open for ever.
    unsafe {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let library = Library::open(Some(path), RTLD_NOW | RTLD_LOCAL)?;
        let functions = Functions {
            new: *library.get(b"affine_graph_new")?,
            begin: *library.get(b"affine_graph_begin")?,
            end: *library.get(b"affine_graph_end")?,
            replay: *library.get(b"affine_graph_replay")?,
            free: *library.get(b"affine_graph_free")?,
        };
        std::mem::forget(library);
        Ok(functions)
    }
}
