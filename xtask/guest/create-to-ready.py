"""Makes a volume by hand and through the API, by turns: create-to-ready.py KUBECONFIG GROUP PAIRS

By hand: lvcreate, BLKZEROOUT, and the writes to configfs of an export to one host on a port that nothing else uses. Through the
API: from the request that creates the Volume until a watch shows it Ready with its target. Prints one object of lists of
seconds. What is made is removed again between the turns, which is not measured.
"""
import base64
import fcntl
import http.client
import json
import os
import re
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import uuid

KUBECONFIG, GROUP, PAIRS = sys.argv[1], sys.argv[2], int(sys.argv[3])
BYTES = 64 << 20
BLKZEROOUT = 0x127F
TARGET = "/sys/kernel/config/nvmet"
VOLUMES = "/apis/weir.dev/v1alpha1/volumes"


def connection():
    text = open(KUBECONFIG).read()
    field = lambda name: re.search(name + r":\s*\"?([^\"\s]+)", text).group(1)
    files = []
    for name in ["certificate-authority-data", "client-certificate-data", "client-key-data"]:
        file = tempfile.NamedTemporaryFile(delete=False)
        file.write(base64.b64decode(field(name)))
        file.close()
        files.append(file.name)
    context = ssl.create_default_context(cafile=files[0])
    # Newer Pythons want extensions that no client of Kubernetes asks for.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    context.load_cert_chain(files[1], files[2])
    address = re.match(r"https://(.*):(\d+)", field("server"))
    return http.client.HTTPSConnection(address.group(1), int(address.group(2)), context=context)


def ask(line, method, path, body=None):
    line.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
    answer = line.getresponse()
    text = answer.read()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {text}")
    return json.loads(text)


def put(path, text):
    with open(path, "w") as file:
        file.write(text)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def timed(*command):
    begun = time.monotonic()
    run(*command)
    return time.monotonic() - begun


def by_hand(port, seen):
    identity = str(uuid.uuid4())
    name, nqn = "hand", f"nqn.2026-11.org.example:{identity}"
    host = f"{TARGET}/hosts/nqn.2026-11.org.example:host:by-hand"
    subsystem = f"{TARGET}/subsystems/{nqn}"
    begun = time.monotonic()
    seen["lvcreate"].append(timed("lvcreate", "--yes", "-qq", "--wipesignatures", "n", "--zero", "n", "--size", f"{BYTES}b", "--name", name, GROUP))
    device = os.open(f"/dev/{GROUP}/{name}", os.O_RDWR)
    fcntl.ioctl(device, BLKZEROOUT, struct.pack("QQ", 0, BYTES))
    os.fsync(device)
    os.close(device)
    os.mkdir(subsystem)
    put(f"{subsystem}/attr_allow_any_host", "0")
    put(f"{subsystem}/attr_serial", identity.replace("-", "")[:20])
    put(f"{subsystem}/attr_model", "by hand")
    os.mkdir(host)
    os.symlink(host, f"{subsystem}/allowed_hosts/{os.path.basename(host)}")
    namespace = f"{subsystem}/namespaces/1"
    os.mkdir(namespace)
    put(f"{namespace}/device_path", f"/dev/{GROUP}/{name}")
    put(f"{namespace}/device_uuid", identity)
    put(f"{namespace}/device_nguid", identity)
    put(f"{namespace}/enable", "1")
    os.symlink(subsystem, f"{port}/subsystems/{nqn}")
    seen["hand"].append(time.monotonic() - begun)
    os.unlink(f"{port}/subsystems/{nqn}")
    put(f"{namespace}/enable", "0")
    os.rmdir(namespace)
    os.unlink(f"{subsystem}/allowed_hosts/{os.path.basename(host)}")
    os.rmdir(subsystem)
    os.rmdir(host)
    seen["report"].append(timed("lvs", "--reportformat", "json", "-o", "lv_all", GROUP))
    run("lvremove", "--yes", "-qq", f"{GROUP}/{name}")


def through_api(line, number, seen):
    name = f"bench-{number}"
    volume = {
        "apiVersion": "weir.dev/v1alpha1", "kind": "Volume", "metadata": {"name": name},
        "spec": {"id": str(uuid.uuid4()), "capacityBytes": BYTES, "attachments": [{"nodeName": "app-1", "generation": 1}]},
    }
    watching = connection()
    selector = f"fieldSelector=metadata.name%3D{name}"
    version = ask(line, "GET", f"{VOLUMES}?limit=1")["metadata"]["resourceVersion"]
    watching.request("GET", f"{VOLUMES}?watch=true&resourceVersion={version}&{selector}")
    events = watching.getresponse()
    begun = time.monotonic()
    ask(line, "POST", VOLUMES, volume)
    times = {}
    while True:
        event = json.loads(events.readline())
        now = time.monotonic() - begun
        spec, status = event["object"].get("spec", {}), event["object"].get("status", {})
        if "poolName" in spec:
            times.setdefault("bound", now)
        if "phase" in status:
            times.setdefault(status["phase"], now)
        if status.get("phase") == "Ready" and "target" in status:
            break
    seen["ready"].append(now)
    seen["bound"].append(times["bound"])
    seen["steps"].append(times)
    ask(line, "DELETE", f"{VOLUMES}/{name}")
    while event["type"] != "DELETED":
        event = json.loads(events.readline())
    watching.close()
    return name


def main():
    seen = {key: [] for key in ["ready", "hand", "bound", "steps", "report", "lvcreate"]}
    line = connection()
    # The first one is not counted: everything is loaded then.
    through_api(line, 0, {key: [] for key in seen})
    # Of its own: the agent's comes and goes with its exports.
    port = f"{TARGET}/ports/1"
    os.mkdir(port)
    put(f"{port}/addr_trtype", "tcp")
    put(f"{port}/addr_adrfam", "ipv4")
    put(f"{port}/addr_traddr", "127.0.0.1")
    put(f"{port}/addr_trsvcid", "4421")
    for number in range(1, PAIRS + 1):
        by_hand(port, seen)
        through_api(line, number, seen)
    print(json.dumps(seen))


main()
