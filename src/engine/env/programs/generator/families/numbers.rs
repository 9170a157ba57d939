//! Numbers: digits, divisors, bases, sequences.

use crate::engine::env::programs::generator::piece::Kind::{Count, Flag, Num, Nums, Text};
use crate::engine::env::programs::generator::piece::{Family, Piece, family};

const IS_PRIME: &str = "
def prime(candidate):
    if candidate < 2:
        return False
    divisor = 2
    while divisor * divisor <= candidate:
        if candidate % divisor == 0:
            return False
        divisor += 1
    return True";

pub const FAMILIES: &[Family] = &[
    family("digit_sum", 1, Num, Num, |d| {
        let k = d.range(1, 3);
        Piece::new(
            d,
            "Add up the decimal digits of the number's absolute value, each raised to the power $k.",
            &[
                "$r = sum(int(c) ** $k for c in str(abs($x)))",
                "left = abs($x)\n$r = 0\nwhile left > 0:\n    $r += (left % 10) ** $k\n    left //= 10",
            ],
        )
        .set('k', k)
    }),
    family("sum_of_multiples", 1, Count, Num, |d| {
        let (a, b) = (d.range(2, 4), d.range(5, 9));
        Piece::new(
            d,
            "Add up the numbers from 1 to the number, inclusive, that are divisible by $a or by $b.",
            &[
                "$r = sum(i for i in range(1, $x + 1) if i % $a == 0 or i % $b == 0)",
                "$r = 0\nfor i in range(1, $x + 1):\n    if i % $a == 0 or i % $b == 0:\n        $r += i",
            ],
        )
        .set('a', a)
        .set('b', b)
    }),
    family("multiplication_row", 1, Count, Nums, |d| {
        let k = d.range(3, 8);
        Piece::new(
            d,
            "Make a list of the first $k multiples of the number (the number itself comes first).",
            &["$r = [$x * i for i in range(1, $k + 1)]", "$r = []\nfor i in range($k):\n    $r.append($x * (i + 1))"],
        )
        .set('k', k)
    }),
    family("digital_root", 2, Num, Num, |d| {
        Piece::new(
            d,
            "Replace the number's absolute value by the sum of its decimal digits until one digit is left.",
            &[
                "$r = abs($x)\nwhile $r > 9:\n    $r = sum(int(c) for c in str($r))",
                "$r = abs($x)\nwhile $r >= 10:\n    digits = 0\n    while $r:\n        digits += $r % 10\n        $r //= 10\n    $r = digits",
            ],
        )
    }),
    family("prime_check", 2, Count, Flag, |d| {
        Piece::new(
            d,
            "Find out whether the number is a prime.",
            &[
                "$r = $x > 1 and all($x % i for i in range(2, int($x ** 0.5) + 1))",
                "$r = $x > 1\ni = 2\nwhile i * i <= $x:\n    if $x % i == 0:\n        $r = False\n    i += 1",
            ],
        )
    }),
    family("divisors_of", 2, Count, Nums, |d| {
        Piece::new(
            d,
            "List the divisors of the number (1 and the number itself among them) in ascending order.",
            &[
                "$r = [i for i in range(1, $x + 1) if $x % i == 0]",
                "low, high = [], []\ni = 1\nwhile i * i <= $x:\n    if $x % i == 0:\n        low.append(i)\n        if i != $x // i:\n            high.append($x // i)\n    i += 1\n$r = low + high[::-1]",
            ],
        )
    }),
    family("prime_factors", 2, Count, Nums, |d| {
        Piece::new(d, "List the prime factors of the number in ascending order, each as often as it divides the number.", &[
            "$r = []\nleft = $x\np = 2\nwhile left > 1:\n    while left % p == 0:\n        $r.append(p)\n        left //= p\n    p += 1",
            "$r = []\nleft = $x\np = 2\nwhile p * p <= left:\n    if left % p == 0:\n        $r.append(p)\n        left //= p\n    else:\n        p += 1\nif left > 1:\n    $r.append(left)",
        ])
        .may_empty()
    }),
    family("collatz_steps", 2, Count, Num, |d| {
        Piece::new(
            d,
            "Count the steps to 1: an even number is halved, an odd one multiplied by 3 and increased by 1.",
            &[
                "left = $x\n$r = 0\nwhile left != 1:\n    left = left // 2 if left % 2 == 0 else 3 * left + 1\n    $r += 1",
                "left = $x\n$r = 0\nwhile left > 1:\n    if left % 2:\n        left = left * 3 + 1\n    else:\n        left //= 2\n    $r += 1",
            ],
        )
    }),
    family("collatz_path", 2, Count, Nums, |d| {
        let k = d.range(6, 12);
        Piece::new(d, "Make a list that begins with the number; an even number is followed by its half, an odd one by three times itself plus 1. The list ends with 1, or after $k numbers.", &[
            "$r = [$x]\nwhile $r[-1] != 1 and len($r) < $k:\n    last = $r[-1]\n    $r.append(3 * last + 1 if last % 2 else last // 2)",
        ])
        .set('k', k)
    }),
    family("in_base", 2, Count, Text, |d| {
        let b = d.range(2, 9);
        Piece::new(d, "Write the number in base $b.", &[
            "left = $x\n$r = \"\"\nwhile left > 0:\n    $r = str(left % $b) + $r\n    left //= $b",
            "digits = []\nleft = $x\nwhile left:\n    left, digit = divmod(left, $b)\n    digits.append(str(digit))\n$r = \"\".join(reversed(digits))",
        ])
        .set('b', b)
    }),
    family("fibonacci_like", 2, Count, Num, |d| {
        let (a, b, m) = (d.range(0, 4), d.range(1, 5), d.range(50, 999));
        Piece::new(d, "A sequence begins with $a and $b; each further member is the sum of the two before it, of which the remainder divided by $m is taken. Find the member whose position, counted from 0, is the number.", &[
            "a, b = $a, $b\nfor _ in range($x):\n    a, b = b, (a + b) % $m\n$r = a",
            "sequence = [$a, $b]\nwhile len(sequence) <= $x:\n    sequence.append((sequence[-1] + sequence[-2]) % $m)\n$r = sequence[$x]",
        ])
        .set('a', a)
        .set('b', b)
        .set('m', m)
    }),
    family("perfect_kind", 2, Count, Text, |d| {
        Piece::new(
            d,
            "Compare the number with the sum of its divisors that are less than it: the result is \"perfect\" if they are equal, \"abundant\" if the sum is greater, \"deficient\" if it is less.",
            &[
                "total = sum(i for i in range(1, $x) if $x % i == 0)\nif total == $x:\n    $r = \"perfect\"\nelif total > $x:\n    $r = \"abundant\"\nelse:\n    $r = \"deficient\"",
                "total = 0\nfor i in range(1, $x // 2 + 1):\n    if $x % i == 0:\n        total += i\n$r = \"perfect\" if total == $x else \"abundant\" if total > $x else \"deficient\"",
            ],
        )
    }),
    family("common_divisor", 2, Nums, Num, |d| {
        Piece::new(
            d,
            "Find the greatest common divisor of all the numbers (of absolute values; 0 if all are 0).",
            &[
                "$r = 0\nfor v in $x:\n    $r = math.gcd($r, v)",
                "$r = 0\nfor v in $x:\n    a, b = abs(v), $r\n    while b:\n        a, b = b, a % b\n    $r = a",
            ],
        )
        .import("import math")
    }),
    family("trailing_zeros", 2, Count, Num, |d| {
        Piece::new(
            d,
            "Count the zeros at the end of the factorial of the number, written in decimal.",
            &[
                "$r = 0\npower = 5\nwhile power <= $x:\n    $r += $x // power\n    power *= 5",
                "$r = 0\nleft = $x\nwhile left:\n    left //= 5\n    $r += left",
            ],
        )
    }),
    family("bits_set", 2, Num, Num, |d| {
        Piece::new(
            d,
            "Count the ones when the number's absolute value is written in base 2.",
            &[
                "$r = bin(abs($x)).count(\"1\")",
                "left = abs($x)\n$r = 0\nwhile left:\n    $r += left & 1\n    left >>= 1",
            ],
        )
    }),
    family("primes_up_to", 3, Count, Nums, |d| {
        Piece::new(d, "List the primes that are not greater than the number, in ascending order.", &[
            "composite = [False] * ($x + 1)\n$r = []\nfor i in range(2, $x + 1):\n    if not composite[i]:\n        $r.append(i)\n        for j in range(i * i, $x + 1, i):\n            composite[j] = True",
            "$r = [i for i in range(2, $x + 1) if prime(i)]",
        ])
        .helper(IS_PRIME)
        .may_empty()
    }),
    family("prime_members", 3, Nums, Nums, |d| {
        Piece::new(
            d,
            "Keep the numbers that are primes, in order.",
            &["$r = [v for v in $x if prime(v)]", "$r = []\nfor v in $x:\n    if prime(v):\n        $r.append(v)"],
        )
        .helper(IS_PRIME)
        .may_empty()
    }),
    family("happy_steps", 3, Count, Num, |d| {
        Piece::new(
            d,
            "Replace the number by the sum of the squares of its digits again and again, until it is 1 or a number that was there before. The result is how often it was replaced, or -1 times that if it did not end at 1.",
            &[
                "left = $x\nseen = set()\n$r = 0\nwhile left != 1 and left not in seen:\n    seen.add(left)\n    left = sum(int(c) ** 2 for c in str(left))\n    $r += 1\nif left != 1:\n    $r = -$r",
            ],
        )
    }),
    family("power_modulo", 3, Count, Num, |d| {
        let (b, m) = (d.range(2, 12), d.range(50, 997));
        Piece::new(d, "Find the remainder, divided by $m, of $b raised to the power of the number.", &[
            "$r = pow($b, $x, $m)",
            "$r = 1\nbase = $b\nexponent = $x\nwhile exponent:\n    if exponent % 2:\n        $r = $r * base % $m\n    base = base * base % $m\n    exponent //= 2",
        ])
        .set('b', b)
        .set('m', m)
    }),
];
