"""Speaks to an OpenAI-compatible server through the official Python SDK, and says what was seen.

Run as `conversation.py CASE...` with BASE_URL, API_KEY and MODEL in the environment. Prints one JSON line a case:
{"case": ..., "ok": true, ...what was seen} or {"case": ..., "ok": false, "error": {...}} when the SDK raised one of its
own exceptions. It judges nothing: the test that runs it does. Anything else that goes wrong ends it with a traceback.

Settings: PROMPT (user message), MAX_TOKENS, EXTRA_HEADERS and EXTRA_BODY (JSON objects added to every call).
conversation.mjs says the same through the Node SDK; the two print the same fields.
"""

import asyncio
import json
import os
import sys
import time

import openai
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
PROMPT = os.environ.get("PROMPT", "What is the weather in Paris?")
MAX_TOKENS = int(os.environ.get("MAX_TOKENS", "64"))
# No retries: a test wants to see the first answer, not what comes of the third.
SETTINGS = {
    "base_url": os.environ["BASE_URL"],
    "api_key": os.environ["API_KEY"],
    "max_retries": 0,
    "timeout": 120.0,
    "default_headers": json.loads(os.environ.get("EXTRA_HEADERS", "{}")),
}
EXTRA_BODY = json.loads(os.environ.get("EXTRA_BODY", "{}"))
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": PROMPT},
]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}

client = openai.OpenAI(**SETTINGS)


class Forecast(BaseModel):
    city: str
    celsius: float


def ask(**more):
    """The arguments of a call that every case shares."""
    return {
        "model": MODEL,
        "messages": MESSAGES,
        "max_tokens": MAX_TOKENS,
        "extra_body": EXTRA_BODY or None,
        **more,
    }


def usage_of(usage):
    return None if usage is None else usage.model_dump(exclude_none=True)


def tools_of(message):
    return [
        {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
        for call in message.tool_calls or []
    ]


def gauntlet_headers(headers):
    return {
        name.lower(): value
        for name, value in headers.items()
        if name.lower().startswith("x-gauntlet-") or name.lower() in ("server-timing", "retry-after")
    }


def completion_of(completion):
    choice = completion.choices[0]
    return {
        "id": completion.id,
        "model": completion.model,
        "text": choice.message.content,
        "refusal": choice.message.refusal,
        "finish": choice.finish_reason,
        "tool_calls": tools_of(choice.message),
        "usage": usage_of(completion.usage),
    }


def chat():
    return completion_of(client.chat.completions.create(**ask()))


def chat_async():
    async def speak():
        async with openai.AsyncOpenAI(**SETTINGS) as other:
            return await other.chat.completions.create(**ask())

    return completion_of(asyncio.run(speak()))


def read_stream(**more):
    """Reads a stream chunk by chunk. An error on the way is kept beside what came before it."""
    started = time.monotonic()
    seen = {"text": "", "refusal": "", "finish": None, "usage": None, "chunks": 0, "first_ms": None, "model": None}
    try:
        for chunk in client.chat.completions.create(**ask(stream=True, **more)):
            seen["chunks"] += 1
            seen["model"] = chunk.model or seen["model"]
            seen["usage"] = usage_of(chunk.usage) or seen["usage"]
            for choice in chunk.choices:
                seen["text"] += choice.delta.content or ""
                seen["refusal"] += choice.delta.refusal or ""
                seen["finish"] = choice.finish_reason or seen["finish"]
                if choice.delta.content and seen["first_ms"] is None:
                    seen["first_ms"] = round((time.monotonic() - started) * 1000, 3)
    except openai.OpenAIError as error:
        return {**seen, "ok": False, "error": error_of(error)}
    return seen


def chat_stream():
    return read_stream()


def chat_stream_usage():
    return read_stream(stream_options={"include_usage": True})


def stream_leave():
    """Leaves a stream after its first piece of text, as a user who closes the page."""
    with client.chat.completions.create(**ask(stream=True)) as stream:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                return {"text": chunk.choices[0].delta.content}
    return {"text": None}


def tools():
    choice = {"type": "function", "function": {"name": "get_weather"}}
    return completion_of(client.chat.completions.create(**ask(tools=[WEATHER], tool_choice=choice)))


def tools_stream():
    """The SDK's own helper puts the pieces of the tool calls together."""
    choice = {"type": "function", "function": {"name": "get_weather"}}
    events = 0
    with client.chat.completions.stream(**ask(tools=[WEATHER], tool_choice=choice)) as stream:
        for _ in stream:
            events += 1
        return {"events": events, **completion_of(stream.get_final_completion())}


def tools_round():
    """A whole round: the model asks for a tool, gets its result, and answers."""
    first = client.chat.completions.create(**ask(tools=[WEATHER]))
    message = first.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"celsius": 21})}
        for call in message.tool_calls or []
    ]
    messages = [*MESSAGES, message.model_dump(exclude_none=True), *results]
    return completion_of(client.chat.completions.create(**ask(messages=messages, tools=[WEATHER])))


