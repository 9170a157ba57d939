//! Transformations that stand before or after a family. Each is total: it works on empty collections too.

use super::draw::Draw;
use super::piece::Kind::{Count, Grid, Map, Num, Nums, Records, Text, Words};
use super::piece::{Family, Piece, family};

fn p(draw: &mut Draw, text: &str, codes: &[&str]) -> Piece {
    Piece::new(draw, text, codes)
}

pub const STEPS: &[Family] = &[
    family("wrap_number", 1, Num, Count, |d| {
        let m = d.range(20, 99);
        p(
            d,
            "Replace the number by the remainder of its absolute value divided by $m, plus 1.",
            &["$r = abs($x) % $m + 1"],
        )
        .set('m', m)
    }),
    family("stretch_count", 1, Count, Count, |d| {
        let (a, b, m) = (d.range(3, 17), d.range(1, 19), d.range(50, 199));
        p(
            d,
            "Multiply the number by $a and add $b, take the remainder divided by $m, and add 1.",
            &["$r = ($x * $a + $b) % $m + 1"],
        )
        .set('a', a)
        .set('b', b)
        .set('m', m)
    }),
    family("digits_of_number", 1, Num, Nums, |d| {
        p(
            d,
            "Take the decimal digits of the number's absolute value, from left to right, as a list of numbers.",
            &["$r = [int(digit) for digit in str(abs($x))]", "$r = list(map(int, str(abs($x))))"],
        )
    }),
    family("count_down", 1, Count, Nums, |d| {
        let s = d.range(2, 5);
        p(d, "Make a list of the numbers that are left when $s is subtracted again and again, beginning with the number itself, as long as they are positive.", &[
            "$r = list(range($x, 0, -$s))",
            "$r = []\nleft = $x\nwhile left > 0:\n    $r.append(left)\n    left -= $s",
        ])
        .set('s', s)
    }),
    family("scale_number", 1, Num, Num, |d| {
        let (a, b) = (d.range(2, 9), d.range(1, 30));
        p(d, "Multiply the number by $a and subtract $b.", &["$r = $x * $a - $b", "$r = -$b + $a * $x"])
            .set('a', a)
            .set('b', b)
    }),
    family("keep_multiples", 1, Nums, Nums, |d| {
        let k = d.range(2, 4);
        p(
            d,
            "Keep only the numbers that are divisible by $k.",
            &["$r = [v for v in $x if v % $k == 0]", "$r = list(filter(lambda v: v % $k == 0, $x))"],
        )
        .set('k', k)
        .may_empty()
    }),
    family("drop_multiples", 1, Nums, Nums, |d| {
        let k = d.range(2, 5);
        p(
            d,
            "Remove the numbers that are divisible by $k.",
            &[
                "$r = [v for v in $x if v % $k != 0]",
                "remaining = []\nfor v in $x:\n    if v % $k:\n        remaining.append(v)\n$r = remaining",
            ],
        )
        .set('k', k)
        .may_empty()
    }),
    family("keep_below", 1, Nums, Nums, |d| {
        let k = d.range(5, 40);
        p(d, "Keep only the numbers less than $k.", &["$r = [v for v in $x if v < $k]"]).set('k', k).may_empty()
    }),
    family("clamp", 1, Nums, Nums, |d| {
        let (a, b) = (d.range(-9, 3), d.range(15, 60));
        p(d, "Raise every number below $a to $a and lower every number above $b to $b.", &[
            "$r = [max($a, min($b, v)) for v in $x]",
            "kept = []\nfor v in $x:\n    if v < $a:\n        v = $a\n    elif v > $b:\n        v = $b\n    kept.append(v)\n$r = kept",
        ])
        .set('a', a)
        .set('b', b)
    }),
    family("affine_map", 1, Nums, Nums, |d| {
        let (a, b) = (d.range(2, 6), d.range(1, 9));
        p(
            d,
            "Multiply every number by $a and add $b.",
            &["$r = [v * $a + $b for v in $x]", "$r = [$b + $a * v for v in $x]"],
        )
        .set('a', a)
        .set('b', b)
    }),
    family("remainders", 1, Nums, Nums, |d| {
        let m = d.range(4, 13);
        p(d, "Replace every number by its remainder when divided by $m (from 0 to $m minus 1, also for negative numbers).", &[
            "$r = [v % $m for v in $x]",
            "$r = list(map(lambda v: v % $m, $x))",
        ])
        .set('m', m)
    }),
    family("differences", 2, Nums, Nums, |d| {
        p(
            d,
            "Replace the list by the differences between each number and the one before it (one element fewer).",
            &["$r = [b - a for a, b in zip($x, $x[1:])]", "$r = [$x[i] - $x[i - 1] for i in range(1, len($x))]"],
        )
        .may_empty()
    }),
    family("prefix_sums", 1, Nums, Nums, |d| {
        p(
            d,
            "Replace every number by the sum of all numbers up to and including it.",
            &[
                "total = 0\nsums = []\nfor v in $x:\n    total += v\n    sums.append(total)\n$r = sums",
                "$r = [sum($x[:i + 1]) for i in range(len($x))]",
            ],
        )
    }),
    family("reverse_list", 1, Nums, Nums, |d| {
        p(d, "Reverse the order of the numbers.", &["$r = $x[::-1]", "$r = list(reversed($x))"])
    }),
    family("sort_list", 1, Nums, Nums, |d| p(d, "Sort the numbers in ascending order.", &["$r = sorted($x)"])),
    family("distinct_sorted", 1, Nums, Nums, |d| {
        p(d, "Remove duplicates and sort the numbers in ascending order.", &["$r = sorted(set($x))"])
    }),
    family("every_nth", 1, Nums, Nums, |d| {
        let k = d.range(2, 3);
        p(
            d,
            "Keep only every element whose position, counted from 0, is divisible by $k.",
            &["$r = $x[::$k]", "$r = [v for i, v in enumerate($x) if i % $k == 0]"],
        )
        .set('k', k)
    }),
    family("rotate_left", 1, Nums, Nums, |d| {
        let k = d.range(1, 4);
        p(
            d,
            "Move the first element to the end of the list, $k times.",
            &[
                "$r = list($x)\nfor _ in range($k):\n    $r = $r[1:] + $r[:1]",
                "shift = $k % max(1, len($x))\n$r = $x[shift:] + $x[:shift]",
            ],
        )
        .set('k', k)
    }),
    family("absolute_values", 1, Nums, Nums, |d| {
        p(d, "Replace every number by its absolute value.", &["$r = [abs(v) for v in $x]", "$r = list(map(abs, $x))"])
    }),
    family("numbers_to_words", 1, Nums, Words, |d| {
        p(
            d,
            "Write every number in decimal, so that the list becomes a list of words.",
            &["$r = [str(v) for v in $x]", "$r = list(map(str, $x))"],
        )
    }),
    family("word_lengths", 1, Words, Nums, |d| {
        p(d, "Replace every word by its length.", &["$r = [len(w) for w in $x]", "$r = list(map(len, $x))"])
    }),
    family("keep_long_words", 1, Words, Words, |d| {
        let k = d.range(3, 5);
        p(
            d,
            "Keep only the words of at least $k characters.",
            &["$r = [w for w in $x if len(w) >= $k]", "$r = [w for w in $x if not len(w) < $k]"],
        )
        .set('k', k)
        .may_empty()
    }),
    family("drop_words_with", 1, Words, Words, |d| {
        let c = d.pick(&["a", "e", "o", "s", "t"]);
        p(d, "Remove the words that contain the letter \"$c\".", &["$r = [w for w in $x if \"$c\" not in w]"])
            .set('c', c)
            .may_empty()
    }),
    family("reverse_words", 1, Words, Words, |d| {
        p(
            d,
            "Reverse the letters of every word; the words keep their order.",
            &["$r = [w[::-1] for w in $x]", "$r = [\"\".join(reversed(w)) for w in $x]"],
        )
    }),
    family("sort_words", 1, Words, Words, |d| {
        p(d, "Sort the words in the order of their character codes.", &["$r = sorted($x)", "$r = list($x)\n$r.sort()"])
    }),
    family("distinct_words", 2, Words, Words, |d| {
        p(
            d,
            "Keep only the first occurrence of every word.",
            &[
                "$r = list(dict.fromkeys($x))",
                "seen = set()\nkept = []\nfor w in $x:\n    if w not in seen:\n        seen.add(w)\n        kept.append(w)\n$r = kept",
            ],
        )
    }),
    family("join_words", 1, Words, Text, |d| {
        let s = d.pick(&[" ", "-", "_"]);
        p(d, "Join the words into one text, with \"$s\" between them.", &["$r = \"$s\".join($x)"]).set('s', s)
    }),
    family("split_text", 1, Text, Words, |d| {
        p(d, "Split the text at white space into words.", &["$r = $x.split()"]).may_empty()
    }),
    family("letter_numbers", 2, Text, Nums, |d| {
        p(d, "Replace the text by the list of the numbers of its letters in the alphabet (a is 1, z is 26, capitals count as small letters); other characters are left out.", &[
            "$r = [ord(c) - 96 for c in $x.lower() if \"a\" <= c <= \"z\"]",
        ])
        .may_empty()
    }),
    family("upper_text", 1, Text, Text, |d| p(d, "Turn all letters into capitals.", &["$r = $x.upper()"])),
    family("swap_case", 1, Text, Text, |d| {
        p(
            d,
            "Turn small letters into capitals and capitals into small letters.",
            &["$r = $x.swapcase()", "$r = \"\".join(c.lower() if c.isupper() else c.upper() for c in $x)"],
        )
    }),
    family("drop_letter", 1, Text, Text, |d| {
        let c = d.pick(&["a", "e", "i", "t", "n", "r"]);
        p(
            d,
            "Remove every \"$c\" (the small letter only).",
            &["$r = $x.replace(\"$c\", \"\")", "$r = \"\".join(c for c in $x if c != \"$c\")"],
        )
        .set('c', c)
        .may_empty()
    }),
    family("reverse_text", 1, Text, Text, |d| p(d, "Reverse the text, character by character.", &["$r = $x[::-1]"])),
    family("text_length", 1, Text, Num, |d| {
        p(d, "Take the length of the text, all characters counted.", &["$r = len($x)"])
    }),
    family("record_values", 1, Records, Nums, |d| {
        p(
            d,
            "Take the numbers of the records, in order.",
            &["$r = [v for _, v in $x]", "$r = [entry[1] for entry in $x]"],
        )
    }),
    family("record_names", 1, Records, Words, |d| {
        p(d, "Take the names of the records, in order.", &["$r = [name for name, _ in $x]"])
    }),
    family("keep_rich_records", 1, Records, Records, |d| {
        let k = d.range(5, 30);
        p(
            d,
            "Keep only the records whose number is at least $k.",
            &["$r = [(name, v) for name, v in $x if v >= $k]", "$r = [item for item in $x if item[1] >= $k]"],
        )
        .set('k', k)
        .may_empty()
    }),
    family("row_sums", 1, Grid, Nums, |d| {
        p(
            d,
            "Take the sum of every row, from top to bottom.",
            &["$r = [sum(row) for row in $x]", "$r = list(map(sum, $x))"],
        )
    }),
    family("column_maxima", 2, Grid, Nums, |d| {
        p(
            d,
            "Take the greatest number of every column, from left to right.",
            &[
                "$r = [max(column) for column in zip(*$x)]",
                "$r = [max(row[j] for row in $x) for j in range(len($x[0]))]",
            ],
        )
    }),
    family("transpose", 1, Grid, Grid, |d| {
        p(
            d,
            "Swap rows and columns.",
            &["$r = [list(column) for column in zip(*$x)]", "$r = [[row[j] for row in $x] for j in range(len($x[0]))]"],
        )
    }),
    family("mirror_grid", 1, Grid, Grid, |d| p(d, "Reverse every row.", &["$r = [row[::-1] for row in $x]"])),
    family("turn_map", 2, Map, Map, |d| {
        p(d, "Turn the map by 90 degrees clockwise.", &["$r = [\"\".join(column) for column in zip(*$x[::-1])]"])
    }),
    family("invert_map", 2, Map, Map, |d| {
        p(
            d,
            "Turn every # into a dot and every dot into #.",
            &["$r = [\"\".join(\".\" if c == \"#\" else \"#\" for c in row) for row in $x]"],
        )
    }),
    family("walls_per_row", 1, Map, Nums, |d| {
        p(d, "Count the # in every row, from top to bottom.", &["$r = [row.count(\"#\") for row in $x]"])
    }),
];
