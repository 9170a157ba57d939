//! The last part of a program: how a result is printed.

use super::piece::Kind;

pub struct Printer {
    pub kind: Kind,
    /// `$x` is the variable; `$l` a label.
    pub code: &'static str,
    pub text: &'static str,
}

const fn printer(kind: Kind, code: &'static str, text: &'static str) -> Printer {
    Printer { kind, code, text }
}

pub const LABELS: &[&str] = &["Result", "Answer", "Output", "Total", "Case", "Value", "Found"];

pub const PRINTERS: &[Printer] = &[
    printer(Kind::Count, "print($x)", "Print the number."),
    printer(Kind::Num, "print($x)", "Print the number."),
    printer(Kind::Num, "print(f\"$l: {$x}\")", "Print \"$l:\", a space and the number."),
    printer(Kind::Num, "print(\"$l =\", $x)", "Print \"$l =\", a space and the number."),
    printer(Kind::Real, "print(f\"{$x:.2f}\")", "Print it rounded to two decimals (as Python's format .2f does)."),
    printer(Kind::Real, "print(\"%.3f\" % $x)", "Print it rounded to three decimals (as Python's format .3f does)."),
    printer(Kind::Flag, "print(\"YES\" if $x else \"NO\")", "Print YES if so, otherwise NO."),
    printer(Kind::Flag, "if $x:\n    print(\"yes\")\nelse:\n    print(\"no\")", "Print yes if so, otherwise no."),
    printer(Kind::Flag, "print(int($x))", "Print 1 if so, otherwise 0."),
    printer(Kind::Nums, "print(*$x)", "Print the numbers on one line, separated by spaces."),
    printer(Kind::Nums, "print(\" \".join(map(str, $x)))", "Print the numbers on one line, separated by spaces."),
    printer(
        Kind::Nums,
        "print(\", \".join(str(v) for v in $x))",
        "Print the numbers on one line, separated by a comma and a space.",
    ),
    printer(Kind::Nums, "for v in $x:\n    print(v)", "Print the numbers, one a line."),
    printer(
        Kind::Nums,
        "print(len($x))\nprint(*$x)",
        "Print how many numbers there are; on the next line print them, separated by spaces.",
    ),
    printer(
        Kind::Nums,
        "for i, v in enumerate($x, 1):\n    print(f\"{i}: {v}\")",
        "Print the numbers, one a line, each after its position counted from 1, a colon and a space.",
    ),
    printer(Kind::Words, "print(*$x)", "Print the words on one line, separated by spaces."),
    printer(Kind::Words, "print(\",\".join($x))", "Print the words on one line, separated by commas."),
    printer(Kind::Words, "for w in $x:\n    print(w)", "Print the words, one a line."),
    printer(
        Kind::Words,
        "print(len($x), *$x)",
        "Print on one line, separated by spaces, how many words there are, and the words.",
    ),
    printer(Kind::Text, "print($x)", "Print the text."),
    printer(Kind::Text, "print(len($x))\nprint($x)", "Print the length of the text, and the text on the next line."),
    printer(Kind::Text, "print(f\"[{$x}]\")", "Print the text between square brackets."),
    printer(
        Kind::Records,
        "for name, v in $x:\n    print(name, v)",
        "Print each pair on a line of its own: name and number, separated by a space.",
    ),
    printer(
        Kind::Records,
        "print(\", \".join(f\"{name}={v}\" for name, v in $x))",
        "Print all pairs on one line, as name=number, separated by a comma and a space.",
    ),
    printer(
        Kind::Records,
        "for pair in $x:\n    print(f\"{pair[0]}: {pair[1]}\")",
        "Print each pair on a line of its own: name, a colon, a space and the number.",
    ),
    printer(Kind::Map, "print(\"\\n\".join($x))", "Print the rows of the map, one a line."),
    printer(Kind::Map, "for row in $x:\n    print(row)", "Print the rows of the map, one a line."),
];
