"""Reads pairs of cloud-configs, before and after keys were inserted for one user, as guests read them: PyYAML first,
then cloud-init's own users.

Usage: compare-cloud-config.py DIRECTORY < JSON [[before, after, user, keys], ...]; prints one line for each that is
wrong. DIRECTORY: the cloud-init that is meant.
"""

import copy
import json
import logging
import sys

import cloudinit
import yaml
from cloudinit.distros import ug_util


class Distro:
    def get_default_user(self):
        return {"name": "debian", "groups": ["sudo"]}

    def __getattr__(self, name):
        raise NotImplementedError(name)


def users_of(document):
    try:
        return ug_util.normalize_users_groups(copy.deepcopy(document), Distro())[0]
    except (AttributeError, TypeError) as error:
        return {"refused": str(error)}


def problem(before, after, user, keys):
    characters = iter(after)
    if not all(character in characters for character in before):
        return "bytes that were there are gone"
    try:
        had, has = yaml.safe_load(before) or {}, yaml.safe_load(after)
    except (yaml.YAMLError, ValueError) as error:
        return f"PyYAML: {error} in {before!r}"
    users, grown = users_of(had), users_of(has)
    if "refused" in users:
        return None if users == grown else f"refused: {users} became {grown}"
    mine, grown_mine = users.pop(user, {}), grown.pop(user, None)
    if grown_mine is None:
        return "the user is not there"
    if {**users, **grown} != grown or {name for name in grown if name not in users}:
        return f"other users: {users} became {grown}"
    for field in ("ssh_authorized_keys",):
        old, new = mine.pop(field, None) or [], grown_mine.pop(field, None) or []
        old = [old] if isinstance(old, str) else list(old)
        old, new = ([key for key in keys if key != ""] for keys in (old, new))
        if sorted(map(str, new)) != sorted(map(str, old + [key for key in keys if key not in old])):
            return f"keys: {old} became {new}"
    if mine and mine != grown_mine:
        return f"the user: {mine} became {grown_mine}"
    had.pop("users", None)
    has.pop("users", None)
    if repr(had) != repr(has):
        return f"the rest: {had} became {has}"
    return None


logging.disable()  # it warns of users that are null
assert cloudinit.__file__.startswith(sys.argv[1]), cloudinit.__file__
for at, (before, after, user, keys) in enumerate(json.load(sys.stdin)):
    wrong = problem(before, after, user, keys)
    if wrong is not None:
        print(at, wrong)
