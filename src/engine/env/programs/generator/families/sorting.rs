//! Sorting: orders by a key, and the algorithms themselves with what they cost.

use crate::engine::env::programs::generator::piece::Kind::{Num, Nums, Query, Records, Text, Words};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

const MERGE: &str = "
def merged(a, b):
    together = []
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            together.append(a[i])
            i += 1
        else:
            together.append(b[j])
            j += 1
    return together + a[i:] + b[j:]";

const COUNT_INVERSIONS: &str = "
def sort_and_count(part):
    if len(part) < 2:
        return part, 0
    middle = len(part) // 2
    left, in_left = sort_and_count(part[:middle])
    right, in_right = sort_and_count(part[middle:])
    ordered, count = [], in_left + in_right
    while left and right:
        if left[0] <= right[0]:
            ordered.append(left.pop(0))
        else:
            ordered.append(right.pop(0))
            count += len(left)
    return ordered + left + right, count";

pub const FAMILIES: &[Family] = &[
    family("sort_descending", 1, Nums, Nums, |d| {
        Piece::new(
            d,
            "Sort the numbers in descending order.",
            &["$r = sorted($x, reverse=True)", "$r = sorted($x)[::-1]", "$r = list($x)\n$r.sort(key=lambda v: -v)"],
        )
    }),
    family("sort_by_remainder", 1, Nums, Nums, |d| {
        let k = d.range(3, 9);
        Piece::new(d, "Sort the numbers by their remainder when divided by $k (from 0 to $k minus 1, also for negative numbers); numbers with equal remainders in ascending order.", &[
            "$r = sorted($x, key=lambda v: (v % $k, v))",
            "$r = sorted(sorted($x), key=lambda v: v % $k)",
            "$r = []\nfor remainder in range($k):\n    $r += sorted(v for v in $x if v % $k == remainder)",
        ])
        .set('k', k)
    }),
    family("sort_words_by_length", 1, Words, Words, |d| {
        Piece::new(
            d,
            "Sort the words from the shortest to the longest; words of equal length in the order of their character codes.",
            &["$r = sorted($x, key=lambda w: (len(w), w))", "$r = sorted($x)\n$r.sort(key=len)"],
        )
    }),
    family("sort_by_digit_sum", 2, Nums, Nums, |d| {
        Piece::new(
            d,
            "Sort the numbers by the sum of the decimal digits of their absolute values; numbers with equal sums in ascending order.",
            &[
                "$r = sorted($x, key=lambda v: (sum(int(c) for c in str(abs(v))), v))",
                "keyed = []\nfor v in $x:\n    keyed.append((sum(map(int, str(abs(v)))), v))\nkeyed.sort()\n$r = [v for _, v in keyed]",
            ],
        )
    }),
    family("sort_by_frequency", 3, Nums, Nums, |d| {
        Piece::new(d, "Sort the numbers so that those which occur more often come first; numbers that occur equally often in ascending order. Each number stays as often as it is there.", &[
            "counts = Counter($x)\n$r = sorted($x, key=lambda v: (-counts[v], v))",
            "$r = sorted($x, key=lambda v: (-$x.count(v), v))",
        ])
        .import("from collections import Counter")
    }),
    family("sort_letters", 2, Text, Text, |d| {
        Piece::new(
            d,
            "Sort the characters of the text by character code, and leave the spaces out.",
            &["$r = \"\".join(sorted($x.replace(\" \", \"\")))", "$r = \"\".join(sorted(c for c in $x if c != \" \"))"],
        )
        .may_empty()
    }),
    family("top_numbers", 2, Query, Nums, |d| {
        Piece::new(
            d,
            "List the k greatest numbers in descending order (equal numbers count one by one).",
            &[
                "$r = sorted($x, reverse=True)[:k]",
                "$r = heapq.nlargest(k, $x)",
                "left = list($x)\n$r = []\nfor _ in range(k):\n    $r.append(max(left))\n    left.remove(max(left))",
            ],
        )
        .import("import heapq")
    }),
    family("bubble_swaps", 3, Nums, Num, |d| {
        Piece::new(
            d,
            "Sort the list in ascending order by swapping neighbours, where the left one is greater, and find how many swaps that takes.",
            &[
                "items = list($x)\n$r = 0\nfor end in range(len(items) - 1, 0, -1):\n    for i in range(end):\n        if items[i] > items[i + 1]:\n            items[i], items[i + 1] = items[i + 1], items[i]\n            $r += 1",
                "$r = sum(1 for i in range(len($x)) for j in range(i + 1, len($x)) if $x[i] > $x[j])",
                "items = list($x)\n$r = 0\nswapped = True\nwhile swapped:\n    swapped = False\n    for i in range(len(items) - 1):\n        if items[i] > items[i + 1]:\n            items[i], items[i + 1] = items[i + 1], items[i]\n            $r += 1\n            swapped = True",
            ],
        )
    }),
    family("after_bubble_passes", 3, Nums, Nums, |d| {
        let k = d.range(1, 3);
        Piece::new(d, "Go through the list from left to right $k times and swap each two neighbours of which the left one is greater. Give the list after that.", &[
            "$r = list($x)\nfor _ in range($k):\n    for i in range(len($r) - 1):\n        if $r[i] > $r[i + 1]:\n            $r[i], $r[i + 1] = $r[i + 1], $r[i]",
        ])
        .set('k', k)
    }),
    family("after_selection_steps", 3, Query, Nums, |d| {
        Piece::new(
            d,
            "Do the first k steps of selection sort: in step i, counted from 0, swap the element at position i with the smallest of those from position i on (the first of them, if several are equal). Give the list after that.",
            &[
                "$r = list($x)\nfor i in range(k):\n    smallest = i\n    for j in range(i + 1, len($r)):\n        if $r[j] < $r[smallest]:\n            smallest = j\n    $r[i], $r[smallest] = $r[smallest], $r[i]",
                "$r = $x[:]\nfor i in range(k):\n    j = $r.index(min($r[i:]), i)\n    $r[i], $r[j] = $r[j], $r[i]",
            ],
        )
    }),
    family("insertion_moves", 3, Nums, Nums, |d| {
        Piece::new(
            d,
            "Insert the numbers one by one into a sorted list, each after those that are not greater; list for each how many numbers it has to pass from the end.",
            &[
                "ordered = []\n$r = []\nfor v in $x:\n    place = len(ordered)\n    while place > 0 and ordered[place - 1] > v:\n        place -= 1\n    $r.append(len(ordered) - place)\n    ordered.insert(place, v)",
                "$r = [sum(1 for w in $x[:i] if w > v) for i, v in enumerate($x)]",
            ],
        )
    }),
    family("merge_sorted_halves", 3, Nums, Nums, |d| {
        Piece::new(d, "Cut the list in the middle (the first part is the shorter one if the length is odd) and merge the two parts: take the smaller of the two first elements again and again, from the first part if they are equal; when one part is used up, append the other.", &[
            "middle = len($x) // 2\n$r = merged($x[:middle], $x[middle:])",
        ])
        .helper(MERGE)
    }),
    family("count_inversions", 4, Nums, Num, |d| {
        Piece::new(d, "Count the pairs of positions at which the earlier number is greater than the later one.", &[
            "_, $r = sort_and_count(list($x))",
            "ordered = []\n$r = 0\nfor v in $x:\n    place = bisect_right(ordered, v)\n    $r += len(ordered) - place\n    ordered.insert(place, v)",
        ])
        .helper(COUNT_INVERSIONS)
        .import("from bisect import bisect_right")
    }),
    family("sort_records", 2, Records, Records, |d| {
        let (word, sign) = d.pick(&[("greatest number to the smallest", "-"), ("smallest number to the greatest", "")]);
        Piece::new(
            d,
            "Sort the records from the $w; records with equal numbers by name, in alphabetical order.",
            &[
                "$r = sorted($x, key=lambda record: ($srecord[1], record[0]))",
                "keyed = sorted(($sv, name) for name, v in $x)\n$r = [(name, $sv) for v, name in keyed]",
            ],
        )
        .set('w', word)
        .set('s', sign)
    }),
    family("fewest_swaps", 5, Nums, Num, |d| {
        Piece::new(
            d,
            "Of equal numbers keep only the first. Find the smallest number of swaps, of any two elements each, that sorts the rest in ascending order.",
            &[
                "items = list(dict.fromkeys($x))\nplace = {v: i for i, v in enumerate(sorted(items))}\n$r = 0\nfor i in range(len(items)):\n    while place[items[i]] != i:\n        j = place[items[i]]\n        items[i], items[j] = items[j], items[i]\n        $r += 1",
                "items = list(dict.fromkeys($x))\ngoal = [sorted(items).index(v) for v in items]\nvisited = [False] * len(items)\n$r = 0\nfor i in range(len(items)):\n    length = 0\n    while not visited[i]:\n        visited[i] = True\n        i = goal[i]\n        length += 1\n    $r += max(0, length - 1)",
            ],
        )
    }),
];
