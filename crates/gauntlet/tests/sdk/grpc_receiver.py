"""A receiver of spans made of gRPC's own library for Python, that answers by script.

Run with PORT and SCRIPT in the environment: a JSON list of answers, each ["OK"], ["PARTIAL", how many], or the name of a
status, with the seconds of a RetryInfo behind it or not. Ends when the last was given, and prints one JSON list: of each
call its metadata, the seconds since the call before, and its spans' names with their attributes.
"""

import json
import os
import threading
import time
from concurrent import futures

import grpc
from google.protobuf import duration_pb2, json_format
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

SCRIPT = json.loads(os.environ["SCRIPT"])
calls = []
done = threading.Event()


def value(any_value):
    return list(json_format.MessageToDict(any_value).values())[0]


def seen(request, context):
    spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    attributes = [{one.key: value(one.value) for one in span.attributes} for span in spans]
    return {
        "metadata": {key: text for key, text in context.invocation_metadata() if isinstance(text, str)},
        "at": time.monotonic(),
        "spans": [[span.name, of] for span, of in zip(spans, attributes)],
    }


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request, context):
        name, *more = SCRIPT[len(calls)]
        calls.append(seen(request, context))
        if len(calls) == len(SCRIPT):
            done.set()
        answer = trace_service_pb2.ExportTraceServiceResponse()
        if name == "OK":
            return answer
        if name == "PARTIAL":
            answer.partial_success.rejected_spans = more[0]
            answer.partial_success.error_message = "too old"
            return answer
        code = grpc.StatusCode[name]
        if more:
            status = status_pb2.Status(code=code.value[0], message="busy")
            delay = duration_pb2.Duration(seconds=more[0])
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, "busy, é 100 %")


server = grpc.server(futures.ThreadPoolExecutor(1))
trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Receiver(), server)
server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
server.start()
done.wait()
server.stop(5).wait()
for before, call in zip([calls[0], *calls], list(calls)):
    call["after"] = call["at"] - before["at"]
print(json.dumps(calls))