def parse():
    completion = client.chat.completions.parse(**ask(response_format=Forecast))
    parsed = completion.choices[0].message.parsed
    return {**completion_of(completion), "parsed": None if parsed is None else parsed.model_dump()}


def parse_stream():
    with client.chat.completions.stream(**ask(response_format=Forecast)) as stream:
        for _ in stream:
            pass
        completion = stream.get_final_completion()
    parsed = completion.choices[0].message.parsed
    return {**completion_of(completion), "parsed": None if parsed is None else parsed.model_dump()}


def embed(**more):
    answer = client.embeddings.create(model=MODEL, input=["one", "two words"], extra_body=EXTRA_BODY or None, **more)
    return {
        "model": answer.model,
        "count": len(answer.data),
        "dimensions": len(answer.data[0].embedding),
        "first": answer.data[0].embedding[:4],
        "usage": usage_of(answer.usage),
    }


def embeddings():
    return embed()


def embeddings_float():
    return embed(encoding_format="float")


def models():
    return {"ids": [model.id for model in client.models.list()]}


def unknown_fields():
    """Fields that the SDK does not know, both ways."""
    extra = {**EXTRA_BODY, "x_unknown": {"deep": [1, 2.50, "ü"]}, "top_k": 5}
    completion = client.chat.completions.create(**ask(extra_body=extra))
    return {**completion_of(completion), "extra": completion.model_extra}


def headers():
    raw = client.chat.completions.with_raw_response.create(
        **ask(extra_headers={"x-gauntlet-session": "s-1", "x-gauntlet-tags": "sdk,python"})
    )
    return {"status": raw.status_code, "headers": gauntlet_headers(raw.headers), **completion_of(raw.parse())}


def headers_stream():
    raw = client.chat.completions.with_raw_response.create(**ask(stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices)
    return {"status": raw.status_code, "headers": gauntlet_headers(raw.headers), "text": text}


def error_auth():
    other = client.with_options(api_key="wrong-key")
    return completion_of(other.chat.completions.create(**ask()))


def error_unknown_model():
    return completion_of(client.chat.completions.create(**ask(model="no-such-model")))


CASES = {
    case.__name__: case
    for case in [
        chat,
        chat_async,
        chat_stream,
        chat_stream_usage,
        stream_leave,
        tools,
        tools_stream,
        tools_round,
        parse,
        parse_stream,
        embeddings,
        embeddings_float,
        models,
        unknown_fields,
        headers,
        headers_stream,
        error_auth,
        error_unknown_model,
    ]
}


def error_of(error):
    response = getattr(error, "response", None)
    return {
        "class": type(error).__name__,
        "classes": [base.__name__ for base in type(error).__mro__ if issubclass(base, openai.OpenAIError)],
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "type": getattr(error, "type", None),
        "param": getattr(error, "param", None),
        "message": str(error),
        "headers": {} if response is None else gauntlet_headers(response.headers),
    }


def main():
    for name in sys.argv[1:] or os.environ.get("CASE", "chat").split(","):
        try:
            seen = {"ok": True, **CASES[name]()}
        except openai.OpenAIError as error:
            seen = {"ok": False, "error": error_of(error)}
        print(json.dumps({"case": name, **seen}), flush=True)


if __name__ == "__main__":
    main()
