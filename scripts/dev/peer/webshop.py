"""Asks the originals what WebShop's search, name comparison and pages should give, on fresh inputs.

    python -m venv V && V/bin/pip install thefuzz==0.22.1 pyjnius flask beautifulsoup4 tqdm numpy
    V/bin/pip download --no-deps pyserini==0.17.0 && unzip pyserini-0.17.0-*.whl 'pyserini/resources/jars/*'
    AFFINE_PEER_WEBSHOP_CATALOGUE=C cargo test --release -- --ignored the_catalogue_is_written_for_the_peer
    V/bin/python scripts/dev/peer/webshop.py --catalogue C --jar pyserini/resources/jars/anserini-0.14.3-fatjar.jar --out peer.jsonl
    AFFINE_PEER_WEBSHOP=$PWD/peer.jsonl cargo test --release -- --ignored webshop_agrees_with_the_peer

Needs Java 11 or newer. With `--original CLONE` (a clone of princeton-nlp/WebShop) it also plays random episodes with the
original's own code, over the catalogue and over one of odd products; spaCy is replaced by "every word of letters is a
noun", the search is Lucene's through the jar.
"""

import argparse
import json
import random
import re
import sys
import tempfile
import time
import types
from pathlib import Path

ODD_TEXTS = ["", " ", "\n", "women's <b>7</b> & \"up\"", "caf\u00e9 cr\u00e8me", "\u00a0nbsp\u00a0", "a\u200bb", "\u2605\u2705 \u2122", "6' 2\"",
             "\u65e5\u672c\u8a9e \u30ab\u30bf\u30ab\u30ca", "x  y", "&amp; &#39;", "back\\slash", "tab\there", "\u0130stanbul \u03a3\u03a3", "\U0001f600"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True, help="folder with the three product files")
    parser.add_argument("--jar", type=Path, required=True, help="Anserini's fat jar from the pyserini wheel")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--original", type=Path, help="a clone of princeton-nlp/WebShop")
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    return parser.parse_args()


# Lucene --------------------------------------------------------------------------------------------------------------


def document(product):
    """What the original indexes of a product (search_engine/convert_product_file_format.py)."""
    options = []
    for name, contents in product["customization_options"].items():
        if contents is not None:
            values = [content["value"].strip().replace("/", " | ").lower() for content in contents]
            options.append(f"{name.lower()}: {', '.join(values)}")
    small = product["small_description"]
    bullet = small[0] if isinstance(small, list) else small
    parts = [product["name"], product["full_description"], bullet, ", and ".join(options)]
    return {"id": product["asin"], "contents": " ".join(parts).lower()}


def searcher(products, folder):
    """Anserini's searcher over an index made as the original makes it; Pyserini's defaults (BM25, k1 0.9, b 0.4)."""
    from jnius import autoclass

    collection, index = Path(folder) / "documents", Path(folder) / "index"
    collection.mkdir()
    with open(collection / "documents.jsonl", "w") as out:
        for product in products:
            out.write(json.dumps(document(product)) + "\n")
    indexing = autoclass("io.anserini.index.IndexCollection")
    indexing.main(["-collection", "JsonCollection", "-input", str(collection), "-index", str(index), "-generator",
                   "DefaultLuceneDocumentGenerator", "-threads", "1", "-storePositions", "-storeDocvectors", "-storeRaw"])
    return autoclass("io.anserini.search.SimpleSearcher")(str(index))


def queries(products, count, draw):
    texts = [document(product)["contents"] for product in products]
    words = sorted({word for text in texts for word in text.split()})
    for _ in range(count):
        kind = draw.randrange(6)
        if kind == 0:
            yield draw.choice(products)["name"]
        elif kind == 1:
            yield draw.choice(products)["query"]
        elif kind == 2:
            some = draw.choice(texts).split()
            yield " ".join(draw.choices(some, k=draw.randint(1, 30)))
        elif kind == 3:
            yield " ".join(draw.choices(words, k=draw.randint(1, 8)))
        elif kind == 4:
            yield " ".join(mangled(draw.choice(words), draw) for _ in range(draw.randint(1, 6)))
        else:
            yield draw.choice(words) + " " + draw.choice(ODD_TEXTS).replace("\n", " ")


def mangled(word, draw):
    change = draw.randrange(5)
    at = draw.randrange(len(word) + 1)
    endings = ["s", "'s", "ing", "ed", "ly", "ization", "ness", "ibly", "ologies", "\u2019s", "."]
    return [word.upper(), word + draw.choice(endings), word[:at] + draw.choice("aeiouxyz-_'.,:") + word[at:],
            f"{word} {word}", word[:at] + draw.choice("\u00e9\u2122\u2705\u65e5\u0e01\u00ad") + word[at:]][change]


# The fuzz ------------------------------------------------------------------------------------------------------------


