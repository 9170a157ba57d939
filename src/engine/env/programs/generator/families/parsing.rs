//! Parsing: brackets, expressions, small formats.

use crate::engine::env::programs::generator::draw::Draw;
use crate::engine::env::programs::generator::piece::Kind::{Flag, Line, Lines, Num, Nums, Records, Text};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

const EXPRESSION: &str = "
def evaluate(symbols):
    total = product(symbols)
    while symbols and symbols[0] in \"+-\":
        if symbols.pop(0) == \"+\":
            total += product(symbols)
        else:
            total -= product(symbols)
    return total


def product(symbols):
    total = factor(symbols)
    while symbols and symbols[0] == \"*\":
        symbols.pop(0)
        total *= factor(symbols)
    return total


def factor(symbols):
    symbol = symbols.pop(0)
    if symbol != \"(\":
        return int(symbol)
    total = evaluate(symbols)
    symbols.pop(0)
    return total";

fn brackets(draw: &mut Draw, size: i64) -> Vec<String> {
    let mut line = String::new();
    let mut open = Vec::new();
    for _ in 0..size {
        if open.is_empty() || draw.once_in(2) {
            let (begin, end) = draw.pick(&[('(', ')'), ('[', ']'), ('{', '}')]);
            line.push(begin);
            open.push(end);
        } else if let Some(end) = open.pop() {
            line.push(end);
        }
    }
    if !draw.once_in(4) {
        line.extend(open.iter().rev());
    }
    if draw.once_in(4) {
        line.push(draw.pick(&[')', '(', ']']));
    }
    vec![line]
}

/// With brackets, or without where `depth` is 0.
fn expression(draw: &mut Draw, terms: i64, depth: i64, operators: &[&str]) -> String {
    let mut text = String::new();
    for index in 0..terms {
        if index > 0 {
            text += draw.pick(operators);
        }
        if depth > 0 && draw.once_in(3) {
            text += &format!("({})", expression(draw, 2, depth - 1, operators));
        } else {
            text += &draw.range(1, 12).to_string();
        }
    }
    text
}

fn postfix(draw: &mut Draw, size: i64) -> Vec<String> {
    let (mut tokens, mut height, mut numbers) = (Vec::new(), 0, 0);
    while numbers < size.min(6) || height > 1 {
        if height > 1 && (numbers >= size.min(6) || draw.once_in(2)) {
            tokens.push(draw.pick(&["+", "-", "*"]).to_string());
            height -= 1;
        } else {
            tokens.push(draw.range(1, 9).to_string());
            (height, numbers) = (height + 1, numbers + 1);
        }
    }
    tokens
}

fn nested(draw: &mut Draw, parts: i64, depth: i64) -> String {
    draw.join(parts, "", |d| {
        if depth > 0 && d.once_in(2) {
            format!("{}[{}]", d.range(2, 3), nested(d, 2, depth - 1))
        } else {
            d.pick(&["a", "b", "xy", "c"]).to_string()
        }
    })
}

