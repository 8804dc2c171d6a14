"""What systemd does for devlxd, and nothing else: holds its sockets, listens to its notifications, keeps what it
stores, and starts it again.

usage: service-manager.py RUN_DIR COMMAND...
stdin: "restart" (SIGTERM, and start again), "kill" (SIGKILL, and start again); SIGTERM ends both.
stdout: one JSON document for each notification and each exit.
"""

import array
import json
import os
import select
import signal
import socket
import sys

run_dir, command = sys.argv[1], sys.argv[2:]


def say(**event):
    print(json.dumps(event), flush=True)


def listening(path, mode):
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    os.chmod(path, mode)
    made.listen(4096)
    return made


os.makedirs(os.path.join(run_dir, "guest"), exist_ok=True)
sockets = [
    ("guest", listening(os.path.join(run_dir, "guest/sock"), 0o666)),
    ("control", listening(os.path.join(run_dir, "control.sock"), 0o600)),
]
notify_path = os.path.join(run_dir, "notify")
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(notify_path)
os.chmod(notify_path, 0o777)
kept = []  # (name, descriptor)


def drop_ended():
    polled = select.poll()
    for _, fd in kept:
        polled.register(fd, 0)
    ended = [fd for fd, _ in polled.poll(0)]
    for entry in [entry for entry in kept if entry[1] in ended]:
        kept.remove(entry)
        os.close(entry[1])


def start():
    drop_ended()
    pid = os.fork()
    if pid:
        say(pid=pid)
        return pid
    given = [(name, made.fileno()) for name, made in sockets] + kept
    # Out of the way of what they are to become.
    beyond = max(fd for _, fd in given) + len(given)
    copies = [os.dup2(fd, beyond + i) for i, (_, fd) in enumerate(given)]
    for i, copy in enumerate(copies):
        os.dup2(copy, 3 + i, inheritable=True)
    os.closerange(3 + len(given), beyond + len(given))
    environment = dict(
        os.environ,
        LISTEN_PID=str(os.getpid()),
        LISTEN_FDS=str(len(given)),
        LISTEN_FDNAMES=":".join(name for name, _ in given),
        NOTIFY_SOCKET=notify_path,
        WATCHDOG_USEC="200000",
        WATCHDOG_PID=str(os.getpid()),
    )
    os.execvpe(command[0], command, environment)


def receive():
    global started
    text, ancillary, flags, _ = notify.recvmsg(4096, socket.CMSG_SPACE(253 * 4))
    assert not flags & socket.MSG_CTRUNC
    fds = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data)
    fields = dict(line.split("=", 1) for line in text.decode().splitlines())
    if fields.get("FDSTORE") == "1":
        for fd in fds:
            if any(os.path.sameopenfile(fd, other) for _, other in kept):  # systemd ignores it, under any name
                os.close(fd)
            else:
                kept.append((fields["FDNAME"], fd))
    elif fields.get("FDSTOREREMOVE") == "1":
        for entry in [entry for entry in kept if entry[0] == fields["FDNAME"]]:
            kept.remove(entry)
            os.close(entry[1])
    else:
        assert not fds, fields
        started = started or "READY" in fields
    say(notify=fields, descriptors=len(fds), kept=len(kept))


ending = False
started = False


def end(*_):
    global ending
    ending = True
    os.kill(child, signal.SIGTERM)


child = start()
signal.signal(signal.SIGTERM, end)
while True:
    exited = os.pidfd_open(child)
    inputs = [sys.stdin, notify, exited]
    while True:
        ready, _, _ = select.select(inputs, [], [])
        if notify in ready:  # before the exit: what it says last counts
            receive()
            continue
        if sys.stdin in ready:
            order = sys.stdin.readline().strip()
            if order == "":
                inputs.remove(sys.stdin)
            else:
                os.kill(child, signal.SIGKILL if order == "kill" else signal.SIGTERM)
        if exited in ready:
            break
    os.close(exited)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    say(exit=status, kept=len(kept))
    if ending or not started:
        sys.exit(max(status, 0) if ending else 1)
    started = False
    child = start()