def pairs(products, count, draw):
    names = [value["value"] for product in products for values in product["customization_options"].values() for value in values]
    names += [product["name"] for product in products] + ODD_TEXTS
    names += ["navy blue", "xx-large", "x-large", "8 fl oz (pack of 3)", "12 pack", "pack of 12", "size 7", "('size', '7')"]
    for _ in range(count):
        first = draw.choice(names)
        kind = draw.randrange(5)
        if kind == 0:
            second = draw.choice(names)
        elif kind == 1:
            words = first.split()
            draw.shuffle(words)
            second = " ".join(words[: draw.randint(0, len(words))] + [draw.choice(names)] * draw.randrange(2))
        elif kind == 2:
            second = str((draw.choice(["size", "color", "it's"]), first))
        elif kind == 3:
            at = draw.randrange(len(first) + 1)
            second = first[:at] + draw.choice("aex1 -_\u00e9\u0416\u00df") + first[at + draw.randrange(2):]
        else:
            second = "".join(draw.choice("ab c") for _ in range(draw.randrange(14)))
            first = "".join(draw.choice("ab c") for _ in range(draw.randrange(14)))
        yield first, second


# The original --------------------------------------------------------------------------------------------------------


def stand_ins(find):
    """What the original imports and need not be real here; `find` is its search."""

    class Token:
        pos_ = "NOUN"

        def __init__(self, text):
            self.text = text

    def module(name, **contents):
        made = types.ModuleType(name)
        made.__dict__.update(contents)
        sys.modules[name] = made
        return made

    class LuceneSearcher:
        def __init__(self, _index):
            pass

        def search(self, query, k):
            return [types.SimpleNamespace(docid=asin) for asin, _ in find["current"](query, k)]

        def doc(self, asin):
            return types.SimpleNamespace(raw=lambda: json.dumps({"id": asin}))

    module("spacy", load=lambda _: lambda text: [Token(word) for word in re.findall(r"[^\W\d_]+", text)])
    module("torch")
    module("cleantext")
    module("rank_bm25", BM25Okapi=None)
    module("rich", print=lambda *_, **__: None)
    registration = module("gym.envs.registration", register=lambda **_: None)
    module("gym", Env=object, envs=module("gym.envs", registration=registration))
    module("pyserini")
    module("pyserini.search")
    module("pyserini.search.lucene", LuceneSearcher=LuceneSearcher)
    # The package's __init__ would import the browser environment, which needs selenium.
    module("web_agent_site.envs", __path__=[])


def odd_products(draw, count):
    """Products with whatever the pages must survive."""
    for number in range(count):
        options = {}
        for name in draw.sample(["Color", "Size", "it's", "Description", "attributes", "Caf\u00e9 \"x\""], draw.randrange(4)):
            values = draw.sample(["Red", "navy blue", "XX-Large", "7/8", "buy now", "description", "attributes", "women's",
                                  "a\u00a0b", "< prev", "tab\tbed", "caf\u00e9 <i>", "  padded  ", "\U0001f600 smile"], draw.randint(1, 5))
            options[name] = draw.choice([None, []]) if draw.random() < 0.1 else [{"value": value} for value in values]
        bullets = [draw.choice(ODD_TEXTS + ["soft & warm", "gluten free"]) for _ in range(draw.randint(1, 4))]
        yield {
            "asin": f"ODD{number:05}",
            "name": " ".join(draw.choice(ODD_TEXTS[3:] + ["Tea", "Shoe", "Lamp", "of", "Green"]) for _ in range(draw.randint(1, 7))),
            "category": draw.choice(["beauty", "garden"]),
            "query": draw.choice(["Tea ", "Shoes", "caf\u00e9"]),
            "product_category": draw.choice(["A \u203a B \u203a C", "A\u203aB", "A \u203a D", "", "Caf\u00e9 \u203a B \u203a A"]),
            "full_description": draw.choice(ODD_TEXTS) + draw.choice(["", " tea", "\r\nlines\n"]),
            "small_description": draw.choice([bullets, bullets[0]]),
            "pricing": draw.choice(["", None, "$12", "$0.5", "$1,299.00", "$3 - $4.50", "$1.00$2.00$3.00", "$ 00012.10 each", "USD $7."]),
            "customization_options": options,
            "images": ["x"],
        }


def odd_attributes(products, draw):
    attributes = {}
    for product in products:
        if draw.random() < 0.1:
            attributes[product["asin"]] = {}
            continue
        some = draw.sample(["gluten free", "tea tree", "caf\u00e9", "easy clean", "a\u00a0b", "GLUTEN free"], 3)
        attributes[product["asin"]] = {"attributes": some}
        if draw.random() < 0.7:
            text = draw.choice(["Find me tea", "  I want <b> & \"x\"  ", "caf\u00e9\n\u2605"])
            attributes[product["asin"]].update(instruction=text, instruction_attributes=some[:draw.randint(1, 3)])
    return attributes


