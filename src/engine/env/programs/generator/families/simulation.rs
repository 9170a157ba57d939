//! Simulation: state that commands or rounds change.

use crate::engine::env::programs::generator::draw::Draw;
use crate::engine::env::programs::generator::piece::Kind::{Count, Grid, Lines, Map, Num, Nums, Query, Text, Words};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

/// Up to `size` lines and at least two, each out of one of the functions.
fn lines(draw: &mut Draw, size: i64, one: &[fn(&mut Draw) -> String]) -> Vec<String> {
    (0..size.max(2)).map(|_| draw.pick(one)(draw)).collect()
}

pub const FAMILIES: &[Family] = &[
    family("bank_balance", 1, Lines, Num, |d| {
        let k = d.range(0, 60);
        Piece::new(d, "Each line is \"deposit X\" or \"withdraw X\" with a whole number X. An account begins with $k. Carry the lines out in order; a withdrawal of more than the account holds is left out. The result is what the account holds at the end.", &[
            "$r = $k\nfor entry in $x:\n    action, amount = entry.split()\n    if action == \"deposit\":\n        $r += int(amount)\n    elif int(amount) <= $r:\n        $r -= int(amount)",
            "$r = $k\nfor entry in $x:\n    part = entry.split()\n    amount = int(part[1])\n    if part[0] == \"withdraw\":\n        if amount > $r:\n            continue\n        amount = -amount\n    $r += amount",
        ])
        .set('k', k)
        .input(|d, size| {
            lines(d, size, &[|d| format!("deposit {}", d.range(1, 50)), |d| format!("withdraw {}", d.range(1, 70))])
        })
    }),
    family("robot_distance", 2, Lines, Num, |d| {
        Piece::new(d, "Each line is a direction (N, S, E or W), a space and a number of steps. A robot follows the lines. The result is how many steps north or south plus how many east or west of its start it is at the end.", &[
            "x = y = 0\nfor entry in $x:\n    way, steps = entry.split()\n    if way == \"N\":\n        y += int(steps)\n    elif way == \"S\":\n        y -= int(steps)\n    elif way == \"E\":\n        x += int(steps)\n    else:\n        x -= int(steps)\n$r = abs(x) + abs(y)",
            "moves = {\"N\": (0, 1), \"S\": (0, -1), \"E\": (1, 0), \"W\": (-1, 0)}\nx, y = 0, 0\nfor entry in $x:\n    dx, dy = moves[entry[0]]\n    steps = int(entry[2:])\n    x, y = x + dx * steps, y + dy * steps\n$r = abs(x) + abs(y)",
        ])
        .input(|d, size| lines(d, size, &[|d| format!("{} {}", d.pick(&["N", "S", "E", "W"]), d.range(1, 12))]))
    }),
    family("turning_robot", 3, Lines, Nums, |d| {
        Piece::new(d, "Each line is \"left\", \"right\" (turn by 90 degrees) or \"go X\". A robot begins at x = 0, y = 0 and looks north, where y grows; x grows to the east. The result is the list of x and y at the end.", &[
            "x, y, dx, dy = 0, 0, 0, 1\nfor entry in $x:\n    if entry == \"left\":\n        dx, dy = -dy, dx\n    elif entry == \"right\":\n        dx, dy = dy, -dx\n    else:\n        steps = int(entry.split()[1])\n        x += dx * steps\n        y += dy * steps\n$r = [x, y]",
            "ways = [(0, 1), (1, 0), (0, -1), (-1, 0)]\nfacing = 0\n$r = [0, 0]\nfor entry in $x:\n    if entry.startswith(\"go\"):\n        for i in range(2):\n            $r[i] += ways[facing][i] * int(entry[3:])\n    else:\n        facing = (facing + (1 if entry == \"right\" else 3)) % 4",
        ])
        .input(|d, size| {
            lines(d, size + 2, &[|_| "left".into(), |_| "right".into(), |d| format!("go {}", d.range(1, 9)), |d| format!("go {}", d.range(1, 9))])
        })
    }),
    family("stack_machine", 3, Lines, Nums, |d| {
        Piece::new(d, "Each line is \"push X\" with a whole number X, \"pop\", \"dup\" or \"add\". A stack is empty at first: push puts X on top, pop takes the top off, dup puts a copy of the top on top, add replaces the two on top by their sum. A command for which the stack has too few numbers is left out. The result is the stack at the end, from the bottom to the top.", &[
            "$r = []\nfor entry in $x:\n    command = entry.split()\n    if command[0] == \"push\":\n        $r.append(int(command[1]))\n    elif command[0] == \"pop\" and $r:\n        $r.pop()\n    elif command[0] == \"dup\" and $r:\n        $r.append($r[-1])\n    elif command[0] == \"add\" and len($r) > 1:\n        $r.append($r.pop() + $r.pop())",
        ])
        .may_empty()
        .input(|d, size| {
            lines(d, size + 2, &[|d| format!("push {}", d.range(-9, 30)), |d| format!("push {}", d.range(1, 9)), |_| "pop".into(), |_| "dup".into(), |_| "add".into()])
        })
    }),
    family("undo_editor", 3, Lines, Text, |d| {
        Piece::new(d, "Each line is \"type W\" with a word W, \"delete\" or \"undo\". A text is empty at first: type appends the word, delete takes the last character off (if there is one), undo brings back the text before the last type or delete that is not yet undone (if there is one). The result is the text at the end.", &[
            "$r = \"\"\nhistory = []\nfor entry in $x:\n    if entry == \"undo\":\n        if history:\n            $r = history.pop()\n        continue\n    history.append($r)\n    if entry == \"delete\":\n        $r = $r[:-1]\n    else:\n        $r += entry.split()[1]",
            "states = [\"\"]\nfor entry in $x:\n    if entry.startswith(\"type\"):\n        states.append(states[-1] + entry[5:])\n    elif entry == \"delete\":\n        states.append(states[-1][:-1])\n    elif len(states) > 1:\n        states.pop()\n$r = states[-1]",
        ])
        .may_empty()
        .input(|d, size| {
            lines(d, size, &[|d| format!("type {}", d.pick(&["ab", "cat", "x", "dog", "we"])), |d| format!("type {}", d.pick(&["q", "zoo"])), |_| "delete".into(), |_| "undo".into()])
        })
    }),
    family("stock_levels", 2, Lines, Num, |d| {
        let k = d.range(3, 15);
        Piece::new(d, "Each line is \"add ITEM X\" or \"sell ITEM X\" with a whole number X. A store is empty at first; a sale takes at most as many as there are. The result is how many items are there at the end $k times or more often: count the names.", &[
            "stock = {}\nfor entry in $x:\n    action, item, amount = entry.split()\n    have = stock.get(item, 0)\n    if action == \"add\":\n        stock[item] = have + int(amount)\n    else:\n        stock[item] = max(0, have - int(amount))\n$r = sum(1 for have in stock.values() if have >= $k)",
            "stock = defaultdict(int)\nfor entry in $x:\n    action, item, amount = entry.split()\n    change = int(amount) if action == \"add\" else -int(amount)\n    stock[item] = max(0, stock[item] + change)\n$r = len([item for item in stock if stock[item] >= $k])",
        ])
        .set('k', k)
        .import("from collections import defaultdict")
        .input(|d, size| {
            lines(d, size + 2, &[
                |d| format!("add {} {}", d.pick(&["nail", "bolt", "nut"]), d.range(1, 20)),
                |d| format!("sell {} {}", d.pick(&["nail", "bolt", "nut"]), d.range(1, 15)),
            ])
        })
    }),
    family("toggled_lights", 2, Count, Num, |d| {
        let (a, b) = (d.range(2, 4), d.range(5, 7));
        Piece::new(d, "As many lamps as the number says are in a row, numbered from 1, all off. Every $a-th lamp is switched over (on if it is off, off if it is on), then every $b-th, then every one whose number is a square. Count the lamps that are on.", &[
            "lamps = [False] * ($x + 1)\nfor step in ($a, $b):\n    for i in range(step, $x + 1, step):\n        lamps[i] = not lamps[i]\ni = 1\nwhile i * i <= $x:\n    lamps[i * i] = not lamps[i * i]\n    i += 1\n$r = sum(lamps)",
        ])
        .set('a', a)
        .set('b', b)
    }),
    family("josephus", 3, Count, Num, |d| {
        let k = d.range(2, 7);
        Piece::new(d, "People numbered from 1 to the number stand in a circle. Counting begins with person 1, goes around, and every $k-th person who is counted leaves; counting goes on with the next one. Find the number of the last person left.", &[
            "people = list(range(1, $x + 1))\nplace = 0\nwhile len(people) > 1:\n    place = (place + $k - 1) % len(people)\n    people.pop(place)\n$r = people[0]",
            "people = deque(range(1, $x + 1))\nwhile len(people) > 1:\n    people.rotate(-($k - 1))\n    people.popleft()\n$r = people[0]",
            "$r = 0\nfor size in range(2, $x + 1):\n    $r = ($r + $k) % size\n$r += 1",
        ])
        .set('k', k)
        .import("from collections import deque")
    }),
    family("ticket_queue", 3, Query, Num, |d| {
        Piece::new(d, "People stand in a line; the absolute values of the numbers, plus 1, are how many tickets each wants. The first in line buys one ticket, which takes one minute, and goes to the end of the line, or away if that was the last one wanted. Find the minute in which the person who stands at position k at first (counted from 1) buys the last ticket.", &[
            "queue = deque((abs(v) + 1, i) for i, v in enumerate($x, 1))\n$r = 0\nwhile queue:\n    wanted, who = queue.popleft()\n    $r += 1\n    if wanted > 1:\n        queue.append((wanted - 1, who))\n    elif who == k:\n        break",
            "mine = abs($x[k - 1]) + 1\n$r = 0\nfor i, v in enumerate($x):\n    $r += min(abs(v) + 1, mine if i < k else mine - 1)",
        ])
        .import("from collections import deque")
    }),
    family("least_recently_used", 4, Words, Num, |d| {
        let k = d.range(2, 4);
        Piece::new(d, "A cache holds at most $k words. The words are asked for in order; one that is in the cache is a hit. One that is not is put in, and if the cache is full, the word asked for the longest time ago is thrown out first. Count the hits.", &[
            "cache = []\n$r = 0\nfor w in $x:\n    if w in cache:\n        cache.remove(w)\n        $r += 1\n    elif len(cache) == $k:\n        cache.pop(0)\n    cache.append(w)",
            "used_at = {}\n$r = 0\nfor time, w in enumerate($x):\n    if w in used_at:\n        $r += 1\n    elif len(used_at) == $k:\n        del used_at[min(used_at, key=used_at.get)]\n    used_at[w] = time",
        ])
        .set('k', k)
    }),
    family("game_of_life", 4, Map, Map, |d| {
        let k = d.range(1, 3);
        Piece::new(d, "Each # is a living cell. In a generation every cell looks at the up to eight cells around it inside the map: a living one stays alive if two or three of them live, a dead one comes to life if exactly three do; all others are dead. Give the map after $k generations.", &[
            "$r = $x\nfor _ in range($k):\n    following = []\n    for i in range(len($r)):\n        cells = \"\"\n        for j in range(len($r[0])):\n            around = 0\n            for a in range(max(0, i - 1), min(len($r), i + 2)):\n                around += $r[a][max(0, j - 1):j + 2].count(\"#\")\n            if $r[i][j] == \"#\":\n                cells += \"#\" if around - 1 in (2, 3) else \".\"\n            else:\n                cells += \"#\" if around == 3 else \".\"\n        following.append(cells)\n    $r = following",
            "alive = {(i, j) for i, cells in enumerate($x) for j, cell in enumerate(cells) if cell == \"#\"}\nheight, width = len($x), len($x[0])\nfor _ in range($k):\n    counts = Counter((i + a, j + b) for i, j in alive for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b)\n    alive = {(i, j) for (i, j), c in counts.items() if 0 <= i < height and 0 <= j < width and (c == 3 or c == 2 and (i, j) in alive)}\n$r = [\"\".join(\"#\" if (i, j) in alive else \".\" for j in range(width)) for i in range(height)]",
        ])
        .set('k', k)
        .import("from collections import Counter")
    }),
    family("falling_stones", 3, Map, Map, |d| {
        Piece::new(
            d,
            "Every # falls straight down until it lies on the bottom of the map or on another #. Give the map after that.",
            &[
                "columns = []\nfor column in zip(*$x):\n    stones = column.count(\"#\")\n    columns.append(\".\" * (len(column) - stones) + \"#\" * stones)\n$r = [\"\".join(cells) for cells in zip(*columns)]",
                "cells = [list(row) for row in $x]\nfor _ in cells:\n    for i in range(len(cells) - 1, 0, -1):\n        for j in range(len(cells[0])):\n            if cells[i][j] == \".\" and cells[i - 1][j] == \"#\":\n                cells[i][j], cells[i - 1][j] = \"#\", \".\"\n$r = [\"\".join(row) for row in cells]",
            ],
        )
    }),
    family("spiral_walk", 4, Grid, Nums, |d| {
        Piece::new(
            d,
            "List the numbers in the order of a spiral: the first row from left to right, the last column downwards, the last row from right to left, the first column upwards, and so on inwards.",
            &[
                "left = [list(row) for row in $x]\n$r = []\nwhile left:\n    $r += left.pop(0)\n    left = [list(row) for row in zip(*left)][::-1]",
                "top, bottom, west, east = 0, len($x) - 1, 0, len($x[0]) - 1\n$r = []\nwhile top <= bottom and west <= east:\n    $r += [$x[top][j] for j in range(west, east + 1)]\n    $r += [$x[i][east] for i in range(top + 1, bottom + 1)]\n    if top < bottom and west < east:\n        $r += [$x[bottom][j] for j in range(east - 1, west - 1, -1)]\n        $r += [$x[i][west] for i in range(bottom - 1, top, -1)]\n    top, bottom, west, east = top + 1, bottom - 1, west + 1, east - 1",
            ],
        )
    }),
    family("colliding_values", 4, Nums, Nums, |d| {
        Piece::new(d, "Numbers of 0 are left out. The others move on a line at equal speed, those greater than 0 to the right, those less than 0 to the left. When two meet, the one with the smaller absolute value vanishes, or both if they are equal. List those that are left, in order.", &[
            "$r = []\nfor v in $x:\n    alive = v != 0\n    while alive and v < 0 and $r and $r[-1] > 0:\n        alive = $r[-1] < -v\n        if $r[-1] <= -v:\n            $r.pop()\n    if alive:\n        $r.append(v)",
        ])
        .may_empty()
    }),
];
