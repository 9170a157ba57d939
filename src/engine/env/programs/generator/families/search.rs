//! Search: in sorted lists, with two pointers, over answers, over all choices.

use crate::engine::env::programs::generator::piece::Kind::{Flag, Num, Nums, Query};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

const DAYS: &str = "
def days(loads, capacity):
    used, room = 1, capacity
    for load in loads:
        if load > room:
            used, room = used + 1, capacity
        room -= load
    return used";

pub const FAMILIES: &[Family] = &[
    family("first_greater_than", 1, Nums, Num, |d| {
        let k = d.range(5, 25);
        Piece::new(
            d,
            "Find the position, counted from 0, of the first number greater than $k; -1 if there is none.",
            &[
                "$r = -1\nfor i, v in enumerate($x):\n    if v > $k:\n        $r = i\n        break",
                "$r = next((i for i, v in enumerate($x) if v > $k), -1)",
                "$r = 0\nwhile $r < len($x) and $x[$r] <= $k:\n    $r += 1\nif $r == len($x):\n    $r = -1",
            ],
        )
        .set('k', k)
    }),
    family("positions_of_extreme", 1, Nums, Nums, |d| {
        let (w, f) = d.pick(&[("greatest", "max"), ("smallest", "min")]);
        Piece::new(
            d,
            "List the positions, counted from 1, at which the $w number stands.",
            &[
                "extreme = $f($x)\n$r = [i for i, v in enumerate($x, 1) if v == extreme]",
                "$r = [i + 1 for i in range(len($x)) if $x[i] == $f($x)]",
            ],
        )
        .set('w', w)
        .set('f', f)
        .needs_items()
    }),
    family("kth_smallest", 1, Query, Num, |d| {
        Piece::new(
            d,
            "Find the number at position k, counted from 1, when the numbers are sorted in ascending order.",
            &[
                "$r = sorted($x)[k - 1]",
                "left = list($x)\nfor _ in range(k - 1):\n    left.remove(min(left))\n$r = min(left)",
            ],
        )
    }),
    family("contains_pair", 2, Nums, Flag, |d| {
        let k = d.range(5, 30);
        Piece::new(
            d,
            "Find out whether two numbers at different positions have the sum $k.",
            &[
                "seen = set()\n$r = False\nfor v in $x:\n    if $k - v in seen:\n        $r = True\n    seen.add(v)",
                "$r = any($x[i] + $x[j] == $k for i in range(len($x)) for j in range(i))",
            ],
        )
        .set('k', k)
    }),
    family("count_not_below", 2, Query, Num, |d| {
        Piece::new(d, "Count the numbers that are not less than k.", &[
            "ordered = sorted($x)\n$r = len(ordered) - bisect_left(ordered, k)",
            "ordered = sorted($x)\nlow, high = 0, len(ordered)\nwhile low < high:\n    middle = (low + high) // 2\n    if ordered[middle] < k:\n        low = middle + 1\n    else:\n        high = middle\n$r = len(ordered) - low",
        ])
        .import("from bisect import bisect_left")
    }),
    family("probes_of_binary_search", 3, Query, Nums, |d| {
        Piece::new(
            d,
            "Sort the numbers in ascending order and look for k by binary search: with low at the first and high at the last position, look at the middle (half of low plus high, rounded down); stop if it is k, else go on right of it if it is less than k, else left of it. List the numbers that are looked at.",
            &[
                "ordered = sorted($x)\nlow, high = 0, len(ordered) - 1\n$r = []\nwhile low <= high:\n    middle = (low + high) // 2\n    $r.append(ordered[middle])\n    if ordered[middle] == k:\n        break\n    if ordered[middle] < k:\n        low = middle + 1\n    else:\n        high = middle - 1",
            ],
        )
    }),
    family("pairs_with_difference", 3, Query, Num, |d| {
        Piece::new(d, "Count the pairs of positions whose numbers differ by exactly k.", &[
            "counts = {}\n$r = 0\nfor v in $x:\n    $r += counts.get(v - k, 0) + counts.get(v + k, 0)\n    counts[v] = counts.get(v, 0) + 1",
            "$r = sum(1 for i in range(len($x)) for j in range(i + 1, len($x)) if abs($x[i] - $x[j]) == k)",
            "$r = 0\nfor a, b in combinations($x, 2):\n    if abs(a - b) == k:\n        $r += 1",
        ])
        .import("from itertools import combinations")
    }),
    family("closest_pair_sum", 3, Nums, Num, |d| {
        let k = d.range(3, 40);
        Piece::new(d, "Among the sums of two numbers at different positions find the one closest to $k (the smaller one, if two are equally close); -1 if there are fewer than two numbers.", &[
            "sums = [a + b for a, b in combinations($x, 2)]\n$r = min(sums, key=lambda s: (abs(s - $k), s)) if sums else -1",
            "$r = None\nfor i in range(len($x)):\n    for j in range(i):\n        s = $x[i] + $x[j]\n        if $r is None or (abs(s - $k), s) < (abs($r - $k), $r):\n            $r = s\nif $r is None:\n    $r = -1",
        ])
        .set('k', k)
        .import("from itertools import combinations")
    }),
    family("parts_with_sum", 3, Query, Num, |d| {
        Piece::new(
            d,
            "Count the parts of the list (one or more neighbouring numbers) whose sum is k.",
            &[
                "$r = 0\nfor i in range(len($x)):\n    for j in range(i + 1, len($x) + 1):\n        if sum($x[i:j]) == k:\n            $r += 1",
                "seen = {0: 1}\nprefix = 0\n$r = 0\nfor v in $x:\n    prefix += v\n    $r += seen.get(prefix - k, 0)\n    seen[prefix] = seen.get(prefix, 0) + 1",
            ],
        )
    }),
    family("shortest_heavy_part", 4, Nums, Num, |d| {
        let k = d.range(15, 60);
        Piece::new(d, "Replace every number by its absolute value, and find the length of the shortest part (neighbouring numbers) whose sum is at least $k; 0 if there is none.", &[
            "begin = 0\ntotal = 0\n$r = 0\nfor end, v in enumerate($x, 1):\n    total += abs(v)\n    while total >= $k:\n        if $r == 0 or end - begin < $r:\n            $r = end - begin\n        total -= abs($x[begin])\n        begin += 1",
            "sizes = [j - i for i in range(len($x)) for j in range(i + 1, len($x) + 1) if sum(abs(v) for v in $x[i:j]) >= $k]\n$r = min(sizes) if sizes else 0",
        ])
        .set('k', k)
    }),
    family("zero_triples", 4, Nums, Num, |d| {
        let k = d.range(0, 20);
        Piece::new(d, "Count the different triples (three numbers at three different positions; their order does not matter, and equal triples count once) with the sum $k.", &[
            "$r = len({tuple(sorted(triple)) for triple in combinations($x, 3) if sum(triple) == $k})",
            "ordered = sorted($x)\nfound_triples = set()\nfor i in range(len(ordered)):\n    low, high = i + 1, len(ordered) - 1\n    while low < high:\n        total = ordered[i] + ordered[low] + ordered[high]\n        if total == $k:\n            found_triples.add((ordered[i], ordered[low], ordered[high]))\n        if total < $k:\n            low += 1\n        else:\n            high -= 1\n$r = len(found_triples)",
        ])
        .set('k', k)
        .import("from itertools import combinations")
    }),
    family("smallest_capacity", 4, Query, Num, |d| {
        Piece::new(d, "The absolute values of the numbers are loads. A ship takes them in this order, on each day as many as it has room for. Find the smallest capacity (a whole number, at least as great as the greatest load) with which it needs at most k days.", &[
            "loads = [abs(v) for v in $x]\nlow, high = max(loads), sum(loads)\nwhile low < high:\n    middle = (low + high) // 2\n    if days(loads, middle) <= k:\n        high = middle\n    else:\n        low = middle + 1\n$r = low",
            "loads = [abs(v) for v in $x]\n$r = max(loads)\nwhile days(loads, $r) > k:\n    $r += 1",
        ])
        .helper(DAYS)
    }),
    family("subset_choices", 4, Nums, Num, |d| {
        let k = d.range(5, 25);
        Piece::new(d, "Take only the first 12 numbers. Count the choices of positions among them (one or more) whose numbers have the sum $k.", &[
            "few = $x[:12]\n$r = 0\nfor mask in range(1, 1 << len(few)):\n    if sum(v for i, v in enumerate(few) if mask >> i & 1) == $k:\n        $r += 1",
            "ways = {0: 1}\nfor v in $x[:12]:\n    grown = dict(ways)\n    for total, count in ways.items():\n        grown[total + v] = grown.get(total + v, 0) + count\n    ways = grown\n$r = ways.get($k, 0)",
        ])
        .set('k', k)
    }),
];
