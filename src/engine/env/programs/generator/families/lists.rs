//! Lists: one pass, windows, runs.

use crate::engine::env::programs::generator::piece::Kind::{Flag, Num, Nums, Query, Real};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

pub const FAMILIES: &[Family] = &[
    family("spread", 1, Nums, Num, |d| {
        Piece::new(d, "Subtract the smallest number from the greatest.", &[
            "$r = max($x) - min($x)",
            "low = high = $x[0]\nfor v in $x:\n    if v < low:\n        low = v\n    if v > high:\n        high = v\n$r = high - low",
        ])
        .needs_items()
    }),
    family("weighted_sum", 1, Nums, Num, |d| {
        let k = d.range(0, 3);
        Piece::new(d, "Multiply every number by its position, where the first position is $k and each further one is greater by 1, and add the products up.", &[
            "$r = sum(i * v for i, v in enumerate($x, $k))",
            "$r = 0\nfor i in range(len($x)):\n    $r += (i + $k) * $x[i]",
        ])
        .set('k', k)
    }),
    family("mean_value", 1, Nums, Real, |d| {
        Piece::new(
            d,
            "Find the mean of the numbers.",
            &["$r = sum($x) / len($x)", "total = 0\nfor v in $x:\n    total += v\n$r = total / len($x)"],
        )
        .needs_items()
    }),
    family("alternating_sum", 1, Nums, Num, |d| {
        Piece::new(
            d,
            "Add the first number, subtract the second, add the third, and so on.",
            &[
                "$r = sum($x[::2]) - sum($x[1::2])",
                "$r = 0\nsign = 1\nfor v in $x:\n    $r += sign * v\n    sign = -sign",
                "$r = sum(v if i % 2 == 0 else -v for i, v in enumerate($x))",
            ],
        )
    }),
    family("is_increasing", 1, Nums, Flag, |d| {
        let (word, op) = d.pick(&[("greater than", "<"), ("not less than", "<="), ("less than", ">")]);
        Piece::new(
            d,
            "Find out whether every number but the first is $w the one before it.",
            &[
                "$r = all(a $o b for a, b in zip($x, $x[1:]))",
                "$r = True\nfor i in range(1, len($x)):\n    if not $x[i - 1] $o $x[i]:\n        $r = False",
            ],
        )
        .set('w', word)
        .set('o', op)
    }),
    family("even_then_odd", 1, Nums, Nums, |d| {
        Piece::new(
            d,
            "Put the even numbers before the odd ones; among each other they keep their order.",
            &[
                "$r = [v for v in $x if v % 2 == 0] + [v for v in $x if v % 2]",
                "$r = sorted($x, key=lambda v: v % 2)",
                "even, odd = [], []\nfor v in $x:\n    if v % 2 == 0:\n        even.append(v)\n    else:\n        odd.append(v)\n$r = even + odd",
            ],
        )
    }),
    family("running_maxima", 2, Nums, Nums, |d| {
        let (word, f) = d.pick(&[("greatest", "max"), ("smallest", "min")]);
        Piece::new(
            d,
            "Replace every number by the $w of the numbers up to and including it.",
            &[
                "$r = []\nfor v in $x:\n    $r.append($f($r[-1], v) if $r else v)",
                "$r = list(accumulate($x, $f))",
                "$r = [$f($x[:i + 1]) for i in range(len($x))]",
            ],
        )
        .set('w', word)
        .set('f', f)
        .import("from itertools import accumulate")
    }),
    family("second_greatest", 2, Nums, Num, |d| {
        Piece::new(
            d,
            "Find the second greatest of the different numbers; if all are equal, that number.",
            &[
                "different = sorted(set($x), reverse=True)\n$r = different[1] if len(different) > 1 else different[0]",
                "top = max($x)\nbelow = [v for v in $x if v != top]\n$r = max(below) if below else top",
            ],
        )
        .needs_items()
    }),
    family("count_above_mean", 2, Nums, Num, |d| {
        Piece::new(
            d,
            "Count the numbers that are greater than the mean of all of them.",
            &[
                "$r = sum(1 for v in $x if v * len($x) > sum($x))",
                "mean = sum($x) / len($x)\n$r = 0\nfor v in $x:\n    if v > mean:\n        $r += 1",
            ],
        )
        .needs_items()
    }),
    family("longest_equal_run", 2, Nums, Num, |d| {
        Piece::new(d, "Find the length of the longest run of equal neighbours.", &[
            "$r = run = 0\nfor i, v in enumerate($x):\n    run = run + 1 if i and $x[i - 1] == v else 1\n    $r = max($r, run)",
            "$r = max((len(list(run)) for _, run in groupby($x)), default=0)",
        ])
        .import("from itertools import groupby")
    }),
    family("longest_rise", 2, Nums, Num, |d| {
        Piece::new(
            d,
            "Find the length of the longest run of neighbours in which each is greater than the one before it.",
            &[
                "$r = 0\nlength = 0\nbefore = None\nfor v in $x:\n    if before is not None and v > before:\n        length += 1\n    else:\n        length = 1\n    $r = max($r, length)\n    before = v",
                "$r = 0\nbegin = 0\nfor i in range(len($x)):\n    if i > 0 and $x[i] <= $x[i - 1]:\n        begin = i\n    $r = max($r, i - begin + 1)",
            ],
        )
    }),
    family("local_peaks", 2, Nums, Nums, |d| {
        Piece::new(d, "List the numbers that are greater than both of their neighbours, in order; the first and the last number do not count.", &[
            "$r = [$x[i] for i in range(1, len($x) - 1) if $x[i - 1] < $x[i] > $x[i + 1]]",
            "$r = []\nfor a, b, c in zip($x, $x[1:], $x[2:]):\n    if b > a and b > c:\n        $r.append(b)",
        ])
        .may_empty()
    }),
    family("leaders", 2, Nums, Nums, |d| {
        Piece::new(
            d,
            "List the numbers that are greater than every number after them, in order (the last one is).",
            &[
                "$r = [v for i, v in enumerate($x) if all(v > w for w in $x[i + 1:])]",
                "$r = []\nfor v in reversed($x):\n    if not $r or v > $r[-1]:\n        $r.append(v)\n$r.reverse()",
            ],
        )
    }),
    family("chunk_sums", 2, Nums, Nums, |d| {
        let k = d.range(2, 4);
        Piece::new(
            d,
            "Cut the list into pieces of $k elements (the last one may be shorter) and list the sums of the pieces.",
            &[
                "$r = [sum($x[i:i + $k]) for i in range(0, len($x), $k)]",
                "$r = []\nfor i, v in enumerate($x):\n    if i % $k == 0:\n        $r.append(0)\n    $r[-1] += v",
            ],
        )
        .set('k', k)
    }),
    family("fold_ends", 2, Nums, Nums, |d| {
        Piece::new(
            d,
            "Add the first number and the last, the second and the last but one, and so on; a number in the middle stays alone. List the results.",
            &[
                "$r = []\nlow, high = 0, len($x) - 1\nwhile low < high:\n    $r.append($x[low] + $x[high])\n    low += 1\n    high -= 1\nif low == high:\n    $r.append($x[low])",
                "half = len($x) // 2\n$r = [$x[i] + $x[-1 - i] for i in range(half)]\nif len($x) % 2:\n    $r.append($x[half])",
            ],
        )
    }),
    family("balance_point", 3, Nums, Num, |d| {
        Piece::new(
            d,
            "Find the first position, counted from 0, such that the numbers before it and the numbers after it have the same sum (no numbers have the sum 0); -1 if there is none.",
            &[
                "$r = -1\nfor i in range(len($x)):\n    if sum($x[:i]) == sum($x[i + 1:]):\n        $r = i\n        break",
                "total = sum($x)\nbefore = 0\n$r = -1\nfor i, v in enumerate($x):\n    if before == total - before - v and $r == -1:\n        $r = i\n    before += v",
            ],
        )
    }),
    family("majority", 3, Nums, Num, |d| {
        Piece::new(d, "Find the number that makes up more than half of the list; -1 if there is none.", &[
            "candidate, votes = None, 0\nfor v in $x:\n    if votes == 0:\n        candidate = v\n    votes += 1 if v == candidate else -1\n$r = candidate if $x.count(candidate) * 2 > len($x) else -1",
            "middle = sorted($x)[len($x) // 2]\n$r = middle if 2 * $x.count(middle) > len($x) else -1",
        ])
        .needs_items()
    }),
    family("window_maxima", 3, Query, Nums, |d| {
        Piece::new(d, "For every k neighbours, from the first to the last, list the greatest of them.", &[
            "$r = [max($x[i:i + k]) for i in range(len($x) - k + 1)]",
            "window = deque()\n$r = []\nfor i, v in enumerate($x):\n    while window and $x[window[-1]] <= v:\n        window.pop()\n    window.append(i)\n    if window[0] <= i - k:\n        window.popleft()\n    if i >= k - 1:\n        $r.append($x[window[0]])",
        ])
        .import("from collections import deque")
    }),
    family("reverse_groups", 2, Query, Nums, |d| {
        Piece::new(
            d,
            "Cut the list into groups of k elements (the last one may be shorter) and reverse every group.",
            &[
                "$r = []\nfor i in range(0, len($x), k):\n    $r.extend($x[i:i + k][::-1])",
                "$r = []\ngroup = []\nfor v in $x:\n    group.insert(0, v)\n    if len(group) == k:\n        $r += group\n        group = []\n$r += group",
            ],
        )
    }),
    family("next_greater", 3, Nums, Nums, |d| {
        Piece::new(
            d,
            "Replace every number by the first greater number after it, or by -1 if there is none.",
            &[
                "$r = [-1] * len($x)\nwaiting = []\nfor i, v in enumerate($x):\n    while waiting and $x[waiting[-1]] < v:\n        $r[waiting.pop()] = v\n    waiting.append(i)",
                "$r = []\nfor i, v in enumerate($x):\n    $r.append(next((w for w in $x[i + 1:] if w > v), -1))",
            ],
        )
    }),
    family("trapped_water", 4, Nums, Num, |d| {
        Piece::new(
            d,
            "The absolute values of the numbers are the heights of walls of width 1, side by side. Find how much rain stays between them: above each wall water stands up to the lower of the highest wall on its left and the highest on its right, the wall itself included in both.",
            &[
                "heights = [abs(v) for v in $x]\n$r = 0\nfor i, h in enumerate(heights):\n    $r += min(max(heights[:i + 1]), max(heights[i:])) - h",
                "heights = [abs(v) for v in $x]\nleft, right = [], []\nfor h in heights:\n    left.append(max(h, left[-1]) if left else h)\nfor h in reversed(heights):\n    right.append(max(h, right[-1]) if right else h)\n$r = sum(min(a, b) - h for a, b, h in zip(left, reversed(right), heights))",
            ],
        )
    }),
];
