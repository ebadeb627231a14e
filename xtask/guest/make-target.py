#!/usr/bin/python3
"""Writes nvmetcli's JSON for as many subsystems as asked: one namespace, host and link each."""
import json
import sys
import uuid

HOST = "nqn.2026-11.com.example:host"
subsystems = []
for number in range(int(sys.argv[1])):
    identity = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
    device = {"path": "/dev/ram0", "uuid": identity, "nguid": identity}
    subsystems.append({
        "nqn": "nqn.2026-11.com.example:" + identity,
        "allowed_hosts": [HOST],
        "attr": {"allow_any_host": "0", "serial": identity.replace("-", "")[:20], "model": "Weir"},
        "namespaces": [{"nsid": 1, "enable": 1, "ana_grpid": 1, "device": device}],
    })
port = {
    "portid": 1,
    "addr": {"trtype": "tcp", "adrfam": "ipv4", "traddr": "127.0.0.1", "trsvcid": "4420"},
    "ana_groups": [],
    "referrals": [],
    "subsystems": [subsystem["nqn"] for subsystem in subsystems],
}
json.dump({"hosts": [{"nqn": HOST}], "subsystems": subsystems, "ports": [port]}, sys.stdout)
