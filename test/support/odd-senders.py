"""What a guest's program can do with a Unix socket beyond sending bytes. Prints for each kind what it was answered.

usage: odd-senders.py SOCKET PATH  (a path whose answer is short and contains "here")
"""

import array
import json
import os
import socket
import sys

socket_path, path = sys.argv[1:]
request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
seconds = 60


def connection(**options):
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(seconds)
    for name, value in options.items():
        made.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    made.connect(socket_path)
    return made


def answer(sock):
    """The first answer; "closed" when there is none."""
    received = b""
    try:
        while b"here" not in received and b"HTTP/1.1 4" not in received:
            piece = sock.recv(4096)
            if not piece:
                break
            received += piece
    except ConnectionError:
        pass
    return received[9:12].decode() or "closed"


def out_of_band_first():
    sock = connection()
    sock.send(b"!", socket.MSG_OOB)
    sock.send(request)
    return answer(sock)


def out_of_band_between():
    sock = connection()
    sock.send(request)
    first = answer(sock)
    sock.send(b"!", socket.MSG_OOB)
    sock.send(request)
    return f"{first} {answer(sock)}"


def out_of_band_inside():
    sock = connection()
    sock.send(request[:9])
    sock.send(b"!", socket.MSG_OOB)
    sock.send(request[9:])
    return answer(sock)


def descriptors_with_each_byte():
    fds = array.array("i", [os.open("/dev/null", os.O_RDONLY) for _ in range(200)])
    sock = connection()
    for byte in request:
        sock.sendmsg([bytes([byte])], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    return answer(sock)


def descriptor_of_itself():
    sock = connection()
    rights = array.array("i", [sock.fileno()])
    sock.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    return answer(sock)


def smallest_buffers():
    sock = connection(SO_SNDBUF=1, SO_RCVBUF=1)
    for byte in request:
        sock.send(bytes([byte]))
    return answer(sock)


def half_closed():
    sock = connection()
    sock.send(request)
    sock.shutdown(socket.SHUT_WR)
    return answer(sock)


def spliced():
    readable, writable = os.pipe()
    sock = connection()
    os.write(writable, request)
    os.splice(readable, sock.fileno(), len(request))
    return answer(sock)


def many_processes():
    """Each asks once; as many as there may be connections are open at a time."""
    readable, writable = os.pipe()
    for _ in range(4):
        for _ in range(50):
            if os.fork() == 0:
                os.write(writable, answer_of_child().ljust(6)[:6].encode())
                os._exit(0)
        for _ in range(50):
            os.wait()
    os.close(writable)
    said = b""
    while piece := os.read(readable, 4096):
        said += piece
    return " ".join(sorted({said[at : at + 6].decode().strip() for at in range(0, len(said), 6)}))


def answer_of_child():
    sock = connection()
    sock.send(request)
    return answer(sock)


def one_connection_of_many():
    """Twenty processes send whole requests on the same connection."""
    sock = connection()
    for _ in range(20):
        if os.fork() == 0:
            for _ in range(20):
                sock.send(request)
            os._exit(0)
    received, wanted = b"", 400
    while received.count(b"here") < wanted:
        piece = sock.recv(65536)
        if not piece:
            break
        received += piece
    for _ in range(20):
        os.wait()
    return f"{received.count(b'HTTP/1.1 200')} answers"


kinds = [
    out_of_band_first,
    out_of_band_between,
    out_of_band_inside,
    descriptors_with_each_byte,
    descriptor_of_itself,
    smallest_buffers,
    half_closed,
    spliced,
    many_processes,
    one_connection_of_many,
]
print(json.dumps({kind.__name__: kind() for kind in kinds}))
