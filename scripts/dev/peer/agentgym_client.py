"""AgentGym's Python client against our server: `python3 scripts/dev/peer/agentgym_client.py AFFINE [AGENTGYM]`.

Makes the calls that AgentGym's client classes make (create, reset, observe, step, close), with a reply of a model in the
form that they take apart. With a clone of AgentGym as second argument the classes are its own (needs requests); without
one, their calls are repeated here with the standard library.
"""

import re
import sys
import types

from serving import Serving

PROMISE = "OK. I'll follow your instructions and try my best to solve the task."
BREAD = ["get 3 wheat", "inventory", "craft 1 bread using 3 wheat"]


class OwnClient:
    """What AgentGym's TextCraftEnvClient sends and expects."""

    def __init__(self, server):
        self.server = server
        body = {"minecraft_dir": "agentenv_textcraft/", "commands": None, "goal": None}
        reply = self.post("/create", body)
        self.env_id, self.observation = reply["id"], reply["observation"]

    def post(self, path, body):
        status, reply = self.server.call("POST", path, body)
        assert status == 200, (path, status, reply)
        return reply

    def reset(self, idx):
        reply = self.post("/reset", {"data_idx": idx, "id": self.env_id})
        self.observation = reply["observation"]
        return reply

    def observe(self):
        return self.observation

    def step(self, text):
        found = re.findall(r"Action:\s*(.*?)(?=\n|$)", text, re.DOTALL)
        action = " ".join(re.sub(r"[^A-Za-z0-9, ]+", "", found[-1] if found else "").split())
        reply = self.post("/step", {"action": action, "id": self.env_id})
        self.observation = reply["observation"]
        return types.SimpleNamespace(state=reply["observation"], reward=reply["reward"], done=reply["done"])

    def close(self):
        return self.post("/close", {"id": self.env_id})


def original_client(clone, base):
    """AgentGym's class, without the parts of its package that need a model."""
    sys.path.insert(0, f"{clone}/agentenv")
    for name in ("agentenv", "agentenv.controller"):
        package = sys.modules[name] = types.ModuleType(name)
        package.__path__ = [f"{clone}/agentenv/{name.replace('.', '/')}"]
    from agentenv.controller.env import BaseEnvClient

    sys.modules["agentenv.controller"].BaseEnvClient = BaseEnvClient
    sys.modules["agentenv.controller"].BaseTask = object
    package = sys.modules["agentenv.envs"] = types.ModuleType("agentenv.envs")
    package.__path__ = [f"{clone}/agentenv/agentenv/envs"]
    sys.modules["agentenv"].__path__ = [f"{clone}/agentenv/agentenv"]
    from agentenv.envs.textcraft import TextCraftEnvClient

    assert TextCraftEnvClient.conversation_start[1]["value"] == PROMISE
    return TextCraftEnvClient(env_server_base=base, data_len=544)


def play(client):
    """Bakes bread."""
    client.reset(12)
    assert client.observe().endswith("\n\nGoal: craft bread."), client.observe()
    for action in BREAD:
        outcome = client.step(f"Thought:\nOn with it.\n\nAction:\n{action}.")
    assert (outcome.state, outcome.reward, outcome.done) == ("Crafted 1 minecraft:bread", 1, True), outcome


def main():
    affine, *clone = sys.argv[1:]
    with Serving(affine, "textcraft") as server:
        assert server.call("GET", "/") == (200, "This is environment TextCraft.")
        clients = [original_client(*clone, server.base) if clone else OwnClient(server) for _ in range(8)]
        assert len({client.env_id for client in clients}) == 8
        for client in clients:
            play(client)
        first = clients[0]
        play(first)
        detail = server.call("GET", f"/detail?id={first.env_id}")[1]
        expected = {"observation": "Crafted 1 minecraft:bread", "done": True, "reward": 1, "deleted": False}
        assert detail == expected, detail
        assert [client.close() for client in clients] == [True] * 8
        assert server.call("POST", "/step", {"id": first.env_id, "action": "inventory"}) == (
            200,
            {"error": f"The id {first.env_id} is not valid."},
        )
        whose = "AgentGym's own client" if clone else "the calls of AgentGym's client"
        print(f"{whose}: 8 environments made, played, reset and closed")


if __name__ == "__main__":
    main()
