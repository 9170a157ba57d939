//! The first part of a program: forms of input, how Python reads them, how they are said, and how they are made up.

use super::draw::Draw;
use super::piece::{Input, Kind};

/// One form of input for one kind of value.
pub struct Reader {
    pub kind: Kind,
    /// Reads up to the end of the input, so nothing can follow.
    pub whole: bool,
    pub imports: &'static [&'static str],
    /// `$x` is the variable.
    pub code: &'static str,
    pub text: &'static str,
    /// An input of about this size; the last argument makes the lines where the form is the family's.
    pub write: fn(&mut Draw, i64, Option<Input>) -> String,
}

const fn reader(
    kind: Kind,
    code: &'static str,
    text: &'static str,
    write: fn(&mut Draw, i64, Option<Input>) -> String,
) -> Reader {
    Reader { kind, whole: false, imports: &[], code, text, write }
}

const fn whole(
    kind: Kind,
    code: &'static str,
    text: &'static str,
    write: fn(&mut Draw, i64, Option<Input>) -> String,
) -> Reader {
    Reader { kind, whole: true, imports: &["import sys"], code, text, write }
}

pub const READERS: &[Reader] = &[
    reader(Kind::Count, "$x = int(input())", "one line with a whole number from 1 to 200", |d, size, _| {
        count(d, size).to_string()
    }),
    reader(
        Kind::Count,
        "a, b = map(int, input().split())\n$x = a * b",
        "one line with two whole numbers from 1 to 14; the number to work with is their product",
        |d, _, _| format!("{} {}", d.range(1, 14), d.range(1, 14)),
    ),
    reader(
        Kind::Count,
        "a = int(input())\nb = int(input())\n$x = a + b",
        "two lines with a whole number from 1 to 100 each; the number to work with is their sum",
        |d, size, _| format!("{}\n{}", d.range(1, 10 * size), d.range(1, 100)),
    ),
    reader(Kind::Num, "$x = int(input())", "one line with a whole number, which may be negative", |d, _, _| {
        d.range(-999, 9999).to_string()
    }),
    reader(
        Kind::Num,
        "parts = input().split()\n$x = int(parts[0]) - int(parts[1])",
        "one line with two whole numbers; the number to work with is the first minus the second",
        |d, _, _| format!("{} {}", d.range(-99, 9999), d.range(-99, 999)),
    ),
    reader(
        Kind::Nums,
        "n = int(input())\n$x = list(map(int, input().split()))",
        "a line with n (at least 1), then a line with n whole numbers separated by spaces",
        |d, size, _| format!("{size}\n{}", numbers(d, size, " ")),
    ),
    reader(
        Kind::Nums,
        "$x = list(map(int, input().split()))",
        "one line with at least one whole number, separated by spaces",
        |d, size, _| numbers(d, size, " "),
    ),
    reader(
        Kind::Nums,
        "$x = [int(part) for part in input().split(\",\")]",
        "one line with at least one whole number, separated by commas",
        |d, size, _| numbers(d, size, ","),
    ),
    reader(
        Kind::Nums,
        "n = int(input())\n$x = []\nfor _ in range(n):\n    $x.append(int(input()))",
        "a line with n (at least 1), then n lines with one whole number each",
        |d, size, _| format!("{size}\n{}", numbers(d, size, "\n")),
    ),
    reader(
        Kind::Nums,
        "$x = []\nentry = input()\nwhile entry != \"end\":\n    $x.append(int(entry))\n    entry = input()",
        "one whole number on each line (at least one), then a line with the word end",
        |d, size, _| format!("{}\nend", numbers(d, size, "\n")),
    ),
    whole(
        Kind::Nums,
        "$x = [int(token) for token in sys.stdin.read().split()]",
        "whole numbers up to the end of the input, separated by spaces or line ends; there is at least one",
        |d, size, _| {
            let first = numbers(d, size / 2, " ");
            format!("{first}\n{}", numbers(d, size - size / 2, " "))
        },
    ),
    reader(
        Kind::Query,
        "n, k = map(int, input().split())\n$x = list(map(int, input().split()))",
        "a line with n and k (1 ≤ k ≤ n), then a line with n whole numbers",
        |d, size, _| format!("{size} {}\n{}", d.range(1, size), numbers(d, size, " ")),
    ),
    reader(
        Kind::Query,
        "$x = list(map(int, input().split()))\nk = int(input())",
        "a line with whole numbers, then a line with k, which is from 1 to how many there are",
        |d, size, _| format!("{}\n{}", numbers(d, size, " "), d.range(1, size)),
    ),
    reader(
        Kind::Query,
        "k, *$x = [int(token) for token in input().split()]",
        "one line of whole numbers: first k, then at least k more, which are the list",
        |d, size, _| format!("{} {}", d.range(1, size), numbers(d, size, " ")),
    ),
    reader(Kind::Text, "$x = input()", "one line of text", |d, size, _| sentence(d, size)),
    reader(
        Kind::Text,
        "$x = input().strip().lower()",
        "one line of text, whose capitals are turned into small letters first",
        |d, size, _| sentence(d, size),
    ),
    reader(
        Kind::Text,
        "$x = input() + \" \" + input()",
        "two lines of text, which are joined with a space between them",
        |d, size, _| format!("{}\n{}", sentence(d, size), sentence(d, (size / 2).max(1))),
    ),
    whole(
        Kind::Text,
        "$x = \" \".join(part.strip() for part in sys.stdin)",
        "lines of text up to the end of the input (at least one), which are joined with a space between two lines",
        |d, size, _| d.join(2, "\n", |d| sentence(d, (size / 2).max(1))),
    ),
    reader(Kind::Texts, "$x = input()\nother = input()", "two lines with a word each", |d, size, _| {
        two_words(d, size, "\n")
    }),
    reader(
        Kind::Texts,
        "$x, other = input().split()",
        "one line with two words, separated by a space",
        |d, size, _| two_words(d, size, " "),
    ),
    reader(Kind::Words, "$x = input().split()", "one line of words, separated by spaces", |d, size, _| {
        words(d, size, " ")
    }),
    reader(Kind::Words, "$x = input().split(\";\")", "one line of words, separated by semicolons", |d, size, _| {
        words(d, size, ";")
    }),
    reader(
        Kind::Words,
        "n = int(input())\n$x = [input() for _ in range(n)]",
        "a line with n (at least 1), then n lines with a word each",
        |d, size, _| format!("{size}\n{}", words(d, size, "\n")),
    ),
    reader(
        Kind::Words,
        "$x = []\nwhile True:\n    entry = input()\n    if entry == \"STOP\":\n        break\n    $x.append(entry)",
        "one word on each line (at least one), then a line with STOP",
        |d, size, _| format!("{}\nSTOP", words(d, size, "\n")),
    ),
    reader(
        Kind::Records,
        "n = int(input())\n$x = []\nfor _ in range(n):\n    name, amount = input().split()\n    $x.append((name, int(amount)))",
        "a line with n (at least 1), then n records, each a line with a name and a whole number of at least 1",
        |d, size, _| format!("{size}\n{}", records(d, size, " ", "\n")),
    ),
    reader(
        Kind::Records,
        "$x = []\nfor part in input().split(\",\"):\n    name, amount = part.split(\":\")\n    $x.append((name, int(amount)))",
        "one line of records, separated by commas; each is a name, a colon and a whole number of at least 1",
        |d, size, _| records(d, size, ":", ","),
    ),
    whole(
        Kind::Records,
        "$x = []\nfor entry in sys.stdin:\n    name, amount = entry.split()\n    $x.append((name, int(amount)))",
        "records up to the end of the input (at least one), each a line with a name and a whole number of at least 1",
        |d, size, _| records(d, size, " ", "\n"),
    ),
    reader(
        Kind::Grid,
        "height, width = map(int, input().split())\n$x = [list(map(int, input().split())) for _ in range(height)]",
        "a line with the height and the width, then the rows of a rectangle of whole numbers, one a line",
        |d, size, _| {
            let (height, width) = sides(d, size);
            format!(
                "{height} {width}\n{}",
                d.join(height, "\n", |d| d.join(width, " ", |d| d.range(0, 20).to_string()))
            )
        },
    ),
    whole(
        Kind::Grid,
        "$x = [[int(cell) for cell in row.split()] for row in sys.stdin.read().strip().split(\"\\n\")]",
        "the rows of a rectangle of whole numbers, one a line, up to the end of the input",
        |d, size, _| {
            let (height, width) = sides(d, size);
            d.join(height, "\n", |d| d.join(width, " ", |d| d.range(0, 20).to_string()))
        },
    ),
    reader(
        Kind::Map,
        "height = int(input())\n$x = [input() for _ in range(height)]",
        "a line with the height, then the rows of a map of dots and #, one a line",
        |d, size, _| {
            let (height, width) = sides(d, size);
            format!("{height}\n{}", d.join(height, "\n", |d| map_row(d, width)))
        },
    ),
    whole(
        Kind::Map,
        "$x = sys.stdin.read().split()",
        "the rows of a map of dots and #, one a line, up to the end of the input",
        |d, size, _| {
            let (height, width) = sides(d, size);
            d.join(height, "\n", |d| map_row(d, width))
        },
    ),
    reader(
        Kind::Graph,
        "n, m = map(int, input().split())\n$x = []\nfor _ in range(m):\n    a, b = map(int, input().split())\n    $x.append((a, b))",
        "a line with n and m, then m lines with two different numbers from 1 to n: a graph's nodes are numbered from 1 to n, and each line is an edge from its first to its second node",
        |d, size, _| {
            let (n, edges) = edges(d, size);
            let lines: Vec<String> = edges.iter().map(|(a, b)| format!("{a} {b}")).collect();
            format!("{n} {}\n{}", edges.len(), lines.join("\n"))
        },
    ),
    reader(
        Kind::Graph,
        "n = int(input())\n$x = [tuple(map(int, pair.split(\"-\"))) for pair in input().split()]",
        "a line with n, the number of a graph's nodes, which are numbered from 1; then a line with its edges, separated by spaces, each as a-b for an edge from a to b",
        |d, size, _| {
            let (n, edges) = edges(d, size);
            let pairs: Vec<String> = edges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
            format!("{n}\n{}", pairs.join(" "))
        },
    ),
    reader(
        Kind::Roads,
        "n, m = map(int, input().split())\n$x = [tuple(map(int, input().split())) for _ in range(m)]",
        "a line with n and m, then m lines with three numbers a, b and w: towns are numbered from 1 to n, and each line is a road between a and b of length w, open in both directions",
        |d, size, _| {
            let (n, edges) = edges(d, size);
            let lines: Vec<String> = edges.iter().map(|(a, b)| format!("{a} {b} {}", d.range(1, 20))).collect();
            format!("{n} {}\n{}", edges.len(), lines.join("\n"))
        },
    ),
    reader(
        Kind::Roads,
        "n = int(input())\n$x = []\nfor _ in range(int(input())):\n    a, b, length = input().split()\n    $x.append((int(a), int(b), int(length)))",
        "a line with n, the number of towns, a line with the number of roads, then a line for each road with the numbers a, b and w: it connects the towns a and b (numbered from 1 to n), in both directions, and has the length w",
        |d, size, _| {
            let (n, edges) = edges(d, size);
            let lines: Vec<String> = edges.iter().map(|(a, b)| format!("{a} {b} {}", d.range(1, 20))).collect();
            format!("{n}\n{}\n{}", edges.len(), lines.join("\n"))
        },
    ),
    reader(Kind::Line, "$x = input()", "one line", |d, size, own| own_lines(d, size, own).join(" ")),
    reader(Kind::Line, "$x = input().strip()", "one line", |d, size, own| own_lines(d, size, own).join(" ")),
    reader(
        Kind::Lines,
        "n = int(input())\n$x = [input() for _ in range(n)]",
        "a line with n (at least 1), then n lines",
        |d, size, own| {
            let lines = own_lines(d, size, own);
            format!("{}\n{}", lines.len(), lines.join("\n"))
        },
    ),
    reader(
        Kind::Lines,
        "$x = []\nwhile True:\n    entry = input()\n    if entry == \"end\":\n        break\n    $x.append(entry)",
        "lines, at least one, then a line with the word end",
        |d, size, own| format!("{}\nend", own_lines(d, size, own).join("\n")),
    ),
    whole(
        Kind::Lines,
        "$x = [entry.strip() for entry in sys.stdin]",
        "lines up to the end of the input, at least one",
        |d, size, own| own_lines(d, size, own).join("\n"),
    ),
    whole(
        Kind::Lines,
        "$x = sys.stdin.read().splitlines()",
        "lines up to the end of the input, at least one",
        |d, size, own| own_lines(d, size, own).join("\n"),
    ),
];

