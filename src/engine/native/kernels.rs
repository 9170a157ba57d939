//! Which operations compute on the CPU: our own kernels beside libtorch's, oneDNN beside MKL. A fast path and the plain one
//! give the same numbers but for rounding; the choice holds for the whole process.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};

use tch::{Device, Kind, Tensor};

use super::attention;
use crate::engine::system::machine::cpu_maker;
use crate::engine::{Error, Result};

/// What may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// Our own, and for float32 products the library that is faster on this processor.
    Auto,
    /// Our own, and oneDNN for float32 products.
    OneDnn,
    /// Our own, and what libtorch uses (MKL) for float32 products.
    Mkl,
    /// libtorch's operations alone.
    Libtorch,
}

const ALL: [(&str, Kernels); 4] =
    [("auto", Kernels::Auto), ("onednn", Kernels::OneDnn), ("mkl", Kernels::Mkl), ("libtorch", Kernels::Libtorch)];

static CHOSEN: AtomicU8 = AtomicU8::new(0);

thread_local! {
    /// Of this thread alone, see [`with`].
    static HERE: Cell<Option<Kernels>> = const { Cell::new(None) };
}

impl Kernels {
    pub fn named(name: &str) -> Result<Self> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, kernels)| *kernels).ok_or_else(|| {
            Error::option("kernels", "\"auto\", \"onednn\", \"mkl\" or \"libtorch\"", format!("\"{name}\""))
        })
    }

    pub fn name(self) -> &'static str {
        ALL.iter().find(|(_, kernels)| *kernels == self).map_or("auto", |(name, _)| name)
    }
}

/// The choice of the process, from now on.
pub fn choose(kernels: Kernels) {
    let index = ALL.iter().position(|(_, known)| *known == kernels).unwrap_or(0);
    CHOSEN.store(index as u8, Ordering::SeqCst);
}

pub fn chosen() -> Kernels {
    HERE.get().unwrap_or_else(|| ALL[CHOSEN.load(Ordering::SeqCst) as usize].1)
}

/// What [`Kernels::Auto`] comes to on this machine: what a resumed run must be told to compute the same.
pub fn resolved() -> Kernels {
    match chosen() {
        Kernels::Auto if onednn_is_faster() => Kernels::OneDnn,
        Kernels::Auto => Kernels::Mkl,
        named => named,
    }
}

/// Runs `f` with another choice on this thread.
pub fn with<T>(kernels: Kernels, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Kernels>);
    impl Drop for Restore {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _restore = Restore(HERE.replace(Some(kernels)));
    f()
}

/// Whether our own kernels take tensors like this one.
pub fn takes(x: &Tensor) -> bool {
    chosen() != Kernels::Libtorch && x.device() == Device::Cpu && matches!(x.kind(), Kind::Float | Kind::BFloat16)
}

/// Whether our own attention takes queries like these: in float32 and where there is AMX, libtorch's is as fast.
pub fn takes_attention(q: &Tensor) -> bool {
    takes(q) && q.kind() == Kind::BFloat16 && !attention::has_amx()
}

/// Whether float32 products on the CPU go through oneDNN.
pub fn onednn() -> bool {
    resolved() == Kernels::OneDnn
}

/// MKL computes at less than half of oneDNN's rate on processors that are not Intel's. The processor's maker decides and no
/// measurement: the libraries differ in rounding, and other work on the machine must not change a run's numbers.
fn onednn_is_faster() -> bool {
    static FASTER: LazyLock<bool> = LazyLock::new(|| cpu_maker().is_some_and(|maker| maker != "GenuineIntel"));
    *FASTER
}
