"""Python's http.client as a guest's client; its two usages are in ../client.ts."""

import base64
import http.client
import json
import socket
import sys

WANTED = ("content-type", "content-length", "x-content-type-options", "transfer-encoding")


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[2])


def ask(connection, request):
    body = request.get("body")
    chunked = request.get("chunked", False)
    reused = connection.sock
    headers = {"Transfer-Encoding": "chunked"} if chunked else {}
    payload = body and body.encode()
    payload = iter([payload]) if chunked else payload
    connection.request(request["method"], request["path"], payload, headers, encode_chunked=chunked)
    reused = reused is not None and connection.sock is reused
    answer = connection.getresponse()
    return {
        "status": answer.status,
        "headers": {name.lower(): value for name, value in answer.getheaders() if name.lower() in WANTED},
        "body": base64.b64encode(answer.read()).decode(),
        "reused": reused,
    }


def ask_all(requests, keep):
    connection = Connection("lxd")
    for request in requests:
        yield ask(connection, request)
        if not keep:
            connection.close()


def listen(count):
    connection = Connection("lxd")
    connection.request("GET", "/1.0/events")
    answer = connection.getresponse()
    for _ in range(count):
        sys.stdout.write(answer.readline().decode())


if sys.argv[1] == "listen":
    listen(int(sys.argv[3]))
else:
    json.dump(list(ask_all(json.load(open(sys.argv[3])), sys.argv[4] == "kept")), sys.stdout)
