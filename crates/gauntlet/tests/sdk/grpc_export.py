"""Calls the gateway's TraceService with bytes of all kinds, through gRPC's own library for Python.

Run with TARGET (host:port) and API_KEY in the environment. Prints one JSON object: what each case was answered, the name
of gRPC's status and its message. It judges nothing: the test that runs it does.
"""

import json
import os

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
KEY = (("authorization", "Bearer " + os.environ["API_KEY"]),)
GZIP = grpc.Compression.Gzip


def request(*ids):
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    for number in ids:
        scope.spans.add(trace_id=b"\x09" * 16, span_id=bytes([number]) * 8, name="step", start_time_unix_nano=number)
    return message.SerializeToString()


def call(body, metadata=KEY, method=EXPORT, timeout=10, compression=None):
    try:
        answer = channel.unary_unary(method)(body, metadata=metadata, timeout=timeout, compression=compression)
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    return ["OK", f"{partial.rejected_spans} {partial.error_message}".strip()]


channel = grpc.insecure_channel(os.environ["TARGET"], options=[("grpc.max_send_message_length", -1)])
seen = {
    "plain": call(request(1)),
    "gzip": call(request(2), compression=GZIP),
    "partial": call(request(3, 0)),
    "empty": call(b""),
    "no key": call(request(4), metadata=()),
    "unknown key": call(request(4), metadata=(("authorization", "Bearer gk_unknown"),)),
    "garbage": call(b"\x0a\xff"),
    "too large": call(b"\x00" * (2 << 20)),
    "bomb": call(b"\x00" * (64 << 20), compression=GZIP),
    "deflate": call(request(4), compression=grpc.Compression.Deflate),
    "other method": call(request(4), method="/other.Service/Method"),
    "after all": call(request(5)),
}
print(json.dumps(seen))
