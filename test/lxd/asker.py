"""A guest that asks for one key all the while, each time on a new connection.

Usage: asker.py SOCKET KEY DIRECTORY    until DIRECTORY/stop is there; then DIRECTORY/answers.json has, by answer or
failure, how often it came; DIRECTORY/count, while it runs, how many there were. After a failure it waits for 10 ms.
"""

import collections
import json
import os
import socket
import sys
import time

path, key, directory = sys.argv[1:]
request = f"GET /1.0/config/{key} HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n\r\n".encode()


def ask():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head[9:12].decode()
    own = status not in ("", "200") and b"\r\nuWebSockets:" not in head
    return ("not by devlxd: " if own else "") + status + " " + body.decode()


answers = collections.Counter()
while not os.path.exists(directory + "/stop"):
    try:
        answer = ask()
    except OSError as error:
        answer = repr(error)
    answers[answer] += 1
    if not answer.startswith("200 "):
        time.sleep(0.01)
    with open(directory + "/count", "w") as file:
        file.write(str(answers.total()))
with open(directory + "/answers.part", "w") as file:
    json.dump(answers, file)
os.rename(directory + "/answers.part", directory + "/answers.json")
