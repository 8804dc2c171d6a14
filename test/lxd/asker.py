"""A guest that asks for one key all the while, each time on a new connection.

Usage: asker.py SOCKET KEY DIRECTORY    until DIRECTORY/stop is there; then DIRECTORY/answers.json has, by answer or
failure, how often it came; DIRECTORY/count, while it runs, how many there were
"""

import collections
import json
import os
import socket
import sys

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
    return head[9:12].decode() + " " + body.decode()


answers = collections.Counter()
while not os.path.exists(directory + "/stop"):
    try:
        answers[ask()] += 1
    except OSError as error:
        answers[repr(error)] += 1
    with open(directory + "/count", "w") as file:
        file.write(str(answers.total()))
with open(directory + "/answers.part", "w") as file:
    json.dump(answers, file)
os.rename(directory + "/answers.part", directory + "/answers.json")
