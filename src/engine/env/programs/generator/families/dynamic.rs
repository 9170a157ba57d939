//! Dynamic programming: the best or the number of ways, from smaller cases.

use crate::engine::env::programs::generator::piece::Kind::{Count, Grid, Map, Num, Nums, Records, Text, Texts};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

pub const FAMILIES: &[Family] = &[
    family("ways_to_climb", 2, Count, Num, |d| {
        let (a, b, m) = (d.range(1, 2), d.range(3, 5), d.range(97, 999));
        Piece::new(d, "Count the ways to climb as many stairs as the number says with steps of $a and of $b stairs (the order of the steps matters; one may not climb too far), and take the remainder divided by $m.", &[
            "ways = [1] + [0] * $x\nfor i in range(1, $x + 1):\n    for step in ($a, $b):\n        if i >= step:\n            ways[i] = (ways[i] + ways[i - step]) % $m\n$r = ways[$x]",
            "ways = {0: 1}\nfor i in range(1, $x + 1):\n    ways[i] = (ways.get(i - $a, 0) + ways.get(i - $b, 0)) % $m\n$r = ways[$x]",
        ])
        .set('a', a)
        .set('b', b)
        .set('m', m)
    }),
    family("fewest_coins", 3, Count, Num, |d| {
        let (a, b, c) = (d.range(2, 3), d.range(4, 7), d.range(8, 15));
        Piece::new(d, "Find the smallest number of coins of the values $a, $b and $c (any number of each) that make exactly the number; -1 if they cannot.", &[
            "fewest = [0] + [-1] * $x\nfor amount in range(1, $x + 1):\n    for coin in ($a, $b, $c):\n        if amount >= coin and fewest[amount - coin] >= 0:\n            if fewest[amount] < 0 or fewest[amount - coin] + 1 < fewest[amount]:\n                fewest[amount] = fewest[amount - coin] + 1\n$r = fewest[$x]",
            "reached = {0}\n$r = 0\nwhile $x not in reached and reached:\n    reached = {s + coin for s in reached for coin in ($a, $b, $c) if s + coin <= $x}\n    $r += 1\nif not reached:\n    $r = -1",
        ])
        .set('a', a)
        .set('b', b)
        .set('c', c)
    }),
    family("ways_to_pay", 3, Count, Num, |d| {
        let (a, b, c) = (d.range(1, 2), d.range(3, 6), d.range(7, 15));
        Piece::new(d, "Count the ways to make exactly the number with coins of the values $a, $b and $c (any number of each; the order of the coins does not matter).", &[
            "ways = [1] + [0] * $x\nfor coin in ($a, $b, $c):\n    for amount in range(coin, $x + 1):\n        ways[amount] += ways[amount - coin]\n$r = ways[$x]",
            "$r = 0\nfor large in range(0, $x + 1, $c):\n    for middle in range(0, $x - large + 1, $b):\n        if ($x - large - middle) % $a == 0:\n            $r += 1",
        ])
        .set('a', a)
        .set('b', b)
        .set('c', c)
    }),
    family("longest_increasing", 3, Nums, Num, |d| {
        let (word, op) = d.pick(&[("greater than", "<"), ("less than", ">"), ("not less than", "<=")]);
        Piece::new(d, "Find the length of the longest sequence that can be made by leaving numbers out, in which every number is $w the one before it.", &[
            "lengths = []\nfor i, v in enumerate($x):\n    lengths.append(1 + max((lengths[j] for j in range(i) if $x[j] $o v), default=0))\n$r = max(lengths, default=0)",
            "lengths = [1] * len($x)\nfor i in range(len($x)):\n    for j in range(i):\n        if $x[j] $o $x[i] and lengths[j] + 1 > lengths[i]:\n            lengths[i] = lengths[j] + 1\n$r = max(lengths) if lengths else 0",
        ])
        .set('w', word)
        .set('o', op)
    }),
    family("greatest_part_sum", 3, Nums, Num, |d| {
        Piece::new(
            d,
            "Find the greatest sum of a part of the list (one or more neighbouring numbers).",
            &[
                "current = $r = $x[0]\nfor v in $x[1:]:\n    current = max(v, current + v)\n    $r = max($r, current)",
                "$r = max(sum($x[i:j]) for i in range(len($x)) for j in range(i + 1, len($x) + 1))",
            ],
        )
        .needs_items()
    }),
    family("no_two_neighbours", 3, Nums, Num, |d| {
        Piece::new(
            d,
            "Choose numbers of which no two are neighbours in the list, so that their sum is as great as possible; the result is the sum (0 for no number at all).",
            &[
                "taken, skipped = 0, 0\nfor v in $x:\n    taken, skipped = skipped + v, max(taken, skipped)\n$r = max(taken, skipped)",
                "best = [0, 0]\nfor v in $x:\n    best.append(max(best[-1], best[-2] + v))\n$r = best[-1]",
            ],
        )
    }),
    family("reachable_sums", 3, Nums, Num, |d| {
        Piece::new(
            d,
            "Take only the first 10 numbers. Count the different sums that can be made of some of them, each used at most once; the sum 0 of no number counts.",
            &[
                "sums_seen = {0}\nfor v in $x[:10]:\n    sums_seen |= {s + v for s in sums_seen}\n$r = len(sums_seen)",
                "reached = [0]\nfor v in $x[:10]:\n    reached = sorted(set(reached + [s + v for s in reached]))\n$r = len(reached)",
            ],
        )
    }),
    family("fairest_split", 4, Nums, Num, |d| {
        Piece::new(
            d,
            "Take only the first 10 numbers and split them into two groups, of which one may be empty, so that the sums of the groups differ as little as possible; find that difference (not negative).",
            &[
                "few = $x[:10]\nsums_seen = {0}\nfor v in few:\n    sums_seen |= {s + v for s in sums_seen}\n$r = min(abs(sum(few) - 2 * s) for s in sums_seen)",
                "gaps = {0}\nfor v in $x[:10]:\n    gaps = {abs(g + v) for g in gaps} | {abs(g - v) for g in gaps}\n$r = min(gaps)",
            ],
        )
    }),
    family("edit_distance", 4, Texts, Num, |d| {
        Piece::new(
            d,
            "Find the smallest number of changes that turn the first word into the second, where a change puts a letter in, takes one out, or replaces one.",
            &[
                "row = list(range(len(other) + 1))\nfor i, a in enumerate($x, 1):\n    above, row = row, [i]\n    for j, b in enumerate(other, 1):\n        row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))\n$r = row[-1]",
                "cost = [[i + j if i * j == 0 else 0 for j in range(len(other) + 1)] for i in range(len($x) + 1)]\nfor i in range(1, len($x) + 1):\n    for j in range(1, len(other) + 1):\n        if $x[i - 1] == other[j - 1]:\n            cost[i][j] = cost[i - 1][j - 1]\n        else:\n            cost[i][j] = 1 + min(cost[i - 1][j], cost[i][j - 1], cost[i - 1][j - 1])\n$r = cost[-1][-1]",
            ],
        )
    }),
    family("common_subsequence", 4, Texts, Num, |d| {
        Piece::new(
            d,
            "Find the length of the longest text that can be made out of both words by leaving letters out.",
            &[
                "best = [[0] * (len(other) + 1) for _ in range(len($x) + 1)]\nfor i, a in enumerate($x):\n    for j, b in enumerate(other):\n        best[i + 1][j + 1] = best[i][j] + 1 if a == b else max(best[i][j + 1], best[i + 1][j])\n$r = best[-1][-1]",
                "row = [0] * (len(other) + 1)\nfor a in $x:\n    diagonal = 0\n    for j, b in enumerate(other, 1):\n        above = row[j]\n        row[j] = diagonal + 1 if a == b else max(row[j], row[j - 1])\n        diagonal = above\n$r = row[-1]",
            ],
        )
    }),
    family("common_part", 3, Texts, Num, |d| {
        Piece::new(
            d,
            "Find the length of the longest run of neighbouring letters that both words contain.",
            &[
                "$r = 0\nfor i in range(len($x)):\n    for j in range(len(other)):\n        length = 0\n        while i + length < len($x) and j + length < len(other) and $x[i + length] == other[j + length]:\n            length += 1\n        $r = max($r, length)",
                "parts_of_x = {$x[i:j] for i in range(len($x)) for j in range(i + 1, len($x) + 1)}\n$r = max((len(piece) for piece in parts_of_x if piece in other), default=0)",
            ],
        )
    }),
    family("best_knapsack", 4, Records, Num, |d| {
        let k = d.range(20, 60);
        Piece::new(d, "Each record is a thing whose number is its weight, and whose value is its weight plus the length of its name. Choose things, each record at most once, of a total weight of at most $k, so that the total value is as great as possible; the result is that value (0 for nothing).", &[
            "best = [0] * ($k + 1)\nfor name, weight in $x:\n    gain = weight + len(name)\n    for room in range($k, weight - 1, -1):\n        best[room] = max(best[room], best[room - weight] + gain)\n$r = best[$k]",
            "best = {0: 0}\nfor name, weight in $x:\n    for load, gain in list(best.items()):\n        if load + weight <= $k:\n            best[load + weight] = max(best.get(load + weight, 0), gain + weight + len(name))\n$r = max(best.values())",
        ])
        .set('k', k)
    }),
    family("cheapest_path", 4, Grid, Num, |d| {
        let (w, f) = d.pick(&[("smallest", "min"), ("greatest", "max")]);
        Piece::new(d, "A path leads from the upper left corner to the lower right corner, each step one cell to the right or down. Find the $w possible sum of the numbers on a path, both corners included.", &[
            "cost = []\nfor i, cells in enumerate($x):\n    cost.append([])\n    for j, cell in enumerate(cells):\n        ways = []\n        if i > 0:\n            ways.append(cost[i - 1][j])\n        if j > 0:\n            ways.append(cost[i][j - 1])\n        cost[i].append(cell + ($f(ways) if ways else 0))\n$r = cost[-1][-1]",
            "best = list(accumulate($x[0]))\nfor cells in $x[1:]:\n    best[0] += cells[0]\n    for j in range(1, len(cells)):\n        best[j] = cells[j] + $f(best[j], best[j - 1])\n$r = best[-1]",
        ])
        .set('w', w)
        .set('f', f)
        .import("from itertools import accumulate")
    }),
    family("count_paths", 4, Map, Num, |d| {
        Piece::new(
            d,
            "Count the paths from the upper left corner to the lower right corner, each step one cell to the right or down, that touch no # (0 if a corner itself is one).",
            &[
                "ways = [1] + [0] * (len($x[0]) - 1)\nfor cells in $x:\n    for j, cell in enumerate(cells):\n        if cell == \"#\":\n            ways[j] = 0\n        elif j > 0:\n            ways[j] += ways[j - 1]\n$r = ways[-1]",
                "ways = {(0, 0): 1}\nfor i in range(len($x)):\n    for j in range(len($x[0])):\n        if $x[i][j] == \"#\":\n            ways[i, j] = 0\n        elif i or j:\n            ways[i, j] = ways.get((i - 1, j), 0) + ways.get((i, j - 1), 0)\n$r = ways[len($x) - 1, len($x[0]) - 1]",
            ],
        )
    }),
    family("largest_square", 4, Map, Num, |d| {
        Piece::new(
            d,
            "Find the side of the largest square that consists of dots only.",
            &[
                "sides = [[0] * len($x[0]) for _ in $x]\n$r = 0\nfor i in range(len($x)):\n    for j in range(len($x[0])):\n        if $x[i][j] == \".\":\n            if i == 0 or j == 0:\n                sides[i][j] = 1\n            else:\n                sides[i][j] = 1 + min(sides[i - 1][j], sides[i][j - 1], sides[i - 1][j - 1])\n            $r = max($r, sides[i][j])",
            ],
        )
    }),
    family("longest_palindrome", 4, Text, Num, |d| {
        Piece::new(
            d,
            "Find the length of the longest run of neighbouring characters that reads the same from both ends (spaces and capitals are characters like others).",
            &[
                "$r = 0\nfor i in range(len($x)):\n    for j in range(i + 1, len($x) + 1):\n        if $x[i:j] == $x[i:j][::-1]:\n            $r = max($r, j - i)",
                "$r = 0\nfor center in range(2 * len($x) - 1):\n    low, high = center // 2, (center + 1) // 2\n    while low >= 0 and high < len($x) and $x[low] == $x[high]:\n        $r = max($r, high - low + 1)\n        low -= 1\n        high += 1",
            ],
        )
    }),
    family("palindrome_cuts", 5, Text, Num, |d| {
        Piece::new(
            d,
            "Take the first 12 characters of the text (all, if there are fewer). Find the smallest number of pieces into which they can be cut so that every piece reads the same from both ends (0 for an empty text).",
            &[
                "short = $x[:12]\nfewest = [0]\nfor j in range(1, len(short) + 1):\n    fewest.append(min(fewest[i] + 1 for i in range(j) if short[i:j] == short[i:j][::-1]))\n$r = fewest[-1]",
            ],
        )
    }),
];