def random_action(available, products, draw):
    kind = draw.randrange(20)
    if available["has_search_bar"] or kind == 0:
        product = draw.choice(products)
        return draw.choice([f"search[{product['name']}]", f"search[{product['query']}]", f"search[<q> {product['query'].lower().strip()}]",
                            f"search[<c> {product['category']}]", "search[item_page tea]", "search[search_results shoes]",
                            "search[done item_sub_page]", "search[!!!]", "search[]", f"search[{draw.choice(ODD_TEXTS)}]"])
    if kind == 1:
        return draw.choice(["click[]", "click[search]", "buy now", "click[buy now] now", "think[x]", "CLICK[Buy Now]", "", "click[a\nb]"])
    clickables = available["clickables"]
    return f"click[{draw.choice(clickables)}]" if clickables else "click[back to search]"


def episodes(server, module, products, count, draw):
    for number in range(count):
        session = draw.randrange(len(server.goals))
        # The server would remember the session's goal and go on with it.
        server.user_sessions.clear()
        env = module.WebAgentTextEnv(observation_mode="text", server=server)
        env.reset(session=session)
        row = {"session": session, "reset": env.observation, "steps": [], "seconds": 0.0}
        for _ in range(draw.randint(5, 40)):
            available = env.get_available_actions()
            action = random_action(available, products, draw)
            started = time.process_time()
            state, reward, done, _ = env.step(action)
            row["seconds"] += time.process_time() - started
            row["steps"].append({
                "available": available, "action": action, "state": state, "reward": reward, "done": done,
                "url": env.state["url"], "rich": env.convert_html_to_text(env.state["html"], simple=False),
            })
        row["verbose"] = server.user_sessions[str(session)].get("verbose_info")
        yield row


def play(options, folder, find, draw):
    """Episodes over the products in a folder."""
    sys.path.insert(0, str(options.original))
    import web_agent_site.utils as utils

    utils.DEFAULT_FILE_PATH = str(folder / "items_shuffle_1000.json")
    utils.DEFAULT_ATTR_PATH = str(folder / "items_ins_v2_1000.json")
    utils.HUMAN_ATTR_PATH = str(folder / "items_human_ins.json")
    for name in [name for name in sys.modules if name.startswith("web_agent_site.engine") or name == "text_env"]:
        del sys.modules[name]
    path = options.original / "web_agent_site/envs/web_agent_text_env.py"
    module = types.ModuleType("text_env")
    sys.modules["text_env"] = module
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)

    products = json.loads((folder / "items_shuffle_1000.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        engine = searcher(products, scratch)
        find["current"] = lambda query, k: [(hit.docid, hit.score) for hit in engine.search(query, k)]
        human = draw.random() < 0.5 and json.loads((folder / "items_human_ins.json").read_text()) != {}
        # The original draws prices and limits unseeded; AgentGym seeds the limits like this, and affine both.
        make_goals = module.get_goals
        module.get_goals = lambda *arguments: (random.seed(233), make_goals(*arguments))[1]
        random.seed(233)
        server = module.SimServer("http://127.0.0.1:3000", utils.DEFAULT_FILE_PATH, human_goals=human, show_attrs=draw.random() < 0.5)
        about = {"folder": str(folder.resolve()), "goals": "human" if human else "synthetic", "show_attrs": server.show_attrs}
        yield {**about, "instructions": [goal["instruction_text"] for goal in server.goals]}
        for row in episodes(server, module, products, options.episodes, draw):
            yield {**about, **row}
        engine.close()


def main():
    options = arguments()
    import jnius_config

    jnius_config.add_classpath(str(options.jar))
    from thefuzz import fuzz

    draw = random.Random(options.seed)
    print(f"seed {options.seed}")
    products = json.loads((options.catalogue / "items_shuffle_1000.json").read_text())
    with open(options.out, "w") as out, tempfile.TemporaryDirectory() as scratch:
        put = lambda row: out.write(json.dumps(row) + "\n")
        engine = searcher(products, scratch)
        for query in queries(products, options.queries, draw):
            hits = [[hit.docid, hit.score] for hit in engine.search(query, 50)]
            put({"catalogue": str(options.catalogue.resolve()), "query": query, "hits": hits})
        engine.close()
        for first, second in pairs(products, options.pairs, draw):
            put({"first": first, "second": second, "ratio": fuzz.token_set_ratio(first, second)})
        if options.original:
            find = {}
            stand_ins(find)
            plain, odd = options.out.with_suffix(".plain"), options.out.with_suffix(".odd")
            for folder in (plain, odd):
                folder.mkdir(exist_ok=True)
            for path in options.catalogue.glob("items_*.json"):
                attributes_path = plain / path.name
                attributes_path.write_text(path.read_text())
            strange = list(odd_products(draw, 300))
            (odd / "items_shuffle_1000.json").write_text(json.dumps(strange))
            (odd / "items_ins_v2_1000.json").write_text(json.dumps(odd_attributes(strange, draw)))
            asked = [product["asin"] for product in strange if draw.random() < 0.5]
            (odd / "items_human_ins.json").write_text(json.dumps({
                asin: [{"instruction": "..i want a thing.", "instruction_attributes": ["gluten free"], "instruction_options": ["red", "xx-large"]}]
                for asin in asked}))
            for folder in (plain, odd):
                for row in play(options, folder, find, draw):
                    put(row)


if __name__ == "__main__":
    main()
