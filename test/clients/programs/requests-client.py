"""Python's requests as a guest's client; its two usages are in ../client.ts."""

import base64
import json
import socket
import sys

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

WANTED = ("content-type", "content-length", "x-content-type-options", "transfer-encoding")


class Connection(HTTPConnection):
    made = 0

    def connect(self):
        Connection.made += 1
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[2])


class Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class Adapter(HTTPAdapter):
    pool = Pool("lxd")

    def get_connection(self, url, proxies=None):
        return self.pool

    def close(self):
        self.pool.close()


def new_session():
    session = requests.Session()
    session.mount("http://lxd", Adapter())
    return session


def ask(session, request):
    body = request.get("body")
    body = body and body.encode()
    body = iter([body]) if request.get("chunked") else body
    made = Connection.made
    answer = session.request(request["method"], "http://lxd" + request["path"], data=body)
    return {
        "status": answer.status_code,
        "headers": {name.lower(): value for name, value in answer.headers.items() if name.lower() in WANTED},
        "body": base64.b64encode(answer.content).decode(),
        "reused": Connection.made == made,
    }


def ask_all(asked, keep):
    session = new_session()
    for request in asked:
        yield ask(session, request)
        if not keep:
            Adapter.pool = Pool("lxd")
            session = new_session()


def listen(count):
    lines = new_session().get("http://lxd/1.0/events", stream=True).iter_lines(chunk_size=None)
    for _ in range(count):
        sys.stdout.write(next(lines).decode() + "\n")


if sys.argv[1] == "listen":
    listen(int(sys.argv[3]))
else:
    json.dump(list(ask_all(json.load(open(sys.argv[3])), sys.argv[4] == "kept")), sys.stdout)
