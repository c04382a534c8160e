"""Whether the locks of a file system are seen by every machine that mounts it.

NFS and Lustre pass locks on to the server, so that all machines see them. With some mount options they do not, and two
machines would then both own one folder.
"""

import os
from pathlib import Path

import psutil

ONLY_THIS_MACHINE = {"nolock", "local_lock=flock", "local_lock=all", "localflock", "nobrl"}
"""Mount options of NFS, Lustre and SMB with which other machines do not see the locks of this one."""


def local_locks_option(folder: Path) -> str | None:
    """Return the mount option by which the folder's file system hides locks from other machines; None without one."""
    place = str(folder.resolve())
    mounts = [mount for mount in psutil.disk_partitions(all=True) if _lies_in(place, mount.mountpoint)]
    if not mounts:
        return None
    # Of two mounts on one place the later one is seen.
    options = max(reversed(mounts), key=lambda mount: len(mount.mountpoint)).opts.split(",")
    return next((option for option in options if option in ONLY_THIS_MACHINE), None)


def _lies_in(place: str, mountpoint: str) -> bool:
    """Return whether a path is a mount's folder or lies in it."""
    return place == mountpoint or place.startswith(mountpoint.rstrip(os.sep) + os.sep)
