"""Reads a request in OTLP/JSON with Google's own library for protobuf, and prints it as protobuf, in hexadecimal.

Run as `otlp_json.py FILE`. Fails on a name or a type that the messages of OTLP do not have. The one rule in which OTLP
differs from protobuf's JSON is undone first: ids are hexadecimal, where the library reads base64.
"""

import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

LENGTHS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}


def undone(value):
    if isinstance(value, list):
        return [undone(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: based(name, item) if name in LENGTHS else undone(item) for name, item in value.items()}


def based(name, text):
    raw = bytes.fromhex(text)
    assert len(raw) == LENGTHS[name], f"{name} has {len(raw)} bytes"
    return base64.b64encode(raw).decode()


def whole(request):
    """What the library takes more leniently than OTLP/JSON has it: 64-bit numbers are texts, enums numbers."""
    for resource in request["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                assert isinstance(span["startTimeUnixNano"], str) and isinstance(span["endTimeUnixNano"], str), span
                assert isinstance(span["kind"], int), span
                assert isinstance(span.get("status", {}).get("code", 0), int), span
                for attribute in span["attributes"]:
                    assert isinstance(attribute["value"].get("intValue", ""), str), attribute


with open(sys.argv[1], encoding="utf-8") as file:
    request = json.load(file)
whole(request)
print(json_format.ParseDict(undone(request), ExportTraceServiceRequest()).SerializeToString().hex())
