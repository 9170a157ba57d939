//! Dictionaries: counting, grouping, totals, joins.

use crate::engine::env::programs::generator::piece::Kind::{Num, Nums, Records, Text, Words};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

pub const FAMILIES: &[Family] = &[
    family("count_words", 1, Words, Records, |d| {
        Piece::new(d, "Count how often each word occurs, and make a list of the pairs of word and count, in the order of the words' character codes.", &[
            "counts = {}\nfor w in $x:\n    counts[w] = counts.get(w, 0) + 1\n$r = sorted(counts.items())",
            "counts = Counter($x)\n$r = [(w, counts[w]) for w in sorted(counts)]",
        ])
        .import("from collections import Counter")
    }),
    family("total_by_name", 1, Records, Records, |d| {
        Piece::new(d, "Add the numbers up for each name, and make a list of the pairs of name and total, names in alphabetical order.", &[
            "totals = {}\nfor name, v in $x:\n    totals[name] = totals.get(name, 0) + v\n$r = sorted(totals.items())",
            "totals = defaultdict(int)\nfor name, v in $x:\n    totals[name] += v\n$r = [(name, totals[name]) for name in sorted(totals)]",
        ])
        .import("from collections import defaultdict")
    }),
    family("last_of_each", 1, Records, Records, |d| {
        Piece::new(
            d,
            "Keep the number of the last record of each name; list the pairs of name and number, names in the order in which they first occur.",
            &[
                "$r = list(dict($x).items())",
                "latest = {}\nfor name, v in $x:\n    latest[name] = v\n$r = [(name, v) for name, v in latest.items()]",
            ],
        )
    }),
    family("best_by_name", 2, Records, Records, |d| {
        let (w, f) = d.pick(&[("greatest", "max"), ("smallest", "min")]);
        Piece::new(d, "For each name find the $w of its numbers; list the pairs of name and number, names in alphabetical order.", &[
            "best = {}\nfor name, v in $x:\n    best[name] = $f(best.get(name, v), v)\n$r = sorted(best.items())",
            "groups = {}\nfor name, v in $x:\n    groups.setdefault(name, []).append(v)\n$r = [(name, $f(groups[name])) for name in sorted(groups)]",
        ])
        .set('w', w)
        .set('f', f)
    }),
    family("richest_name", 2, Records, Text, |d| {
        Piece::new(d, "Add the numbers up for each name and find the name with the greatest total; among equals take the first in alphabetical order.", &[
            "totals = {}\nfor name, v in $x:\n    totals[name] = totals.get(name, 0) + v\n$r = min(totals, key=lambda name: (-totals[name], name))",
            "totals = Counter()\nfor name, v in $x:\n    totals[name] += v\n$r = max(sorted(totals), key=lambda name: totals[name])",
        ])
        .import("from collections import Counter")
        .needs_items()
    }),
    family("mean_by_name", 2, Records, Records, |d| {
        Piece::new(d, "For each name find the mean of its numbers, rounded down to a whole number; list the pairs of name and mean, names in alphabetical order.", &[
            "sums, counts = {}, {}\nfor name, v in $x:\n    sums[name] = sums.get(name, 0) + v\n    counts[name] = counts.get(name, 0) + 1\n$r = [(name, sums[name] // counts[name]) for name in sorted(sums)]",
            "groups = defaultdict(list)\nfor name, v in $x:\n    groups[name].append(v)\n$r = sorted((name, sum(group) // len(group)) for name, group in groups.items())",
        ])
        .import("from collections import defaultdict")
    }),
    family("repeated_words", 2, Words, Words, |d| {
        let k = d.range(1, 2);
        Piece::new(d, "List the different words that occur more than $k times, in the order in which they first occur.", &[
            "counts = {}\nfor w in $x:\n    counts[w] = counts.get(w, 0) + 1\n$r = [w for w, count in counts.items() if count > $k]",
            "$r = []\nfor w in $x:\n    if $x.count(w) > $k and w not in $r:\n        $r.append(w)",
        ])
        .set('k', k)
        .may_empty()
    }),
    family("words_by_length", 2, Words, Records, |d| {
        Piece::new(d, "Group the words by their length, from the shortest to the longest; for each group make the pair of its words, joined by \"/\" in the order of the input, and how many they are.", &[
            "groups = {}\nfor w in $x:\n    groups.setdefault(len(w), []).append(w)\n$r = [(\"/\".join(groups[size]), len(groups[size])) for size in sorted(groups)]",
            "groups = defaultdict(list)\nfor w in $x:\n    groups[len(w)].append(w)\n$r = []\nfor _, group in sorted(groups.items()):\n    $r.append((\"/\".join(group), len(group)))",
        ])
        .import("from collections import defaultdict")
    }),
    family("first_letter_index", 3, Words, Records, |d| {
        Piece::new(d, "Group the different words by their first letter, as a small letter; list the pairs of letter and how many different words begin with it, letters in alphabetical order.", &[
            "index = {}\nfor w in $x:\n    index.setdefault(w[0].lower(), set()).add(w)\n$r = [(letter, len(index[letter])) for letter in sorted(index)]",
            "counts = Counter(w[0].lower() for w in set($x))\n$r = sorted(counts.items())",
        ])
        .import("from collections import Counter")
    }),
    family("common_values", 2, Nums, Nums, |d| {
        Piece::new(d, "Find the numbers that occur as often as the most frequent one, in ascending order.", &[
            "counts = Counter($x)\ntop = max(counts.values())\n$r = sorted(v for v in counts if counts[v] == top)",
            "counts = {}\nfor v in $x:\n    counts[v] = counts.get(v, 0) + 1\n$r = []\nfor v in sorted(counts):\n    if counts[v] == max(counts.values()):\n        $r.append(v)",
        ])
        .import("from collections import Counter")
        .needs_items()
    }),
    family("dense_ranks", 3, Nums, Nums, |d| {
        Piece::new(
            d,
            "Replace every number by its rank: the smallest of the different numbers has rank 1, the next greater one rank 2, and so on.",
            &[
                "rank = {v: i for i, v in enumerate(sorted(set($x)), 1)}\n$r = [rank[v] for v in $x]",
                "different = sorted(set($x))\n$r = [different.index(v) + 1 for v in $x]",
            ],
        )
    }),
    family("ranking_by_total", 3, Records, Words, |d| {
        Piece::new(d, "Add the numbers up for each name and list the names from the greatest total to the smallest; names with equal totals in alphabetical order.", &[
            "totals = {}\nfor name, v in $x:\n    totals[name] = totals.get(name, 0) + v\n$r = sorted(totals, key=lambda name: (-totals[name], name))",
            "totals = defaultdict(int)\nfor name, v in $x:\n    totals[name] += v\nranked = sorted((-total, name) for name, total in totals.items())\n$r = [name for _, name in ranked]",
        ])
        .import("from collections import defaultdict")
    }),
    family("distances_of_repeats", 3, Words, Num, |d| {
        Piece::new(
            d,
            "Find the smallest distance between the positions of two equal words; -1 if no word occurs twice.",
            &[
                "last = {}\n$r = -1\nfor i, w in enumerate($x):\n    if w in last and ($r == -1 or i - last[w] < $r):\n        $r = i - last[w]\n    last[w] = i",
                "gaps = [j - i for i in range(len($x)) for j in range(i + 1, len($x)) if $x[i] == $x[j]]\n$r = min(gaps) if gaps else -1",
            ],
        )
    }),
    family("zero_sum_parts", 4, Nums, Num, |d| {
        let k = d.range(2, 5);
        Piece::new(d, "Count the parts of the list (one or more neighbouring numbers) whose sum is divisible by $k.", &[
            "seen = {0: 1}\nprefix = 0\n$r = 0\nfor v in $x:\n    prefix = (prefix + v) % $k\n    $r += seen.get(prefix, 0)\n    seen[prefix] = seen.get(prefix, 0) + 1",
            "$r = 0\nfor i in range(len($x)):\n    total = 0\n    for v in $x[i:]:\n        total += v\n        if total % $k == 0:\n            $r += 1",
        ])
        .set('k', k)
    }),
];
