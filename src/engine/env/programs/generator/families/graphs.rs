//! Graphs: components, distances, orders, trees; and maps as graphs of cells.

use crate::engine::env::programs::generator::piece::Kind::{Flag, Graph, Map, Num, Nums, Roads};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

const ROOT: &str = "
def root(parent, node):
    while parent[node] != node:
        node = parent[node]
    return node";

const VISIT: &str = "
def visit(near, node, visited):
    visited.add(node)
    for neighbour in near[node]:
        if neighbour not in visited:
            visit(near, neighbour, visited)";

const SPREAD: &str = "
def spread_from(cells, i, j):
    if i < 0 or j < 0 or i >= len(cells) or j >= len(cells[0]) or cells[i][j] != \".\":
        return 0
    cells[i][j] = \"x\"
    return 1 + spread_from(cells, i + 1, j) + spread_from(cells, i - 1, j) + spread_from(cells, i, j + 1) + spread_from(cells, i, j - 1)";

pub const FAMILIES: &[Family] = &[
    family("node_degrees", 1, Graph, Nums, |d| {
        Piece::new(
            d,
            "Count for each node, from 1 to n, the edges that begin or end at it.",
            &[
                "degrees = [0] * (n + 1)\nfor a, b in $x:\n    degrees[a] += 1\n    degrees[b] += 1\n$r = degrees[1:]",
                "$r = [sum(node in pair for pair in $x) for node in range(1, n + 1)]",
            ],
        )
    }),
    family("sources", 1, Graph, Nums, |d| {
        let (w, i) = d.pick(&[("ends", "1"), ("begins", "0")]);
        Piece::new(
            d,
            "List the nodes at which no edge $w, in ascending order.",
            &[
                "busy = {pair[$i] for pair in $x}\n$r = [node for node in range(1, n + 1) if node not in busy]",
                "free = set(range(1, n + 1))\nfor pair in $x:\n    free.discard(pair[$i])\n$r = sorted(free)",
            ],
        )
        .set('w', w)
        .set('i', i)
        .may_empty()
    }),
    family("common_neighbours", 2, Graph, Num, |d| {
        Piece::new(
            d,
            "Edges lead in both directions. Count the nodes that are connected by an edge both with node 1 and with node 2.",
            &[
                "near = {node: set() for node in range(1, n + 1)}\nfor a, b in $x:\n    near[a].add(b)\n    near[b].add(a)\n$r = len(near[1] & near[2])",
                "$r = 0\nfor node in range(3, n + 1):\n    met = set()\n    for a, b in $x:\n        if node in (a, b):\n            met.add(a + b - node)\n    if 1 in met and 2 in met:\n        $r += 1",
            ],
        )
    }),
    family("count_components", 3, Graph, Num, |d| {
        Piece::new(d, "Edges lead in both directions. Count the groups of nodes that are connected with each other (a node without edges is a group).", &[
            "parent = list(range(n + 1))\n$r = n\nfor a, b in $x:\n    a, b = root(parent, a), root(parent, b)\n    if a != b:\n        parent[a] = b\n        $r -= 1",
            "near = {node: [] for node in range(1, n + 1)}\nfor a, b in $x:\n    near[a].append(b)\n    near[b].append(a)\nvisited = set()\n$r = 0\nfor node in near:\n    if node not in visited:\n        $r += 1\n        waiting = [node]\n        while waiting:\n            current = waiting.pop()\n            if current not in visited:\n                visited.add(current)\n                waiting.extend(near[current])",
        ])
        .helper(ROOT)
    }),
    family("component_sizes", 3, Graph, Nums, |d| {
        Piece::new(d, "Edges lead in both directions. List the sizes of the groups of nodes that are connected with each other, in descending order (a node without edges is a group).", &[
            "label = list(range(n + 1))\nfor a, b in $x:\n    old, new = label[a], label[b]\n    label = [new if mark == old else mark for mark in label]\n$r = sorted((label[1:].count(mark) for mark in set(label[1:])), reverse=True)",
            "near = [[] for _ in range(n + 1)]\nfor a, b in $x:\n    near[a].append(b)\n    near[b].append(a)\nvisited = set()\n$r = []\nfor node in range(1, n + 1):\n    if node not in visited:\n        before = len(visited)\n        visit(near, node, visited)\n        $r.append(len(visited) - before)\n$r.sort(reverse=True)",
        ])
        .helper(VISIT)
    }),
    family("steps_from_first", 3, Graph, Nums, |d| {
        let (w, back) = d.pick(&[
            ("Edges lead in both directions.", "\n    near[b].append(a)"),
            ("Edges lead from the first node to the second only.", ""),
        ]);
        Piece::new(d, "$w List for each node, from 1 to n, the smallest number of edges on a way from node 1 to it; -1 if there is no way.", &[
            "near = [[] for _ in range(n + 1)]\nfor a, b in $x:\n    near[a].append(b)$b\ndistance = [-1] * (n + 1)\ndistance[1] = 0\nqueue = deque([1])\nwhile queue:\n    node = queue.popleft()\n    for neighbour in near[node]:\n        if distance[neighbour] < 0:\n            distance[neighbour] = distance[node] + 1\n            queue.append(neighbour)\n$r = distance[1:]",
            "near = {node: [] for node in range(1, n + 1)}\nfor a, b in $x:\n    near[a].append(b)$b\ndistance = {1: 0}\nlayer = [1]\nwhile layer:\n    following = []\n    for node in layer:\n        for neighbour in near[node]:\n            if neighbour not in distance:\n                distance[neighbour] = distance[node] + 1\n                following.append(neighbour)\n    layer = following\n$r = [distance.get(node, -1) for node in range(1, n + 1)]",
        ])
        .set('w', w)
        .set('b', back)
        .import("from collections import deque")
    }),
    family("reachable_nodes", 3, Graph, Nums, |d| {
        let k = d.range(1, 3);
        Piece::new(d, "Edges lead from the first node to the second only. List the nodes that can be reached from node $k, node $k itself among them, in ascending order.", &[
            "visited = {$k}\nchanged = True\nwhile changed:\n    changed = False\n    for a, b in $x:\n        if a in visited and b not in visited:\n            visited.add(b)\n            changed = True\n$r = sorted(visited)",
            "near = [[] for _ in range(n + 1)]\nfor a, b in $x:\n    near[a].append(b)\nvisited = set()\nvisit(near, $k, visited)\n$r = sorted(visited)",
        ])
        .set('k', k)
        .helper(VISIT)
    }),
    family("count_triangles", 3, Graph, Num, |d| {
        Piece::new(
            d,
            "Edges lead in both directions. Count the sets of three nodes of which each two are connected by an edge.",
            &[
                "connected = {frozenset(pair) for pair in $x}\n$r = 0\nfor a in range(1, n + 1):\n    for b in range(a + 1, n + 1):\n        for c in range(b + 1, n + 1):\n            if {frozenset((a, b)), frozenset((b, c)), frozenset((a, c))} <= connected:\n                $r += 1",
                "near = {node: set() for node in range(1, n + 1)}\nfor a, b in $x:\n    near[a].add(b)\n    near[b].add(a)\n$r = sum(len(near[a] & near[b]) for a, b in $x) // 3",
            ],
        )
    }),
    family("two_colours", 4, Graph, Flag, |d| {
        Piece::new(d, "Edges lead in both directions. Find out whether the nodes can be painted in two colours so that no edge connects nodes of one colour.", &[
            "near = [[] for _ in range(n + 1)]\nfor a, b in $x:\n    near[a].append(b)\n    near[b].append(a)\ncolour = {}\n$r = True\nfor start in range(1, n + 1):\n    if start in colour:\n        continue\n    colour[start] = 0\n    waiting = [start]\n    while waiting:\n        node = waiting.pop()\n        for neighbour in near[node]:\n            if neighbour not in colour:\n                colour[neighbour] = 1 - colour[node]\n                waiting.append(neighbour)\n            elif colour[neighbour] == colour[node]:\n                $r = False",
            "parent = list(range(2 * n + 2))\nfor a, b in $x:\n    parent[root(parent, 2 * a)] = root(parent, 2 * b + 1)\n    parent[root(parent, 2 * a + 1)] = root(parent, 2 * b)\n$r = all(root(parent, 2 * node) != root(parent, 2 * node + 1) for node in range(1, n + 1))",
        ])
        .helper(ROOT)
    }),
    family("smallest_order", 4, Graph, Nums, |d| {
        Piece::new(d, "An edge from a to b says that a must come before b. Build an order: again and again take the smallest node of those not yet taken whose predecessors are all taken, until there is none. List the nodes in the order in which they are taken (some may be left over).", &[
            "missing = [0] * (n + 1)\nafter = [[] for _ in range(n + 1)]\nfor a, b in $x:\n    after[a].append(b)\n    missing[b] += 1\nready = [node for node in range(1, n + 1) if missing[node] == 0]\nheapq.heapify(ready)\n$r = []\nwhile ready:\n    node = heapq.heappop(ready)\n    $r.append(node)\n    for follower in after[node]:\n        missing[follower] -= 1\n        if missing[follower] == 0:\n            heapq.heappush(ready, follower)",
            "left = set(range(1, n + 1))\n$r = []\nwhile True:\n    free = [node for node in left if not any(b == node and a in left for a, b in $x)]\n    if not free:\n        break\n    left.remove(min(free))\n    $r.append(min(free))",
        ])
        .import("import heapq")
        .may_empty()
    }),
    family("has_cycle", 4, Graph, Flag, |d| {
        Piece::new(
            d,
            "Edges lead from the first node to the second only. Find out whether one can walk along edges from some node back to it.",
            &[
                "left = list($x)\nwhile True:\n    begins = {a for a, _ in left}\n    kept = [(a, b) for a, b in left if b in begins]\n    if len(kept) == len(left):\n        break\n    left = kept\n$r = len(left) > 0",
                "reach = [[False] * (n + 1) for _ in range(n + 1)]\nfor a, b in $x:\n    reach[a][b] = True\nfor c in range(1, n + 1):\n    for a in range(1, n + 1):\n        for b in range(1, n + 1):\n            if reach[a][c] and reach[c][b]:\n                reach[a][b] = True\n$r = any(reach[node][node] for node in range(1, n + 1))",
            ],
        )
    }),
    family("areas_of_dots", 4, Map, Nums, |d| {
        Piece::new(d, "Dots that touch at a side belong to one area. List the sizes of all areas in ascending order.", &[
            "cells = [list(row) for row in $x]\n$r = []\nfor i in range(len(cells)):\n    for j in range(len(cells[0])):\n        size = spread_from(cells, i, j)\n        if size > 0:\n            $r.append(size)\n$r.sort()",
            "free = {(i, j) for i, row in enumerate($x) for j, cell in enumerate(row) if cell == \".\"}\n$r = []\nwhile free:\n    waiting = [free.pop()]\n    size = 0\n    while waiting:\n        i, j = waiting.pop()\n        size += 1\n        for near in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):\n            if near in free:\n                free.remove(near)\n                waiting.append(near)\n    $r.append(size)\n$r.sort()",
        ])
        .helper(SPREAD)
        .may_empty()
    }),
    family("way_through_map", 4, Map, Num, |d| {
        Piece::new(d, "Find the smallest number of steps, each one cell up, down, left or right on dots, from the upper left corner to the lower right corner; -1 if there is no way (also if a corner is a #).", &[
            "height, width = len($x), len($x[0])\nsteps = {}\nqueue = deque()\nif $x[0][0] == \".\":\n    steps[0, 0] = 0\n    queue.append((0, 0))\nwhile queue:\n    i, j = queue.popleft()\n    for a, b in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):\n        if 0 <= a < height and 0 <= b < width and $x[a][b] == \".\" and (a, b) not in steps:\n            steps[a, b] = steps[i, j] + 1\n            queue.append((a, b))\n$r = steps.get((height - 1, width - 1), -1)",
        ])
        .import("from collections import deque")
    }),
    family("shortest_roads", 5, Roads, Nums, |d| {
        Piece::new(d, "List for each town, from 1 to n, the length of the shortest way from town 1 to it; -1 if there is none.", &[
            "near = [[] for _ in range(n + 1)]\nfor a, b, w in $x:\n    near[a].append((b, w))\n    near[b].append((a, w))\ndistance = [-1] * (n + 1)\nqueue = [(0, 1)]\nwhile queue:\n    length, town = heapq.heappop(queue)\n    if distance[town] >= 0:\n        continue\n    distance[town] = length\n    for neighbour, w in near[town]:\n        if distance[neighbour] < 0:\n            heapq.heappush(queue, (length + w, neighbour))\n$r = distance[1:]",
            "far = 10 ** 9\ndistance = [far] * (n + 1)\ndistance[1] = 0\nfor _ in range(n):\n    for a, b, w in $x:\n        distance[b] = min(distance[b], distance[a] + w)\n        distance[a] = min(distance[a], distance[b] + w)\n$r = [length if length < far else -1 for length in distance[1:]]",
        ])
        .import("import heapq")
    }),
    family("cheapest_network", 5, Roads, Num, |d| {
        Piece::new(d, "Choose roads so that all towns that are connected at all stay connected, with a total length as small as possible; the result is that total.", &[
            "parent = list(range(n + 1))\n$r = 0\nfor w, a, b in sorted((w, a, b) for a, b, w in $x):\n    a, b = root(parent, a), root(parent, b)\n    if a != b:\n        parent[a] = b\n        $r += w",
            "group = list(range(n + 1))\n$r = 0\nfor a, b, w in sorted($x, key=lambda road: road[2]):\n    if group[a] != group[b]:\n        $r += w\n        old, new = group[a], group[b]\n        group = [new if mark == old else mark for mark in group]",
        ])
        .helper(ROOT)
    }),
    family("longest_road_at", 2, Roads, Nums, |d| {
        Piece::new(
            d,
            "List for each town, from 1 to n, the length of the longest road at it; 0 if it has none.",
            &[
                "$r = [0] * n\nfor a, b, w in $x:\n    $r[a - 1] = max($r[a - 1], w)\n    $r[b - 1] = max($r[b - 1], w)",
                "$r = [max((w for a, b, w in $x if town in (a, b)), default=0) for town in range(1, n + 1)]",
            ],
        )
    }),
];