fn roman(mut number: i64) -> String {
    let signs = [(100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")];
    let mut text = String::new();
    for (value, sign) in signs {
        while number >= value {
            text += sign;
            number -= value;
        }
    }
    text
}

fn fields(draw: &mut Draw, size: i64) -> Vec<String> {
    let lines = |draw: &mut Draw| {
        format!("{},{},{}", draw.pick(&["red", "blue", "green"]), draw.range(1, 30), draw.range(1, 9))
    };
    (0..size.max(2)).map(|_| lines(draw)).collect()
}

pub const FAMILIES: &[Family] = &[
    family("sum_in_text", 1, Line, Num, |d| {
        Piece::new(d, "The line is made of letters and digits. Add up all the whole numbers in it, where neighbouring digits belong to one number.", &[
            "$r = 0\ncurrent = \"\"\nfor c in $x + \" \":\n    if c.isdigit():\n        current += c\n    elif current:\n        $r += int(current)\n        current = \"\"",
            "spaced = \"\".join(c if c.isdigit() else \" \" for c in $x)\n$r = sum(map(int, spaced.split()))",
        ])
        .input(|d, size| vec![d.join(size, "", |d| format!("{}{}", d.pick(&["a", "bc", "x"]), d.range(1, 99)))])
    }),
    family("plus_minus", 2, Line, Num, |d| {
        Piece::new(d, "The line is a sum of whole numbers, written with + and - and no spaces. Find its value.", &[
            "$r = 0\nfor part in $x.replace(\"-\", \"+-\").split(\"+\"):\n    $r += int(part)",
            "$r = 0\nsign = 1\ncurrent = 0\nfor c in $x + \"+\":\n    if c.isdigit():\n        current = current * 10 + int(c)\n    else:\n        $r += sign * current\n        current = 0\n        sign = 1 if c == \"+\" else -1",
        ])
        .input(|d, size| vec![expression(d, size, 0, &["+", "-"])])
    }),
    family("brackets_match", 2, Line, Flag, |d| {
        Piece::new(d, "The line is made of the brackets ( ) [ ] { }. Find out whether they match: every opening bracket is closed by one of its kind, in the right order.", &[
            "pairing = {\")\": \"(\", \"]\": \"[\", \"}\": \"{\"}\nstack = []\n$r = True\nfor c in $x:\n    if c in \"([{\":\n        stack.append(c)\n    elif not stack or stack.pop() != pairing[c]:\n        $r = False\n        break\n$r = $r and not stack",
            "left = $x\nbefore = \"\"\nwhile left != before:\n    before = left\n    left = left.replace(\"()\", \"\").replace(\"[]\", \"\").replace(\"{}\", \"\")\n$r = left == \"\"",
        ])
        .input(brackets)
    }),
    family("bracket_depth", 2, Line, Num, |d| {
        Piece::new(d, "The line is made of brackets. Going from left to right, ( [ { each add 1 to a depth that begins at 0, and ) ] } each take 1 away. Find the greatest depth.", &[
            "depth = $r = 0\nfor c in $x:\n    depth += 1 if c in \"([{\" else -1\n    $r = max($r, depth)",
            "depths = [0]\nfor c in $x:\n    if c in \"([{\":\n        depths.append(depths[-1] + 1)\n    else:\n        depths.append(depths[-1] - 1)\n$r = max(depths)",
        ])
        .input(brackets)
    }),
    family("expand_counts", 2, Line, Text, |d| {
        Piece::new(d, "The line is made of pairs of a number and a letter, as in 3a2b. Write every letter as often as the number before it says.", &[
            "$r = \"\"\ncount = \"\"\nfor c in $x:\n    if c.isdigit():\n        count += c\n    else:\n        $r += c * int(count)\n        count = \"\"",
            "$r = \"\"\ncount = 0\nfor c in $x:\n    if c in \"0123456789\":\n        count = count * 10 + int(c)\n        continue\n    for _ in range(count):\n        $r += c\n    count = 0",
        ])
        .input(|d, size| vec![d.join(size, "", |d| format!("{}{}", d.range(1, 5), d.pick(&["a", "b", "c", "d"])))])
    }),
    family("query_string", 2, Line, Records, |d| {
        Piece::new(d, "The line is made of parts key=number, with & between them. If a key comes more than once, its last number counts. List the pairs of key and number, keys in alphabetical order.", &[
            "settings = {}\nfor part in $x.split(\"&\"):\n    key, setting = part.split(\"=\")\n    settings[key] = int(setting)\n$r = sorted(settings.items())",
            "settings = dict(part.split(\"=\") for part in $x.split(\"&\"))\n$r = [(key, int(settings[key])) for key in sorted(settings)]",
        ])
        .input(|d, size| vec![d.join(size, "&", |d| format!("{}={}", d.pick(&["id", "page", "sort", "size"]), d.range(1, 50)))])
    }),
    family("sum_durations", 3, Line, Num, |d| {
        Piece::new(d, "The line is made of durations separated by spaces, each of the form 2h05m or 7m, where h stands for hours and m for minutes. Find the total in minutes.", &[
            "$r = 0\nfor part in $x.split():\n    hours = 0\n    if \"h\" in part:\n        before, part = part.split(\"h\")\n        hours = int(before)\n    $r += hours * 60 + int(part[:-1])",
            "$r = 0\ncurrent = 0\nfor c in $x:\n    if c.isdigit():\n        current = current * 10 + int(c)\n    elif c == \"h\":\n        $r += current * 60\n        current = 0\n    elif c == \"m\":\n        $r += current\n        current = 0",
        ])
        .input(|d, size| {
            vec![d.join(size, " ", |d| {
                let minutes = d.range(0, 59);
                if d.once_in(2) { format!("{}h{minutes:02}m", d.range(1, 9)) } else { format!("{minutes}m") }
            })]
        })
    }),
    family("roman_value", 3, Line, Num, |d| {
        Piece::new(d, "The line is a number from 1 to 100 in Roman numerals (I is 1, V 5, X 10, L 50, C 100; a sign before a greater one is subtracted). Find its value.", &[
            "worth = {\"I\": 1, \"V\": 5, \"X\": 10, \"L\": 50, \"C\": 100}\n$r = 0\nfor a, b in zip($x, $x[1:] + \"I\"):\n    $r += worth[a] if worth[a] >= worth[b] else -worth[a]",
            "worth = dict(zip(\"IVXLC\", (1, 5, 10, 50, 100)))\n$r = 0\nbefore = 0\nfor c in reversed($x):\n    if worth[c] < before:\n        $r -= worth[c]\n    else:\n        $r += worth[c]\n        before = worth[c]",
        ])
        .input(|d, _| vec![roman(d.range(1, 100))])
    }),
    family("postfix_value", 3, Line, Num, |d| {
        Piece::new(d, "The line is an expression in postfix notation: whole numbers and the operators + - *, separated by spaces, where an operator takes the two values before it (the earlier one on its left). Find its value.", &[
            "stack = []\nfor symbol in $x.split():\n    if symbol in \"+-*\":\n        b = stack.pop()\n        a = stack.pop()\n        if symbol == \"+\":\n            stack.append(a + b)\n        elif symbol == \"-\":\n            stack.append(a - b)\n        else:\n            stack.append(a * b)\n    else:\n        stack.append(int(symbol))\n$r = stack[0]",
            "operations = {\"+\": lambda a, b: a + b, \"-\": lambda a, b: a - b, \"*\": lambda a, b: a * b}\nstack = []\nfor symbol in $x.split():\n    if symbol in operations:\n        *stack, a, b = stack\n        stack.append(operations[symbol](a, b))\n    else:\n        stack.append(int(symbol))\n$r = stack.pop()",
        ])
        .input(postfix)
    }),
    family("sum_of_products", 3, Line, Num, |d| {
        Piece::new(d, "The line is an expression of whole numbers with + and *, without spaces; products are worked out before sums. Find its value.", &[
            "$r = 0\nfor part in $x.split(\"+\"):\n    product = 1\n    for factor in part.split(\"*\"):\n        product *= int(factor)\n    $r += product",
            "factors = [[int(factor) for factor in part.split(\"*\")] for part in $x.split(\"+\")]\n$r = sum(math.prod(group) for group in factors)",
        ])
        .import("import math")
        .input(|d, size| vec![expression(d, size.min(7), 0, &["+", "*"])])
    }),
    family("versions_sorted", 3, Lines, Nums, |d| {
        Piece::new(d, "Each line is a version, whole numbers with dots between them. Compare versions number by number, from left to right; where one ends first, its missing numbers count as 0. Find the greatest version and list its numbers without the zeros at its end.", &[
            "best = []\nfor entry in $x:\n    version = [int(part) for part in entry.split(\".\")]\n    while version and version[-1] == 0:\n        version.pop()\n    best = max(best, version)\n$r = best",
        ])
        .may_empty()
        .input(|d, size| {
            (0..size.max(2)).map(|_| { let parts = d.range(1, 4); d.join(parts, ".", |d| d.range(0, 4).to_string()) }).collect()
        })
    }),
    family("column_total", 2, Lines, Num, |d| {
        let c = d.range(1, 2);
        let k = d.pick(&["red", "blue"]);
        Piece::new(d, "Each line is a colour and two whole numbers, separated by commas. Add up the number in field $c (fields are counted from 0) of the lines whose colour is \"$k\".", &[
            "$r = 0\nfor entry in $x:\n    columns = entry.split(\",\")\n    if columns[0] == \"$k\":\n        $r += int(columns[$c])",
            "cells = [entry.split(\",\") for entry in $x]\n$r = sum(int(cell[$c]) for cell in cells if cell[0] == \"$k\")",
        ])
        .set('c', c)
        .set('k', k)
        .input(fields)
    }),
    family("colour_totals", 3, Lines, Records, |d| {
        Piece::new(d, "Each line is a colour and two whole numbers, separated by commas. Multiply the two numbers, add the products up for each colour, and list the pairs of colour and sum, colours in alphabetical order.", &[
            "sums = {}\nfor entry in $x:\n    colour, a, b = entry.split(\",\")\n    sums[colour] = sums.get(colour, 0) + int(a) * int(b)\n$r = sorted(sums.items())",
        ])
        .input(fields)
    }),
    family("evaluate_expression", 5, Line, Num, |d| {
        Piece::new(d, "The line is an expression of whole numbers with +, -, * and round brackets, without spaces; products are worked out before sums and differences, and these from left to right. Find its value.", &[
            "spaced = $x\nfor sign in \"+-*()\":\n    spaced = spaced.replace(sign, f\" {sign} \")\n$r = evaluate(spaced.split())",
            "symbols = []\nfor c in $x:\n    if c.isdigit() and symbols and symbols[-1].isdigit():\n        symbols[-1] += c\n    else:\n        symbols.append(c)\n$r = evaluate(symbols)",
        ])
        .helper(EXPRESSION)
        .input(|d, size| vec![expression(d, size.min(6), 2, &["+", "-", "*"])])
    }),
    family("expand_nested", 5, Line, Text, |d| {
        Piece::new(d, "The line is made of small letters and of parts N[T], where N is a digit and T of the same form as the line. Replace each such part by T, expanded itself, written N times.", &[
            "stack = [\"\"]\nrepeats = []\nfor c in $x:\n    if c.isdigit():\n        repeats.append(int(c))\n    elif c == \"[\":\n        stack.append(\"\")\n    elif c == \"]\":\n        inner = stack.pop()\n        stack[-1] += inner * repeats.pop()\n    else:\n        stack[-1] += c\n$r = stack[0]",
            "$r = $x\nwhile \"]\" in $r:\n    end = $r.index(\"]\")\n    begin = $r.rindex(\"[\", 0, end)\n    inner = $r[begin + 1:end] * int($r[begin - 1])\n    $r = $r[:begin - 1] + inner + $r[end + 1:]",
        ])
        .input(|d, size| vec![nested(d, size.min(5), 2)])
    }),
];
