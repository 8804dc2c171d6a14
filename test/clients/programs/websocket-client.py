"""Python's websocket-client as a guest's listener; its usage is in ../client.ts."""

import socket
import sys

import websocket

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[2])
stream = websocket.create_connection("ws://lxd/1.0/events", socket=connection)
for _ in range(int(sys.argv[3])):
    sys.stdout.write(stream.recv() + "\n")
stream.close()
