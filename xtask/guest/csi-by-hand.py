"""What a CSI plugin does, by hand: csi-by-hand.py WHAT ...

make GROUP NAME BYTES          an LV whose blocks are zero
grant GROUP NAME ADDRESS HOST  its export to one host, on a port of its own at ADDRESS:4421
use ADDRESS NQN HOST UUID DIR  its connection and its mount; it has an ext4 already, or gets one before
remove GROUP NAME NQN          all of it goes, which is not measured

Each prints one object with the seconds that it took, and what the others have to know.
"""
import fcntl
import json
import os
import struct
import subprocess
import sys
import time
import uuid

BLKZEROOUT = 0x127F
TARGET = "/sys/kernel/config/nvmet"
PORT = f"{TARGET}/ports/4421"


def put(path, text):
    with open(path, "w") as file:
        file.write(text)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def make(group, name, size):
    begun = time.monotonic()
    run("lvcreate", "--yes", "-qq", "--wipesignatures", "n", "--zero", "n", "--size", f"{size}b", "--name", name, group)
    device = os.open(f"/dev/{group}/{name}", os.O_RDWR)
    fcntl.ioctl(device, BLKZEROOUT, struct.pack("QQ", 0, int(size)))
    os.fsync(device)
    os.close(device)
    return {"seconds": time.monotonic() - begun}


def port(address):
    if os.path.isdir(PORT):
        return
    os.mkdir(PORT)
    for name, value in [("trtype", "tcp"), ("adrfam", "ipv4"), ("traddr", address), ("trsvcid", "4421")]:
        put(f"{PORT}/addr_{name}", value)


def grant(group, name, address, host):
    port(address)
    identity = str(uuid.uuid4())
    nqn = f"nqn.2026-11.org.example:{identity}"
    subsystem, allowed = f"{TARGET}/subsystems/{nqn}", f"{TARGET}/hosts/{host}"
    begun = time.monotonic()
    os.mkdir(subsystem)
    put(f"{subsystem}/attr_allow_any_host", "0")
    put(f"{subsystem}/attr_serial", identity.replace("-", "")[:20])
    put(f"{subsystem}/attr_model", "by hand")
    os.makedirs(allowed, exist_ok=True)
    os.symlink(allowed, f"{subsystem}/allowed_hosts/{host}")
    namespace = f"{subsystem}/namespaces/1"
    os.mkdir(namespace)
    put(f"{namespace}/device_path", f"/dev/{group}/{name}")
    put(f"{namespace}/device_uuid", identity)
    put(f"{namespace}/enable", "1")
    os.symlink(subsystem, f"{PORT}/subsystems/{nqn}")
    return {"seconds": time.monotonic() - begun, "nqn": nqn, "uuid": identity}


def connect(address, nqn, host, identity):
    run("nvme", "connect", "--transport=tcp", f"--traddr={address}", "--trsvcid=4421", f"--nqn={nqn}", f"--hostnqn={host}",
        "--ctrl-loss-tmo=600", "--reconnect-delay=2")
    while True:
        for disk in os.listdir("/sys/block"):
            try:
                with open(f"/sys/block/{disk}/uuid") as file:
                    there = file.read().strip() == identity and os.path.exists(f"/dev/{disk}")
            except OSError:
                continue
            if there:
                return f"/dev/{disk}"


def use(address, nqn, host, identity, directory):
    os.makedirs(directory, exist_ok=True)
    run("mkfs.ext4", "-q", connect(address, nqn, host, identity))
    run("nvme", "disconnect", f"--nqn={nqn}")
    begun = time.monotonic()
    device = connect(address, nqn, host, identity)
    connected = time.monotonic() - begun
    run("mount", "-t", "ext4", device, directory)
    seconds = time.monotonic() - begun
    begun = time.monotonic()
    run("umount", directory)
    run("nvme", "disconnect", f"--nqn={nqn}")
    return {"seconds": seconds, "connected": connected, "undone": time.monotonic() - begun}


def remove(group, name, nqn):
    subsystem = f"{TARGET}/subsystems/{nqn}"
    os.unlink(f"{PORT}/subsystems/{nqn}")
    put(f"{subsystem}/namespaces/1/enable", "0")
    os.rmdir(f"{subsystem}/namespaces/1")
    for host in os.listdir(f"{subsystem}/allowed_hosts"):
        os.unlink(f"{subsystem}/allowed_hosts/{host}")
    os.rmdir(subsystem)
    run("lvremove", "--yes", "-qq", f"{group}/{name}")
    return {}


print(json.dumps({"make": make, "grant": grant, "use": use, "remove": remove}[sys.argv[1]](*sys.argv[2:])))
