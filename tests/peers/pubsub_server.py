#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pubsub_server - Pub/Sub's publish method and Google's token service over HTTPS, strict, with levers (see control.py).

    pubsub_server.py --certificate server.pem --key server.key --folder DIR plant-one/telemetry
        →  {"ready": true, "port": 40001, "account": "DIR/account.json", "stranger": "DIR/stranger.json"}

It makes two service accounts: one may publish, the other is unknown. A bearer token is a self-signed JWT (RS256, kid, iss = sub,
aud) or one that /token gave. A request is judged as Pub/Sub does: fields, base64, sizes, one ordering key. What is stored stands
in DIR/messages, a JSON line each, in the order of storing. `--plain` is an emulator: no TLS, no tokens.

    fail HOW [COUNT]  the next COUNT (default: all) publish requests get
        400 401 403 404 409 429 499 500 503 504   that status, with an error body; nothing is stored
        429-retry     429 with Retry-After: 1
        mid-request   the connection is closed in the middle of the request; nothing is stored
        truncated garbage html count silent twice   stored, and the answer is cut off, no HTTP, no JSON, an id short, none, there twice
        chunked close until-close slow interim   stored, and the answer is right: in chunks, as the last one of its connection, ended by
                      its end, byte by byte, after 100 and 103
    good              as at the beginning
    token HOW         the token service: 400, 503, garbage, or good
    life SECONDS      of the access tokens that follow
    revoke            no access token that was given is good any more
    delete TOPIC / create TOPIC
    close-idle        closes the connections that wait for a request
    stats             {"requests", "served": of `fail`, "connections": ever, "tokens": ever, "refused": [reasons], "largest": messages in
                      one request, "heads": [the last request's header names]}
"""
import argparse
import asyncio
import base64
import binascii
import json
import os
import secrets
import ssl
import sys
import time
import urllib.parse

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

import control

AUDIENCE = "https://pubsub.googleapis.com/"
SCOPE = "https://www.googleapis.com/auth/pubsub"
SCOPES = {SCOPE, "https://www.googleapis.com/auth/cloud-platform"}  # a self-signed token may name one of them instead of the audience
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
STATUS = {200: "OK", 400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
          413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL", 503: "UNAVAILABLE",
          504: "DEADLINE_EXCEEDED"}
SKEW_S = 60


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


class Account:
    """A service account and its key file."""

    def __init__(self, folder, name, token_uri):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.email, self.kid = f"{name}@plant-one.iam.gserviceaccount.com", secrets.token_hex(20)
        self.path = os.path.join(folder, f"{name}.json")
        pem = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        with open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump({"type": "service_account", "project_id": "plant-one", "private_key_id": self.kid, "private_key": pem.decode(),
                       "client_email": self.email, "client_id": "1", "token_uri": token_uri}, file, indent=2)


def decode64url(text):
    if not text or "=" in text:
        raise Refused(401, "a part of the token is not base64url")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


class Server:
    def __init__(self, arguments):
        self.arguments = arguments
        self.topics = set(arguments.topic)
        self.how, self.left = "good", 0
        self.token_how, self.life = "good", 3600
        self.tokens = {}
        self.idle = set()
        self.next_id = 1000
        self.counts = {"requests": 0, "served": 0, "connections": 0, "tokens": 0, "largest": 0}
        self.refused, self.heads = [], []
        self.record = open(os.path.join(arguments.folder, "messages"), "w", encoding="utf-8")

    # --- tokens ---

    def claims(self, token, audience):
        """The claims of a JWT that the account signed; anything wrong is 401."""
        try:
            header64, claims64, signature64 = token.split(".")
            header, claims = json.loads(decode64url(header64)), json.loads(decode64url(claims64))
            signature = decode64url(signature64)
        except (ValueError, binascii.Error) as error:
            raise Refused(401, f"not a JWT: {error}") from None
        if header.get("alg") != "RS256" or header.get("kid") != self.account.kid:
            raise Refused(401, "unknown algorithm or key id")
        try:
            self.account.key.public_key().verify(signature, f"{header64}.{claims64}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Refused(401, "the signature is wrong") from None
        now = time.time()
        scopes = claims.get("scope", "").split()
        if claims.get("iss") != self.account.email or (claims.get("aud") != audience and not (
                audience == AUDIENCE and "aud" not in claims and SCOPES & set(scopes))):
            raise Refused(401, "wrong issuer or audience")
        if claims["exp"] - claims["iat"] > 3600 or claims["iat"] > now + SKEW_S or claims["exp"] < now:
            raise Refused(401, "not valid now, or valid for too long")
        return claims

    def authorize(self, headers):
        if self.arguments.plain:
            return
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind != "Bearer":
            raise Refused(401, "no bearer token")
        if token in self.tokens:
            if self.tokens[token] < time.time():
                raise Refused(401, "the access token has expired")
            return
        claims = self.claims(token, AUDIENCE)
        if claims.get("sub") != self.account.email:
            raise Refused(401, "a self-signed token needs sub = iss")

    def give_token(self, headers, body):
        if headers.get("content-type") != "application/x-www-form-urlencoded":
            raise Refused(400, "not a form")
        form = urllib.parse.parse_qs(body.decode(), strict_parsing=True)
        if form.get("grant_type") != [GRANT] or len(form.get("assertion", [])) != 1:
            raise Refused(400, "not a JWT bearer grant")
        if self.claims(form["assertion"][0], self.token_uri).get("scope") != SCOPE:
            raise Refused(400, "wrong scope")
        token = "ya29." + secrets.token_urlsafe(60)
        self.tokens[token] = time.time() + self.life
        self.counts["tokens"] += 1
        return {"access_token": token, "expires_in": self.life, "token_type": "Bearer"}

    # --- publishing ---

    def judge_message(self, message):
        if not isinstance(message, dict) or set(message) - {"data", "attributes", "orderingKey"}:
            raise Refused(400, "a message has unknown fields")
        attributes, data = message.get("attributes", {}), message.get("data", "")
        if not data and not attributes:
            raise Refused(400, "a message has neither data nor attributes")
        if len(attributes) > 100 or not all(isinstance(value, str) and len(value.encode()) <= 1024 and 0 < len(key.encode()) <= 256 and
                                            not key.startswith("goog") for key, value in attributes.items()):
            raise Refused(400, "attributes are out of bounds")
        if len(message.get("orderingKey", "").encode()) > 1024:
            raise Refused(400, "the ordering key is too long")
        return base64.b64decode(data, validate=True)

    def judge(self, topic, headers, body):
        """[(message, data)], or Refused. The order of the checks is Pub/Sub's: who, where, what."""
        self.authorize(headers)
        if topic not in self.topics:
            raise Refused(404, f"Resource not found (resource={topic}).")
        if headers.get("content-type", "").split(";")[0] != "application/json":
            raise Refused(400, "not JSON")
        if len(body) > 10_000_000:
            raise Refused(413, "too large")
        try:
            request = json.loads(body)
            messages = request["messages"]
            if set(request) != {"messages"} or not 1 <= len(messages) <= 1000:
                raise Refused(400, "1 to 1000 messages are taken")
            judged = [(message, self.judge_message(message)) for message in messages]
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            raise Refused(400, f"malformed: {error}") from None
        if len({message.get("orderingKey", "") for message, _ in judged}) != 1:
            raise Refused(400, "one request has one ordering key")
        self.counts["largest"] = max(self.counts["largest"], len(judged))
        return judged

    def store(self, topic, judged):
        ids = []
        for message, data in judged:
            ids.append(str(self.next_id))
            self.next_id += 1
            self.record.write(json.dumps({"id": ids[-1], "topic": topic, "attributes": message.get("attributes", {}),
                                          "orderingKey": message.get("orderingKey"), "data": data.decode("utf-8", "replace")}) + "\n")
        self.record.flush()
        return ids

    # --- connections ---

    async def read_request(self, reader):
        """(method, target, headers, declared length), or None at the end."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return None
        first, *lines = head[:-4].split("\r\n")
        method, target, version = first.split(" ")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip() or name.lower() in headers:
                raise Refused(400, f"header field {line!r}")
            headers[name.lower()] = value.strip()
        if version != "HTTP/1.1" or "host" not in headers or not headers.get("content-length", "").isdigit():
            raise Refused(400, "request line, Host or Content-Length is wrong")
        self.heads = list(headers)
        return method, target, headers, int(headers["content-length"])

    async def talk(self, reader, writer):
        self.counts["connections"] += 1
        try:
            while await self.one_request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.idle.discard(writer)
            writer.close()

    async def one_request(self, reader, writer):
        self.idle.add(writer)
        try:
            request = await self.read_request(reader)
        except Refused as refused:
            self.refused.append(refused.message)
            return await self.answer(writer, 400, {"error": {"code": 400, "message": refused.message}}, "close")
        if request is None:
            return False
        self.idle.discard(writer)
        method, target, headers, length = request
        if method == "POST" and target == "/token":
            return await self.token_request(writer, headers, await reader.readexactly(length))
        how = "good"
        if self.how != "good" and self.left != 0:
            how = self.how
            self.left -= 1
            self.counts["served"] += 1
        if how == "mid-request":
            await reader.readexactly(length // 2)
            return False
        body = await reader.readexactly(length)
        self.counts["requests"] += 1
        return await self.publish(writer, method, target, headers, body, how)

    async def token_request(self, writer, headers, body):
        if self.token_how == "garbage":
            writer.write(b"what?\r\n\r\n")
            return False
        try:
            if self.token_how != "good":
                raise Refused(int(self.token_how), "as ordered")
            return await self.answer(writer, 200, self.give_token(headers, body), "good")
        except Refused as refused:
            self.refused.append(refused.message)
            status = refused.status if refused.status != 401 else 400
            return await self.answer(writer, status, {"error": "invalid_grant", "error_description": refused.message}, "good")

    async def publish(self, writer, method, target, headers, body, how):
        path = urllib.parse.unquote(target.partition("?")[0])
        if method != "POST" or not (path.startswith("/v1/projects/") and "/topics/" in path and path.endswith(":publish")):
            return await self.answer(writer, 404, {"error": {"code": 404, "message": "no such method"}}, "good")
        project, topic = path[len("/v1/projects/"):-len(":publish")].split("/topics/")
        try:
            if how[:3].isdigit():
                raise Refused(int(how[:3]), "as ordered")
            ids = self.store(f"{project}/{topic}", self.judge(f"{project}/{topic}", headers, body))
        except Refused as refused:
            if not how[:3].isdigit():
                self.refused.append(refused.message)
            error = {"error": {"code": refused.status, "message": refused.message, "status": STATUS[refused.status]}}
            return await self.answer(writer, refused.status, error, how)
        if how == "count":
            ids.pop()
        return await self.answer(writer, 200, {"messageIds": ids}, how)

    async def answer(self, writer, status, body, how):
        """True: the connection goes on."""
        text = json.dumps(body).encode() if how != "html" else b"<html>hello</html>"
        head = f"HTTP/1.1 {status} {STATUS.get(status, '')}\r\nContent-Type: application/json; charset=UTF-8\r\n"
        length = f"Content-Length: {len(text)}\r\n"
        if how == "silent":
            return True
        if how == "garbage":
            writer.write(b"\x00\xff not HTTP at all\r\n" * 10)
        elif how == "truncated":
            writer.write((head + length + "\r\n").encode() + text[:-2])
        elif how == "until-close":
            writer.write((head + "\r\n").encode() + text)
        elif how == "close":
            writer.write((head + length + "Connection: close\r\n\r\n").encode() + text)
        elif how == "chunked":
            chunks = [text[at:at + 7] for at in range(0, len(text), 7)]
            writer.write((head + "Transfer-Encoding: chunked\r\n\r\n").encode() +
                         b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks) + b"0\r\nX-Trailer: y\r\n\r\n")
        elif how == "slow":
            for byte in (head + length + "\r\n").encode() + text:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.002)
        else:
            extra = "Retry-After: 1\r\n" if how == "429-retry" else ""
            interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" if how == "interim" else ""
            writer.write((interim + head + extra + length + "\r\n").encode() + text * (1 if how != "twice" else 2))
        await writer.drain()
        return how not in ("garbage", "truncated", "until-close", "close")

    # --- levers ---

    def fail(self, how, count="-1"):
        known = ("mid-request", "truncated", "garbage", "html", "count", "silent", "twice", "chunked", "close", "until-close", "slow",
                 "interim", "429-retry")
        if how not in known and int(how) not in STATUS:
            raise ValueError(how)
        self.how, self.left = how, int(count)

    def good(self):
        self.how = "good"

    def set_token(self, how):
        self.token_how = how

    def set_life(self, seconds):
        self.life = int(seconds)

    def close_idle(self):
        for writer in list(self.idle):
            writer.close()
        return {"closed": len(self.idle)}

    def stats(self):
        return {**self.counts, "refused": self.refused[-20:], "heads": self.heads}

    async def run(self):
        context = None
        if not self.arguments.plain:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.arguments.certificate, self.arguments.key)
        server = await asyncio.start_server(self.talk, "127.0.0.1", self.arguments.port, ssl=context, limit=1 << 20)
        port = server.sockets[0].getsockname()[1]
        self.token_uri = f"https://localhost:{port}/token"
        self.account = Account(self.arguments.folder, "account", self.token_uri)
        stranger = Account(self.arguments.folder, "stranger", self.token_uri)
        await control.serve(
            {"port": port, "account": self.account.path, "stranger": stranger.path, "token_uri": self.token_uri},
            {"fail": self.fail, "good": self.good, "token": self.set_token, "life": self.set_life, "revoke": self.tokens.clear,
             "delete": self.topics.discard, "create": self.topics.add, "close-idle": self.close_idle, "stats": self.stats})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--folder", required=True)
    parser.add_argument("topic", nargs="+", help="PROJECT/TOPIC")
    arguments = parser.parse_args()
    if not arguments.plain and not (arguments.certificate and arguments.key):
        parser.error("--certificate and --key are needed, or --plain")
    os.makedirs(arguments.folder, exist_ok=True)
    asyncio.run(Server(arguments).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
