//! Draws from libtorch's own generator on the CPU: PyTorch's numbers after `torch.manual_seed`.

use std::sync::{Mutex, PoisonError};

/// Seeds libtorch's generator and draws, with nobody else drawing in between. The generator is one for the whole
/// process; whoever else draws from it seeds it first, so nothing has to be put back.
pub fn seeded<T>(seed: i64, draw: impl FnOnce() -> T) -> T {
    static GENERATOR: Mutex<()> = Mutex::new(());
    // The lock guards no data that a panic could have left half done.
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed);
    draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn threads_that_draw_at_once_get_the_numbers_of_their_seeds() {
        let draw = |seed: i64| {
            let normal = seeded(seed, || Tensor::randn([500], (Kind::Float, Device::Cpu)));
            Vec::<f32>::try_from(normal).unwrap()
        };
        let alone: Vec<_> = (0..4).map(draw).collect();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || [0; 20].map(|_| draw(seed)))).collect();
            for (thread, wanted) in threads.into_iter().zip(&alone) {
                assert!(thread.join().unwrap().iter().all(|drawn| drawn == wanted));
            }
        });
    }
}
