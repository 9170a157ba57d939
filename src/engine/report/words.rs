//! Numbers and lists as people read them.

/// `a`, `a and b`, `a, b and c`.
pub fn list(items: &[impl AsRef<str>]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => last.to_string(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// `1 task`, `2 tasks`.
pub fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// `12,600`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A score: three decimals.
pub fn score(value: f64) -> String {
    with_minus(format!("{value:.3}"))
}

/// A difference of scores, its sign always there.
pub fn signed(value: f64) -> String {
    // What rounds to nothing has no sign.
    if value.abs() < 0.0005 { "0.000".to_string() } else { with_minus(format!("{value:+.3}")) }
}

pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_string() } else { format!("{p:.3}") }
}

/// A level or a rate in per cent: `80 %`.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Any number in four digits or fewer: `0.0315`, `12,600`, `3.5e−7`.
pub fn brief(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_string();
    }
    if (10_000.0..1e9).contains(&size) {
        return format!("{}{}", if value < 0.0 { "−" } else { "" }, thousands(size.round() as u64));
    }
    if size != 0.0 && !(0.0005..1e9).contains(&size) {
        return with_minus(format!("{value:.1e}").replace(".0e", "e"));
    }
    let decimals = match size {
        0.0..0.1 => 4,
        0.1..10.0 => 3,
        10.0..1000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    with_minus(text.to_string())
}

/// With the minus sign of typesetters, which is as wide as a plus. What rounds to nothing has none.
fn with_minus(text: String) -> String {
    let is_nothing = !text.contains(|c: char| ('1'..='9').contains(&c));
    let text = if is_nothing { text.trim_start_matches('-').to_string() } else { text };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_what_matters() {
        let read: Vec<String> =
            [0.0, 0.0315, -2.5, 12_600.4, 3.5e-7, 0.37, 224.0, f64::NAN, -12_600.0].map(brief).to_vec();
        assert_eq!(read, ["0", "0.0315", "−2.5", "12,600", "3.5e−7", "0.37", "224", "–", "−12,600"]);
        assert_eq!((brief(-0.0), score(-0.0001), score(-0.1)), ("0".into(), "0.000".into(), "−0.100".into()));
        assert_eq!((signed(0.055), signed(-0.0001), signed(-0.2)), ("+0.055".into(), "0.000".into(), "−0.200".into()));
        assert_eq!((thousands(999), thousands(1_000_000)), ("999".into(), "1,000,000".into()));
        assert_eq!((p_value(0.0004), p_value(0.0371)), ("< 0.001".into(), "0.037".into()));
    }

    #[test]
    fn lists_are_read_aloud() {
        assert_eq!(
            (list(&["a"]), list(&["a", "b", "c"]), list(&[""; 0])),
            ("a".into(), "a, b and c".into(), "".into())
        );
        assert_eq!((count(1, "task"), count(1200, "task")), ("1 task".into(), "1,200 tasks".into()));
    }
}
