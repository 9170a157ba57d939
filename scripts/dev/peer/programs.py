"""The generated programs against CPython: `python3 scripts/dev/peer/programs.py [--run N] FILE.jsonl...`.

`scripts/dev/peer/run.sh AFFINE programs` writes the files and runs this. Each line of a file is a program: {"task_id", "split",
"family", "difficulty", "code", "inputs", "fingerprint"}; all files together may hold several splits. With CPython's `ast`
it counts the programs that stay distinct after names are renamed in order and constants masked, and the shapes of syntax
trees (kinds of nodes alone), and checks that

- programs equal to `ast` have one fingerprint and lie in one split;
- there are at least 10,000 distinct programs, 300 shapes and 60 families;
- with `--run N`, N programs of every family run without an error on all of their inputs, and print something.
"""

import ast
import builtins
import collections
import json
import subprocess
import sys

MASK = "?"


class Renamed(ast.NodeTransformer):
    """Names in the order of their first appearance; what the language and its library call things stays."""

    def __init__(self, imported):
        self.kept, self.names = imported | set(dir(builtins)) | {"__name__"}, {}

    def name(self, name):
        return name if name in self.kept else self.names.setdefault(name, f"v{len(self.names)}")

    def visit_Name(self, node):
        return ast.copy_location(ast.Name(self.name(node.id), node.ctx), node)

    def visit_arg(self, node):
        return ast.copy_location(ast.arg(self.name(node.arg)), node)

    def visit_FunctionDef(self, node):
        node.name = self.name(node.name)
        return self.generic_visit(node)

    def visit_Constant(self, node):
        return ast.copy_location(ast.Constant(MASK), node)


def normal(tree):
    imports = (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))
    return ast.dump(Renamed({alias.asname or alias.name for node in imports for alias in node.names}).visit(tree))


def shape(node):
    children = ast.iter_child_nodes(node)
    skipped = (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
    inside = ",".join(shape(child) for child in children if not isinstance(child, skipped))
    return f"{type(node).__name__}({inside})"


RUN_ALL = """
import contextlib, io, json, sys
jobs, problems = json.load(sys.stdin), []
for code, inputs in jobs:
    problem = None
    for text in inputs:
        sys.stdin, out = io.StringIO(text + chr(10)), io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                exec(code, {"__name__": "__main__"})
            if not out.getvalue().strip():
                problem = "prints nothing for " + repr(text)
        except Exception as raised:
            problem = f"{raised!r} for {text!r}"
    problems.append(problem)
print(json.dumps(problems))
"""


def run(programs):
    """What is wrong with each program, all run in one isolated interpreter."""
    jobs = json.dumps([[program["code"], program["inputs"]] for program in programs])
    done = subprocess.run([sys.executable, "-I", "-c", RUN_ALL], input=jobs, capture_output=True, text=True, check=True)
    found = zip(programs, json.loads(done.stdout))
    return [f"{p['family']} {p['task_id']} {problem}\n{p['code']}" for p, problem in found if problem]


def main(arguments):
    per_family = int(arguments.pop(1)) if arguments and arguments[0] == "--run" else 0
    files = arguments[1:] if per_family else arguments
    programs = [json.loads(line) for file in files for line in open(file, encoding="utf-8")]
    splits, prints, shapes = collections.defaultdict(set), collections.defaultdict(set), set()
    for program in programs:
        form = normal(ast.parse(program["code"]))
        splits[form].add(program["split"])
        prints[form].add(program["fingerprint"])
        shapes.add(shape(ast.parse(program["code"])))
    families = collections.Counter(program["family"] for program in programs)
    torn = sum(len(found) > 1 for found in splits.values())
    doubled = sum(len(found) > 1 for found in prints.values())
    by_split = collections.Counter(split for found in splits.values() for split in found)
    print(f"{len(programs)} programs of {len(families)} families: {len(splits)} distinct, {len(shapes)} shapes")
    print(f"distinct by split: {dict(by_split)}; in two splits: {torn}; with two fingerprints: {doubled}")
    failures = []
    if per_family:
        chosen = collections.defaultdict(list)
        for program in programs:
            chosen[program["family"]].append(program)
        chosen = [program for group in chosen.values() for program in group[:per_family]]
        failures = run(chosen)
        print(f"{len(chosen)} programs run, {len(failures)} failed", *failures[:20], sep="\n")
    enough = len(splits) >= 10_000 and len(shapes) >= 300 and len(families) >= 60
    sys.exit(0 if enough and not torn and not doubled and not failures else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
