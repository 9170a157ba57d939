"""Starts `affine env serve` for a peer check and stops it again."""

import json
import re
import subprocess
import urllib.error
import urllib.request


class Serving:
    """`affine env serve NAME` on a free port; `with` stops it."""

    def __init__(self, affine, name, *options):
        command = [affine, "env", "serve", name, "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        found = re.search(r"at (http://\S+?),", line)
        if not found:
            self.process.kill()
            raise SystemExit(f"{' '.join(command)}: {line}{self.process.stderr.read()}")
        self.base = found.group(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()

    def call(self, method, path, body=None):
        """Status and decoded body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"} if data else {}
        request = urllib.request.Request(self.base + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            return error.code, json.loads(text) if text.startswith("{") else text
