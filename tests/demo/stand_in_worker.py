"""A stand-in for ``streamproc worker``: the same topics and metrics page, none of its machinery.

It lets the demonstration's own parts be tested apart from the worker: the two conditions are
written out by hand here, independently of the rule files and the language.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

from confluent_kafka import Consumer, Producer

RULES = {
    "f81ee52c-297e-46d9-9205-07e66931df26": (
        "Microsoft Exchange Worker Spawning Suspicious Processes",
        "high",
    ),
    "483c4daf-b0c6-49e0-adf3-0bfa93231d6b": (
        "Microsoft Exchange Server UM Spawning Suspicious Processes",
        "medium",
    ),
}
COUNTS: Counter[str] = Counter()


def rules_that_match(event: dict) -> list[str]:
    """Ids of the rules whose conditions, read off their documents, hold."""
    process = event["process"]
    parent = process["parent"]
    if event["event"]["type"] != ["start"]:
        return []
    name = process["name"].lower()
    original = process.get("pe", {}).get("original_file_name", "")
    found = []
    if (
        event["host"]["os"]["type"] == "windows"
        and parent["name"].lower() == "w3wp.exe"
        and any(
            part.startswith("MSExchange") and part.endswith("AppPool") for part in parent["args"]
        )
        and (
            name in {"cmd.exe", "powershell.exe", "pwsh.exe", "powershell_ise.exe"}
            or original in {"Cmd.Exe", "PowerShell.EXE", "pwsh.dll", "powershell_ise.EXE"}
        )
    ):
        found.append("f81ee52c-297e-46d9-9205-07e66931df26")
    path = process["executable"].lower()
    if parent["name"].lower() in {"umservice.exe", "umworkerprocess.exe"} and not (
        path.endswith(("\\windows\\system32\\werfault.exe", "\\windows\\system32\\wermgr.exe"))
        or path.endswith("\\exchange server\\v15\\bin\\umworkerprocess.exe")
    ):
        found.append("483c4daf-b0c6-49e0-adf3-0bfa93231d6b")
    return found


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        lines = [
            f'streamproc_records_consumed_total{{topic="e",partition="0"}} {COUNTS["consumed"]}',
            f'streamproc_record_bytes_consumed_total{{topic="e"}} {COUNTS["bytes"]}',
            *(
                f'streamproc_events_processed_total{{outcome="{outcome}"}} {COUNTS[outcome]}'
                for outcome in ("filtered", "unmatched", "matched")
            ),
        ]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(("\n".join(lines) + "\n").encode())

    def log_message(self, *_: object) -> None:
        return


def main() -> None:
    """Read events for ever."""
    time.sleep(float(os.environ.get("STAND_IN_DELAY_S", "0")))
    port = int(os.environ["STREAMPROC_METRICS_PORT"])
    threading.Thread(target=HTTPServer(("127.0.0.1", port), Page).serve_forever).start()
    brokers = os.environ["STREAMPROC_BOOTSTRAP_SERVERS"]
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 1})
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "stand-in",
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 2,
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.subscribe(["streamproc.events"])
    while True:
        for message in consumer.consume(500, 0.02):
            value = message.value()
            if b"w3wp.exe" in value or b"umservice" in value.lower() or b"UMWorker" in value:
                event = json.loads(value)
                matches = rules_that_match(event)
                COUNTS["matched" if matches else "unmatched"] += 1
                for rule_id in matches:
                    publish(producer, event, rule_id)
            else:
                COUNTS["filtered"] += 1
            COUNTS["consumed"] += 1
            COUNTS["bytes"] += len(value)
        producer.poll(0)


def publish(producer: Producer, event: dict, rule_id: str) -> None:
    """One alert and three context requests."""
    name, severity = RULES[rule_id]
    alert_id = f"{rule_id}:{event['event']['id']}"
    alert = {
        "kibana.alert.uuid": alert_id,
        "kibana.alert.original_event.id": event["event"]["id"],
        "kibana.alert.rule.rule_id": rule_id,
        "kibana.alert.rule.name": name,
        "kibana.alert.severity": severity,
        "kibana.alert.original_time": event["@timestamp"],
        "host": event["host"],
        "process": event["process"],
    }
    producer.produce("streamproc.alerts", value=json.dumps(alert))
    status = "resolved" if "entity_id" in event["process"] else "partial"
    for number in range(3):
        request = {"id": f"{alert_id}:{number}", "alert_id": alert_id, "status": status}
        producer.produce("streamproc.context-requests", value=json.dumps(request))


if __name__ == "__main__":
    main()
