//! Strings: letters, words and patterns.

use crate::engine::env::programs::generator::piece::Kind::{Flag, Num, Nums, Text, Texts, Words};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

pub const FAMILIES: &[Family] = &[
    family("count_letters_of", 1, Text, Num, |d| {
        let k = d.pick(&["aeiou", "aeiouy", "bcdfg", "rstln"]);
        Piece::new(
            d,
            "Count the characters of the text that are among \"$k\" (small letters only).",
            &[
                "$r = sum(1 for c in $x if c in \"$k\")",
                "$r = 0\nfor c in $x:\n    if c in \"$k\":\n        $r += 1",
                "$r = len([c for c in $x if c in \"$k\"])",
            ],
        )
        .set('k', k)
    }),
    family("reverse_each_word", 1, Text, Text, |d| {
        Piece::new(
            d,
            "Split the text at white space, reverse each word, and join the words with single spaces.",
            &[
                "$r = \" \".join(w[::-1] for w in $x.split())",
                "turned = []\nfor w in $x.split():\n    turned.append(w[::-1])\n$r = \" \".join(turned)",
            ],
        )
        .may_empty()
    }),
    family("acronym", 1, Words, Text, |d| {
        Piece::new(
            d,
            "Join the first letters of the words, as capitals (no word is empty).",
            &["$r = \"\".join(w[0].upper() for w in $x)", "$r = \"\"\nfor w in $x:\n    $r += w[0].upper()"],
        )
    }),
    family("longest_word", 1, Words, Text, |d| {
        let rule = d.pick(&["longest", "shortest"]);
        let f = if rule == "longest" { ("max", ">") } else { ("min", "<") };
        Piece::new(
            d,
            "Find the $w word; among equals take the one that comes first.",
            &["$r = $f($x, key=len)", "$r = $x[0]\nfor w in $x:\n    if len(w) $c len($r):\n        $r = w"],
        )
        .set('w', rule)
        .set('f', f.0)
        .set('c', f.1)
        .needs_items()
    }),
    family("caesar_shift", 2, Text, Text, |d| {
        let k = d.range(1, 25);
        Piece::new(d, "Move every small letter $k places on in the alphabet, from z on to a; all other characters stay.", &[
            "$r = \"\"\nfor c in $x:\n    if \"a\" <= c <= \"z\":\n        $r += chr((ord(c) - 97 + $k) % 26 + 97)\n    else:\n        $r += c",
            "letters = \"abcdefghijklmnopqrstuvwxyz\"\nshifted = []\nfor c in $x:\n    place = letters.find(c)\n    shifted.append(letters[(place + $k) % 26] if place >= 0 else c)\n$r = \"\".join(shifted)",
        ])
        .set('k', k)
    }),
    family("mirror_alphabet", 2, Text, Text, |d| {
        Piece::new(
            d,
            "Replace every small letter by the one that stands as far from the end of the alphabet (a by z, b by y, and so on); all other characters stay.",
            &[
                "$r = \"\".join(chr(219 - ord(c)) if \"a\" <= c <= \"z\" else c for c in $x)",
                "mirrored = []\nfor c in $x:\n    if \"a\" <= c and c <= \"z\":\n        c = chr(ord(\"a\") + ord(\"z\") - ord(c))\n    mirrored.append(c)\n$r = \"\".join(mirrored)",
            ],
        )
    }),
    family("run_length_encode", 2, Text, Text, |d| {
        Piece::new(d, "Replace every run of equal characters by the character followed by the length of the run (also for runs of length 1).", &[
            "encoded = []\ni = 0\nwhile i < len($x):\n    j = i\n    while j < len($x) and $x[j] == $x[i]:\n        j += 1\n    encoded.append($x[i] + str(j - i))\n    i = j\n$r = \"\".join(encoded)",
            "$r = \"\".join(c + str(len(list(run))) for c, run in groupby($x))",
            "$r = \"\"\ncount = 0\nfor i, c in enumerate($x):\n    count += 1\n    if i + 1 == len($x) or $x[i + 1] != c:\n        $r += f\"{c}{count}\"\n        count = 0",
        ])
        .import("from itertools import groupby")
    }),
    family("palindrome_check", 2, Text, Flag, |d| {
        Piece::new(
            d,
            "Take only the letters of the text, as small letters, and find out whether they read the same from both ends (no letters at all do).",
            &[
                "letters = [c for c in $x.lower() if c.isalpha()]\n$r = letters == letters[::-1]",
                "letters = \"\".join(c for c in $x.lower() if c.isalpha())\n$r = True\nlow, high = 0, len(letters) - 1\nwhile low < high:\n    if letters[low] != letters[high]:\n        $r = False\n        break\n    low += 1\n    high -= 1",
            ],
        )
    }),
    family("commonest_character", 2, Text, Text, |d| {
        Piece::new(
            d,
            "Find the character, spaces not counted, that occurs most often; among equals take the smallest by character code. If the text has nothing but spaces, the result is \"-\".",
            &[
                "counts = {}\nfor c in $x:\n    if c != \" \":\n        counts[c] = counts.get(c, 0) + 1\n$r = min(counts, key=lambda c: (-counts[c], c)) if counts else \"-\"",
                "squeezed = $x.replace(\" \", \"\")\n$r = \"-\"\nfor c in sorted(set(squeezed)):\n    if $r == \"-\" or squeezed.count(c) > squeezed.count($r):\n        $r = c",
            ],
        )
    }),
    family("first_unique_character", 2, Text, Num, |d| {
        Piece::new(d, "Find the position, counted from 0, of the first character that occurs exactly once in the text; -1 if there is none.", &[
            "$r = -1\nfor i, c in enumerate($x):\n    if $x.count(c) == 1:\n        $r = i\n        break",
            "counts = Counter($x)\n$r = next((i for i, c in enumerate($x) if counts[c] == 1), -1)",
        ])
        .import("from collections import Counter")
    }),
    family("count_pattern", 2, Text, Num, |d| {
        let k = d.pick(&["e", "on", "an", "o", "er", "te"]);
        Piece::new(
            d,
            "Count the positions at which \"$k\" begins in the text (overlaps count, capitals are different letters).",
            &[
                "$r = 0\nfor i in range(len($x)):\n    if $x[i:i + len(\"$k\")] == \"$k\":\n        $r += 1",
                "pattern = \"$k\"\n$r = sum($x.startswith(pattern, i) for i in range(len($x)))",
            ],
        )
        .set('k', k)
    }),
    family("alternate_case", 2, Text, Text, |d| {
        Piece::new(
            d,
            "Go over the letters from left to right and turn them into a capital, a small letter, a capital and so on in turn; other characters stay and do not count.",
            &[
                "changed = []\nupper = True\nfor c in $x:\n    if c.isalpha():\n        changed.append(c.upper() if upper else c.lower())\n        upper = not upper\n    else:\n        changed.append(c)\n$r = \"\".join(changed)",
                "$r = \"\"\nseen = 0\nfor c in $x:\n    if c.isalpha():\n        c = c.lower() if seen % 2 else c.upper()\n        seen += 1\n    $r += c",
            ],
        )
    }),
    family("letter_gaps", 2, Text, Nums, |d| {
        Piece::new(d, "Replace the text by the differences of the character codes of each character and the one before it (later minus earlier).", &[
            "$r = [ord(b) - ord(a) for a, b in zip($x, $x[1:])]",
            "$r = []\nfor i in range(len($x) - 1):\n    $r.append(ord($x[i + 1]) - ord($x[i]))",
        ])
        .may_empty()
    }),
    family("anagram_groups", 3, Words, Num, |d| {
        Piece::new(
            d,
            "Count the groups of words that are made of the same letters (capitals are different letters); a word that matches no other is a group of its own.",
            &[
                "$r = len({\"\".join(sorted(w)) for w in $x})",
                "groups = {}\nfor w in $x:\n    groups.setdefault(tuple(sorted(w)), []).append(w)\n$r = len(groups)",
            ],
        )
    }),
    family("longest_unique_part", 3, Text, Num, |d| {
        Piece::new(
            d,
            "Find the length of the longest run of neighbouring characters in which no character occurs twice.",
            &[
                "last = {}\nbegin = 0\n$r = 0\nfor i, c in enumerate($x):\n    if last.get(c, -1) >= begin:\n        begin = last[c] + 1\n    last[c] = i\n    $r = max($r, i - begin + 1)",
                "window = []\n$r = 0\nfor c in $x:\n    while c in window:\n        window.pop(0)\n    window.append(c)\n    $r = max($r, len(window))",
            ],
        )
    }),
    family("common_prefix", 2, Words, Text, |d| {
        Piece::new(d, "Find the longest text with which all words begin.", &[
            "$r = $x[0]\nfor w in $x[1:]:\n    while not w.startswith($r):\n        $r = $r[:-1]",
            "$r = \"\"\nfor letters in zip(*$x):\n    if len(set(letters)) > 1:\n        break\n    $r += letters[0]",
        ])
        .needs_items()
        .may_empty()
    }),
    family("rotation_check", 2, Texts, Flag, |d| {
        Piece::new(
            d,
            "Find out whether the second word comes out when letters are moved, one by one, from the front of the first word to its end (none, or any number of them).",
            &[
                "$r = len($x) == len(other) and other in $x + $x",
                "$r = any($x[i:] + $x[:i] == other for i in range(len($x)))",
            ],
        )
    }),
    family("merge_alternately", 2, Texts, Text, |d| {
        Piece::new(
            d,
            "Take letters from the first and the second word in turn, beginning with the first; when one word is used up, append what is left of the other.",
            &[
                "shared = min(len($x), len(other))\n$r = \"\".join(a + b for a, b in zip($x, other)) + $x[shared:] + other[shared:]",
                "merged = []\nfor i in range(max(len($x), len(other))):\n    if i < len($x):\n        merged.append($x[i])\n    if i < len(other):\n        merged.append(other[i])\n$r = \"\".join(merged)",
            ],
        )
    }),
];
