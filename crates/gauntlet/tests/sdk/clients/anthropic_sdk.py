"""The official Anthropic SDK: Messages, its count of tokens, the list of models."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import anthropic
from driver import DEGREES, SYSTEM, TOOL, base_of, key_of, main, prompt_of
from pydantic import BaseModel

TOOLS = [{"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["schema"]}]


class Forecast(BaseModel):
    city: str
    celsius: float


def client(case):
    return anthropic.Anthropic(base_url=base_of(case), api_key=key_of(case), max_retries=0, timeout=60)


def asked(case, messages=None, **more):
    said = messages or [{"role": "user", "content": prompt_of(case)}]
    return {"model": case["model"], "system": SYSTEM, "max_tokens": 4096, "messages": said, **more}


def seen(message):
    blocks = message.content
    return {
        "text": "".join(block.text for block in blocks if block.type == "text") or None,
        "calls": [[block.name, block.input] for block in blocks if block.type == "tool_use"],
        "thought": "".join(block.thinking for block in blocks if block.type == "thinking") or None,
        "finish": message.stop_reason,
        "usage": [message.usage.input_tokens, message.usage.output_tokens],
        "cached": message.usage.cache_read_input_tokens,
        "model": message.model,
    }


def create(case, **more):
    """As asked for: whole, or put together by the SDK from a stream."""
    if not case.get("stream"):
        return client(case).messages.create(**asked(case, **more))
    with client(case).messages.stream(**asked(case, **more)) as stream:
        for _ in stream:
            pass
        return stream.get_final_message()


def plain(case):
    return seen(create(case))


def stream(case):
    with client(case).messages.stream(**asked(case)) as stream:
        pieces = [text for text in stream.text_stream]
        return {"pieces": len(pieces), **seen(stream.get_final_message())}


def tools(case):
    said = [{"role": "user", "content": prompt_of(case)}]
    first = create(case, messages=said, tools=TOOLS)
    said.append({"role": "assistant", "content": first.content})
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": DEGREES[block.input["city"]]}
        for block in first.content
        if block.type == "tool_use"
    ]
    said.append({"role": "user", "content": results})
    second = create(case, messages=said, tools=TOOLS)
    return {**seen(second), "calls": seen(first)["calls"], "first_finish": first.stop_reason}


def schema(case):
    message = client(case).messages.parse(**asked(case, output_format=Forecast))
    return {**seen(message), "parsed": message.parsed_output.model_dump()}


def thought(case):
    thinking = {"type": "enabled", "budget_tokens": 2048}
    said = [{"role": "user", "content": prompt_of(case)}]
    first = create(case, messages=said, thinking=thinking)
    said += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "And now?"}]
    second = create(case, messages=said, thinking=thinking)
    return {**seen(second), "thought": seen(first)["thought"]}


def count(case):
    said = [{"role": "user", "content": prompt_of(case)}]
    counted = client(case).messages.count_tokens(model=case["model"], system=SYSTEM, messages=said)
    return {"count": counted.input_tokens}


def models(case):
    return {"ids": [model.id for model in client(case).models.list()]}


THINGS = {thing.__name__: thing for thing in [plain, stream, tools, schema, thought, count, models]}

if __name__ == "__main__":
    main(THINGS, anthropic.AnthropicError)
