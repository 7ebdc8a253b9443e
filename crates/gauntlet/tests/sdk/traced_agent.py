"""An agent that is traced by other people's instrumentation, and asks its model through the gateway.

Run as `traced_agent.py INSTRUMENTOR PROTOCOL` with BASE_URL, API_KEY and MODEL in the environment, and OpenTelemetry's own
OTEL_* variables, which alone say where spans go. INSTRUMENTOR is openinference (LangChain's parts and the OpenAI SDK),
openllmetry or semconv; PROTOCOL is http or grpc. Prints one JSON line: the trace's id and what was answered.
Settings: USER and SESSION. It judges nothing: the test that runs it does.
"""

import json
import os
import sys

import openai
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

INSTRUMENTOR, PROTOCOL = sys.argv[1:3]
QUESTION = "Where is order 81?"
DOCUMENTS = [("returns-1", 0.92, "Parcels take five days."), ("returns-2", 0.41, "Ask support.")]
USER = os.environ.get("USER_ID", "ann")
SESSION = os.environ.get("SESSION_ID", "s-81")

if PROTOCOL == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider(resource=Resource.create())
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop.agent", "1.0")


def propagated(request):
    """The SDK's own client is not among those that are instrumented, so it is told here whose child its call is."""
    headers = {}
    propagate.inject(headers)
    request.headers.update(headers)


def ask(text):
    client = openai.OpenAI(
        base_url=os.environ["BASE_URL"],
        api_key=os.environ["API_KEY"],
        max_retries=0,
        http_client=openai.DefaultHttpxClient(event_hooks={"request": [propagated]}),
    )
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    answer = client.chat.completions.create(model=os.environ["MODEL"], messages=messages)
    return answer.choices[0].message.content


def openinference():
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tools import tool
    from openinference.instrumentation import using_attributes
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    LangChainInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)

    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return [Document(page_content=text, id=name, metadata={"score": score}) for name, score, text in DOCUMENTS]

    @tool
    def find_order(number: int) -> str:
        """Looks an order up."""
        return f"order {number} was sent"

    def run(question):
        Shelf().invoke(question)
        answer = ask(question)
        find_order.invoke({"number": 81})
        return answer

    with using_attributes(session_id=SESSION, user_id=USER, tags=["shop"]):
        return RunnableLambda(run, name="support_agent").invoke(QUESTION)


def by_hand(names):
    """Steps that nobody instruments, in the words of a convention."""
    with tracer.start_as_current_span("support_agent", attributes=names["agent"]):
        with tracer.start_as_current_span("shelf", attributes=names["retrieval"]):
            pass
        answer = ask(QUESTION)
        with tracer.start_as_current_span("find_order", attributes=names["tool"]):
            pass
        return answer


def openllmetry():
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)
    who = {
        "traceloop.association.properties.user_id": USER,
        "traceloop.association.properties.session_id": SESSION,
    }
    return by_hand(
        {
            "agent": {"traceloop.span.kind": "agent", "traceloop.entity.name": "support_agent", **who},
            "retrieval": {"traceloop.span.kind": "task", "traceloop.entity.input": json.dumps({"q": QUESTION}), **who},
            "tool": {
                "traceloop.span.kind": "tool",
                "traceloop.entity.name": "find_order",
                "traceloop.entity.input": json.dumps({"number": 81}),
                "traceloop.entity.output": "order 81 was sent",
                **who,
            },
        }
    )


def semconv():
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)
    who = {"user.id": USER, "gen_ai.conversation.id": SESSION}
    documents = [{"id": name, "score": score} for name, score, _ in DOCUMENTS]
    return by_hand(
        {
            "agent": {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support_agent", **who},
            "retrieval": {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.retrieval.query.text": QUESTION,
                "gen_ai.retrieval.documents": json.dumps(documents),
                **who,
            },
            "tool": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "find_order",
                "gen_ai.tool.call.arguments": json.dumps({"number": 81}),
                "gen_ai.tool.call.result": "order 81 was sent",
                **who,
            },
        }
    )


with tracer.start_as_current_span("request") as root:
    answer = {"openinference": openinference, "openllmetry": openllmetry, "semconv": semconv}[INSTRUMENTOR]()
provider.shutdown()
print(json.dumps({"trace_id": f"{root.get_span_context().trace_id:032x}", "answer": answer}))
