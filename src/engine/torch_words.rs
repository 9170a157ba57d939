//! libtorch's sentences without the words of C++: names of types, kernels, namespaces and source files.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands for what, in this order.
static WORDS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let assert = r#"^(.*?)\s*INTERNAL ASSERT FAILED at "[^"]*":\d+, please report a bug to PyTorch\.?\s*"#;
    [
        (r"^\[enforce fail at [^\]]*\]\s*\.?\s*", ""),
        (assert, "libtorch failed a check of its own ($1): "),
        (r"numel: integer multiplication overflow", "the shape has more values than can be counted"),
        (r"Storage size calculation overflowed[^.]*", "the shape has more bytes than can be counted"),
        (r"\bstd::vector<[^>]*>|(?:c10::|at::)?(?:Optional)?(?:Sym)?IntArrayRef", "list"),
        (r"(?:at::|torch::)?(?:Optional)?TensorList", "list of tensors"),
        (r"\b(?:std|c10|at|aten|torch|caffe2)::(?:\w+::)*", ""),
    ]
    .map(|(pattern, words)| (pattern_of_ours(pattern), words))
    .into()
});

/// `"softmax_kernel_impl" not implemented for 'Long'`.
static KERNEL: LazyLock<Regex> =
    LazyLock::new(|| pattern_of_ours(r#""(\w+)" not implemented for '?([\w:<>]+?)(?:'|$|\s)"#));

/// `value cannot be converted to type c10::Half without overflow`.
static VALUE: LazyLock<Regex> =
    LazyLock::new(|| pattern_of_ours(r"value cannot be converted to type ([\w:<> ]+?) without overflow"));

/// C++'s spelling of a dtype where no other word of a sentence looks like it.
static DTYPE: LazyLock<Regex> = LazyLock::new(|| {
    pattern_of_ours(
        r"\b(Byte|Char|Short|Int|Long|Half|Float|Double|BFloat16|Bool|ComplexFloat|ComplexDouble|u?int(?:8|16|32|64)_t)\b",
    )
});

fn pattern_of_ours(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern in this file")
}

/// A sentence of libtorch's for people who know no C++.
pub fn plain(sentence: &str) -> String {
    let kernel = |found: &Captures<'_>| format!("{} is not implemented for {}", operation(&found[1]), dtype(&found[2]));
    let value = |found: &Captures<'_>| format!("the value does not fit into {}", dtype(&found[1]));
    let mut text = VALUE.replace_all(&KERNEL.replace_all(sentence, kernel), value).into_owned();
    for (pattern, words) in WORDS.iter() {
        text = pattern.replace_all(&text, *words).into_owned();
    }
    DTYPE.replace_all(&text, |found: &Captures<'_>| dtype(&found[1]).to_string()).trim().to_string()
}

/// A kernel's name without where and how it computes: `floor_vml_cpu`, `GeluKernelImpl`.
fn operation(kernel: &str) -> String {
    let mut name = kernel.to_string();
    let ends =
        ["_", "_cpu", "_cuda", "_vml", "_impl", "_kernel", "_out", "KernelImpl", "Kernel", "_forward", "_backward"];
    while let Some(shorter) = ends.iter().find_map(|end| name.strip_suffix(end)).filter(|shorter| !shorter.is_empty()) {
        name = shorter.to_string();
    }
    name.to_lowercase()
}

fn dtype(name: &str) -> &str {
    match name.rsplit("::").next().unwrap_or(name) {
        "Byte" | "uint8_t" | "unsigned char" => "uint8",
        "Char" | "int8_t" | "signed char" => "int8",
        "Short" | "int16_t" => "int16",
        "Int" | "int32_t" | "int" => "int32",
        "Long" | "int64_t" | "long int" | "long long" => "int64",
        "Half" => "float16",
        "BFloat16" => "bfloat16",
        "Float" | "float" => "float32",
        "Double" | "double" => "float64",
        "Bool" | "bool" => "bool",
        "ComplexFloat" | "complex<float>" => "complex64",
        "ComplexDouble" | "complex<double>" => "complex128",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nobody_reads_the_words_of_cpp() {
        for (theirs, ours) in [
            (r#""softmax_kernel_impl" not implemented for 'Long'"#, "softmax is not implemented for int64"),
            (r#""floor_vml_cpu" not implemented for 'Bool'"#, "floor is not implemented for bool"),
            (r#""GeluKernelImpl" not implemented for 'Long'"#, "gelu is not implemented for int64"),
            (
                "value cannot be converted to type c10::BFloat16 without overflow",
                "the value does not fit into bfloat16",
            ),
            ("value cannot be converted to type float without overflow", "the value does not fit into float32"),
            ("value cannot be converted to type int64_t without overflow", "the value does not fit into int64"),
            ("expected scalar type Long but found Float", "expected scalar type int64 but found float32"),
            ("the same dtype, but got: c10::Half != float", "the same dtype, but got: float16 != float"),
            ("numel: integer multiplication overflow", "the shape has more values than can be counted"),
            ("expected a std::vector<int64_t> here", "expected a list here"),
            (
                "self.is_ok() INTERNAL ASSERT FAILED at \"/pytorch/aten/src/ATen/x.cpp\":12, please report a bug to PyTorch. No.",
                "libtorch failed a check of its own (self.is_ok()): No.",
            ),
            ("mat1 and mat2 shapes cannot be multiplied", "mat1 and mat2 shapes cannot be multiplied"),
        ] {
            assert_eq!(plain(theirs), ours);
        }
    }
}
