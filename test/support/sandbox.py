"""Runs a command as systemd would run it under a unit's hardening, as far as that can be had without systemd: user,
capabilities, no new privileges, system call filter, address families, namespaces, network, /proc, read-only files.

usage: sandbox.py UNIT UID WRITABLE[:WRITABLE...] -- COMMAND...     as root; the directories that are not read-only
"""

import ctypes
import os
import platform
import socket
import struct
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC = 0x20000, 0x40000000, 0x8000000
CLONE_ANY_NAMESPACE = 0x7E020080
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, SYS_MOUNT_SETATTR = -100, 0x8000, 1, 442
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def settings_of(unit):
    settings = {}
    with open(unit) as lines:
        for line in lines:
            name, mark, value = line.strip().partition("=")
            if mark and not name.startswith("#"):
                settings.setdefault(name, []).append(value)
    return settings


def confine(settings, writable):
    assert settings["PrivateIPC"] == ["yes"] and settings["PrivateNetwork"][0] == "yes"
    assert settings["ProtectSystem"] == ["strict"] and settings["ProtectProc"] == ["invisible"]
    # The last line that says it holds: a drop-in may have another.
    network = CLONE_NEWNET if settings["PrivateNetwork"][-1] == "yes" else 0
    check(libc.unshare(CLONE_NEWNS | network | CLONE_NEWIPC))
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    targets = [target.encode() for target in writable.split(":")]
    for target in targets:
        check(libc.mount(target, target, None, MS_BIND, None))
    writables = [(target, (0, MOUNT_ATTR_RDONLY)) for target in targets]
    for path, attributes in [(b"/", (MOUNT_ATTR_RDONLY, 0)), *writables]:
        attr = struct.pack("QQQQ", *attributes, 0, 0)
        check(libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, attr, len(attr)))
    check(libc.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=invisible"))


def groups():
    """What systemd's names for groups of system calls stand for."""
    output = subprocess.run(["systemd-analyze", "syscall-filter"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    ).stdout
    found, current = {}, []
    for line in output.splitlines():
        word = line.strip()
        if word.startswith("@") and not line.startswith(" "):
            current = found.setdefault(word, [])
        elif word and not word.startswith("#"):
            current.append(word)
    return found


def expand(words, known):
    for word in words:
        if word.startswith("@"):
            yield from expand(known[word], known)
        else:
            yield word


def allowed_by(filters):
    known = groups()
    allowed = set(expand(["@default"], known))
    for value in filters:
        names = set(expand(value.lstrip("~").split(), known))
        allowed = allowed - names if value.startswith("~") else allowed | names
    return allowed


def numbers():
    text = subprocess.run(
        ["g++", "-E", "-dM", "-x", "c", "-include", "sys/syscall.h", "/dev/null"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout
    words = (line.split() for line in text.splitlines())
    return {word[1][5:]: int(word[2]) for word in words if word[1].startswith("__NR_") and word[2].isdigit()}


def filter_of(settings):
    assert settings["RestrictNamespaces"] == ["yes"]
    families = " ".join(settings["RestrictAddressFamilies"]).split()  # several lines add up
    assert families[0] == "AF_UNIX"
    number = numbers()
    code = []

    def load(offset):
        code.append((0x20, 0, 0, offset))

    def unless(value, skip):
        code.append((0x15, 0, skip, value))

    def answer(errno):
        code.append((0x06, 0, 0, 0x50000 | errno if errno else 0x7FFF0000))

    def only(name, *steps):
        """steps: for this system call alone; they end with a return."""
        unless(number[name], len(steps))
        code.extend(steps)

    error = lambda errno: (0x06, 0, 0, 0x50000 | errno)
    argument = (0x20, 0, 0, 16)
    load(4)
    unless(ARCHITECTURES[platform.machine()], 1)
    code.append((0x05, 0, 0, 1))
    answer(EPERM)
    load(0)
    only("clone3", error(ENOSYS))  # its flags are in memory, where a filter cannot look
    only("setns", error(EPERM))
    only("unshare", error(EPERM))
    only("clone", argument, (0x45, 0, 1, CLONE_ANY_NAMESPACE), error(EPERM), (0x06, 0, 0, 0x7FFF0000))
    known = [(0x15, len(families) - at, 0, getattr(socket, family)) for at, family in enumerate(families)]
    only("socket", argument, *known, error(EAFNOSUPPORT), (0x06, 0, 0, 0x7FFF0000))
    for name in sorted(allowed_by(settings["SystemCallFilter"])):
        if name in number:
            unless(number[name], 1)
            answer(0)
    answer(EPERM)
    return b"".join(struct.pack("HBBI", *step) for step in code)


def install(program):
    instructions = ctypes.create_string_buffer(program, len(program))
    description = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, description, 0, 0))


unit, uid, writable = sys.argv[1:4]
command = sys.argv[5:]
settings = settings_of(unit)
if "DEVLXD_CONFINED" not in os.environ:
    confine(settings, writable)
    capabilities = "-all" + "".join(
        f",+{name.lower().removeprefix('cap_')}" for name in settings["CapabilityBoundingSet"][0].split()
    )
    assert settings["NoNewPrivileges"] == ["yes"]
    assert settings["AmbientCapabilities"] == settings["CapabilityBoundingSet"]
    os.environ.update(DEVLXD_CONFINED="1", TMPDIR=writable.split(":")[0])
    os.execvp("setpriv", [
        "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs",
        f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", f"--bounding-set={capabilities}",
        sys.executable, *sys.argv,
    ])
del os.environ["DEVLXD_CONFINED"]
install(filter_of(settings))
os.execvp(command[0], command)
