"""LiteLLM's SDK: one call for every vendor, each by its vendor's door."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# It would look for its table of prices on the network first.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
import openai
from driver import DEGREES, SYSTEM, TOOL, base_of, key_of, main, prompt_of
from pydantic import BaseModel

litellm.suppress_debug_info = True
litellm.telemetry = False
TOOLS = [
    {
        "type": "function",
        "function": {"name": TOOL["name"], "description": TOOL["description"], "parameters": TOOL["schema"]},
    }
]


def known(name):
    """What it assumes of a model depends on its name; of an alias it must be told."""
    can = {"supports_system_messages": True, "supports_response_schema": True, "supports_function_calling": True}
    return {"litellm_provider": name.split("/")[0], "mode": "chat", "max_tokens": 4096, **can}


class Forecast(BaseModel):
    city: str
    celsius: float


def way(case):
    """The vendor's prefix, and the address that it takes for that vendor."""
    key = {"api_key": key_of(case), "num_retries": 0, "timeout": 60}
    match case["door"]:
        case "chat":
            return {"model": f"openai/{case['model']}", "api_base": f"{base_of(case)}/v1", **key}
        case "messages":
            return {"model": f"anthropic/{case['model']}", "api_base": base_of(case), "max_tokens": 4096, **key}
        case "gemini":
            litellm.register_model({f"gemini/{case['model']}": known(f"gemini/{case['model']}")})
            return {"model": f"gemini/{case['model']}", "api_base": f"{base_of(case)}/v1beta", **key}


def said(case):
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt_of(case)}]


def seen(answer):
    choice = answer.choices[0]
    calls = choice.message.tool_calls or []
    usage = getattr(answer, "usage", None)
    return {
        "text": choice.message.content,
        "calls": [[call.function.name, json.loads(call.function.arguments)] for call in calls],
        "thought": getattr(choice.message, "reasoning_content", None),
        "finish": choice.finish_reason,
        "usage": usage and [usage.prompt_tokens, usage.completion_tokens],
    }


def plain(case):
    return seen(litellm.completion(messages=said(case), **way(case)))


def whole(case, **more):
    if not case.get("stream"):
        return litellm.completion(**more, **way(case))
    chunks = list(litellm.completion(stream=True, **more, **way(case)))
    return litellm.stream_chunk_builder(chunks)


def stream(case):
    chunks = list(
        litellm.completion(messages=said(case), stream=True, stream_options={"include_usage": True}, **way(case))
    )
    pieces = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    return {"pieces": len(pieces), **seen(litellm.stream_chunk_builder(chunks))}


def tools(case):
    conversation = said(case)
    first = whole(case, messages=conversation, tools=TOOLS)
    message = first.choices[0].message
    conversation.append(message.model_dump(exclude_none=True))
    for call in message.tool_calls or []:
        result = DEGREES[json.loads(call.function.arguments)["city"]]
        conversation.append(
            {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": result}
        )
    second = litellm.completion(messages=conversation, tools=TOOLS, **way(case))
    return {**seen(second), "calls": seen(first)["calls"], "first_finish": seen(first)["finish"]}


def schema(case):
    answer = litellm.completion(messages=said(case), response_format=Forecast, **way(case))
    return {**seen(answer), "parsed": Forecast.model_validate_json(answer.choices[0].message.content).model_dump()}


def embed(case):
    answer = litellm.embedding(input=["one", "two words"], **way(case))
    return {"count": len(answer.data), "dimensions": len(answer.data[0]["embedding"])}


THINGS = {thing.__name__: thing for thing in [plain, stream, tools, schema, embed]}

if __name__ == "__main__":
    main(THINGS, openai.OpenAIError)
