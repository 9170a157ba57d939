//! The dynamic 8-bit type (Dettmers 2015): 256 numbers up to 1 that are dense near 0, as bitsandbytes lays them out.

const POWERS: [f32; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];

/// bitsandbytes' `create_dynamic_map`, ascending: for each power of ten from 1e-6 to 1 the middles of equal parts of 0.1 to 1,
/// twice as many as for the power below, with both signs where it is `signed`; beside them 0 and 1.
///
/// Computed in float32, as there: another precision would round a quarter of the numbers to their neighbours.
pub fn dynamic_map(signed: bool) -> Vec<f32> {
    let mut map = vec![0.0, 1.0];
    for (exponent, power) in POWERS.iter().enumerate() {
        let parts = 1 << if signed { exponent } else { exponent + 1 };
        for part in 0..parts {
            let number = power * ((edge(part, parts) + edge(part + 1, parts)) / 2.0);
            map.push(number);
            if signed {
                map.push(-number);
            }
        }
    }
    map.sort_by(f32::total_cmp);
    map
}

/// Where part `index` of `parts` equal ones of 0.1 to 1 begins: libtorch's `linspace`, which counts from the nearer end and
/// rounds once where the processor can (AVX2, AVX-512).
fn edge(index: u16, parts: u16) -> f32 {
    let (start, end) = (0.1_f32, 1.0_f32);
    let step = (end - start) / f32::from(parts);
    match index < parts.div_ceil(2) {
        true => step.mul_add(f32::from(index), start),
        false => (-step).mul_add(f32::from(parts - index), end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::file::sha256;

    /// bitsandbytes 0.50.2 over torch 2.11.0, on a processor with AVX2:
    ///
    /// ```python
    /// for signed in (True, False):
    ///     numbers = bitsandbytes.functional.create_dynamic_map(signed).numpy()
    ///     print(hashlib.sha256(numbers.tobytes()).hexdigest())
    /// ```
    #[test]
    fn the_numbers_are_those_of_bitsandbytes_to_the_bit() {
        for (signed, wanted) in [
            (true, "e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c"),
            (false, "305f002cc11278fb769d13b25b9fd0c7c83c8402c40a878fe086f4039fde6398"),
        ] {
            let map = dynamic_map(signed);
            let bytes: Vec<u8> = map.iter().flat_map(|number| number.to_le_bytes()).collect();
            assert_eq!(sha256(&bytes), wanted, "signed {signed}");
            assert!(map.len() == 256 && map.windows(2).all(|pair| pair[0] < pair[1]), "signed {signed}");
        }
    }
}