/// A line-shaped input without a form is a family's slip; the tests run every family, so that it shows.
fn own_lines(draw: &mut Draw, size: i64, own: Option<Input>) -> Vec<String> {
    own.map_or_else(Vec::new, |input| input(draw, size))
}

fn count(draw: &mut Draw, size: i64) -> i64 {
    draw.range(1, (12 * size).min(200))
}

/// Numbers that meet again: half of them are drawn from a small range.
fn numbers(draw: &mut Draw, count: i64, separator: &str) -> String {
    let (low, high) = draw.pick(&[(-20, 50), (0, 9), (1, 30), (-5, 5), (1, 100)]);
    draw.join(count, separator, |d| d.range(low, high).to_string())
}

const WORDS: &[&str] = &[
    "apple", "river", "stone", "level", "noon", "tea", "eat", "ate", "garden", "sun", "moon", "radar", "cat", "act",
    "tree", "window", "bird", "sea", "boat", "gold", "letter", "paper", "rain", "snow", "fire", "wood", "night",
    "thing", "Anna", "Bob", "Rome", "silent", "listen", "bee", "cloud", "a", "an", "to", "on", "no",
];

const NAMES: &[&str] = &["ada", "ben", "cleo", "dan", "eve", "finn", "gus"];

fn words(draw: &mut Draw, count: i64, separator: &str) -> String {
    draw.join(count, separator, |d| d.pick(WORDS).to_string())
}

