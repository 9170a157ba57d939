"""How a card says that a model is used: `python3 scripts/dev/peer/card_use.py AFFINE` (needs torch, transformers and peft).

The whole pipeline runs small, its model and its adapter are deployed where `Cometstar/affine-model` is a folder here, and every
block of Python and of Lua in both cards is run as it stands. Without the packages it says so and checks nothing.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import peft  # noqa: F401
    import transformers  # noqa: F401
except ImportError as missing:
    sys.exit(print(f"card_use: skipped, {missing}"))

ROOT = Path(__file__).resolve().parents[3]
SMALL = """data.environments={"grid"} data.num_samples=12 data.base.num_samples=12 training.base.max_steps=1 training.max_steps=1
training.batch_size=2 training.gradient_accumulation_steps=1 training.base.batch_size=2 model.create.hidden_size=32
model.create.num_hidden_layers=1 model.create.intermediate_size=32 rl.iterations=1 rl.num_rollouts=2 rl.minibatch_size=2
rl.max_new_tokens=4 evaluation.num_eval_samples=3 evaluation.max_new_tokens=4 huggingface.output_dir=Cometstar""".split()


def main(affine):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "scripts").symlink_to(ROOT / "scripts")
        settings = [word for setting in SMALL for word in ("--set", setting)]
        for script in (["scripts/full.lua"], ["scripts/deploy.lua", "--adapter"]):
            subprocess.run([affine, *script, *settings], cwd=folder, check=True, capture_output=True)
            card = (Path(folder) / "Cometstar/affine-model/README.md").read_text(encoding="utf-8")
            blocks = re.findall(r"^```(python|lua)\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)
            assert [language for language, _ in blocks] == ["python", "lua"], blocks
            for language, code in blocks:
                program = [affine, "-e", code] if language == "lua" else [sys.executable, "-c", code]
                subprocess.run(program, cwd=folder, check=True, capture_output=True)
    print("card_use: every block of the cards of a model and of an adapter runs")


if __name__ == "__main__":
    main(sys.argv[1])
