# SPDX-License-Identifier: GPL-2.0-or-later
"""judge - who decides about logins of a test hub with open rules (hub_judge.h): a function in the test's own process.

    def decide(login):      # client, username, password, certificate (DER or None), chain ("" = leads to a CA), all text
        return None, 0      # let in, without end; or a reason, or the Unix second at which the login ends
    with Judge(stage.path("judge.sock"), decide) as judge:
        Hub(stage, pki, options={"rules": "open", "judge": judge.path})

`judge.logins` lists what came. The broker waits for the answer, so decide() must not talk to it.
"""
import base64
import json
import os
import socketserver
import threading


class Judge:
    def __init__(self, path, decide):
        self.path, self.decide, self.logins = path, decide, []
        judge = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                self.wfile.write((judge.answer(json.loads(self.rfile.readline())) + "\n").encode())

        if os.path.exists(path):
            os.unlink(path)
        self.server = socketserver.ThreadingUnixStreamServer(path, Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, login):
        if login["certificate"]:
            login["certificate"] = base64.b64decode(login["certificate"])
        self.logins.append(login)
        try:
            reason, expires = self.decide(login)
        except Exception as error:  # a judge that fails lets nobody in
            reason, expires = f"judge: {type(error).__name__}: {error}", 0
        return reason or f"ok {int(expires)}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