fn sentence(draw: &mut Draw, count: i64) -> String {
    let end = draw.pick(&["", "", ".", "!", " 42"]);
    format!("{}{end}", words(draw, count, " "))
}

fn two_words(draw: &mut Draw, size: i64, separator: &str) -> String {
    let letters = ["a", "b", "c", "d", "n", "o"];
    draw.join(2, separator, |d| {
        let length = d.range(2, size.clamp(3, 12));
        d.join(length, "", |d| d.pick(&letters).to_string())
    })
}

fn records(draw: &mut Draw, count: i64, between: &str, separator: &str) -> String {
    draw.join(count, separator, |d| format!("{}{between}{}", d.pick(NAMES), d.range(1, 40)))
}

fn sides(draw: &mut Draw, size: i64) -> (i64, i64) {
    (draw.range(2, size.clamp(2, 6)), draw.range(2, (size + 1).clamp(2, 7)))
}

fn map_row(draw: &mut Draw, width: i64) -> String {
    draw.join(width, "", |d| d.pick(&[".", ".", ".", "#"]).to_string())
}

/// Nodes, and edges of which none goes from a node to itself or comes twice (nor back).
fn edges(draw: &mut Draw, size: i64) -> (i64, Vec<(i64, i64)>) {
    let n = draw.range(3, size.clamp(3, 10));
    let mut edges: Vec<(i64, i64)> = Vec::new();
    for _ in 0..draw.range(n - 1, n + 3) {
        let (a, b) = (draw.range(1, n), draw.range(1, n));
        if a != b && !edges.contains(&(a, b)) && !edges.contains(&(b, a)) {
            edges.push((a, b));
        }
    }
    if edges.is_empty() {
        edges.push((1, 2));
    }
    (n, edges)
}
