"""Google's official SDK: generateContent, its stream, countTokens, embedContent, the list of models."""

import functools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from driver import DEGREES, SYSTEM, TOOL, base_of, key_of, main, prompt_of
from google import genai
from google.genai import errors, types
from pydantic import BaseModel


class Forecast(BaseModel):
    city: str
    celsius: float


DECLARED = types.FunctionDeclaration(
    name=TOOL["name"], description=TOOL["description"], parameters_json_schema=TOOL["schema"]
)


@functools.cache
def client_of(base, key):
    """Kept, since a client that nobody holds closes itself."""
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base, timeout=60_000))


def client(case):
    return client_of(base_of(case), key_of(case))


def config(**more):
    return types.GenerateContentConfig(system_instruction=SYSTEM, max_output_tokens=64, **more)


def turn(text):
    return types.Content(role="user", parts=[types.Part(text=text)])


def seen(answer):
    candidate = answer.candidates[0]
    parts = candidate.content.parts or []
    usage = answer.usage_metadata
    calls = [part.function_call for part in parts if part.function_call]
    return {
        "text": "".join(part.text for part in parts if part.text and not part.thought) or None,
        "calls": [[call.name, call.args] for call in calls],
        "thought": "".join(part.text for part in parts if part.text and part.thought) or None,
        "finish": candidate.finish_reason and candidate.finish_reason.value,
        "usage": usage and [usage.prompt_token_count, usage.candidates_token_count],
        "cached": usage and usage.cached_content_token_count,
        "model": answer.model_version,
    }


def plain(case):
    models = client(case).models
    return seen(models.generate_content(model=case["model"], contents=prompt_of(case), config=config()))


def stream(case):
    models = client(case).models
    chunks = list(models.generate_content_stream(model=case["model"], contents=prompt_of(case), config=config()))
    all_seen = [seen(chunk) for chunk in chunks if chunk.candidates]
    texts = [one["text"] for one in all_seen if one["text"]]
    return {"pieces": len(texts), **all_seen[-1], "text": "".join(texts)}


def answered(case, said, settings):
    """The model's turn: whole, or the parts of a stream one after the other."""
    models = client(case).models
    if not case.get("stream"):
        return models.generate_content(model=case["model"], contents=said, config=settings).candidates[0].content
    chunks = list(models.generate_content_stream(model=case["model"], contents=said, config=settings))
    parts = [part for chunk in chunks if chunk.candidates for part in chunk.candidates[0].content.parts or []]
    return types.Content(role="model", parts=parts)


def tools(case):
    off = types.AutomaticFunctionCallingConfig(disable=True)
    settings = config(tools=[types.Tool(function_declarations=[DECLARED])], automatic_function_calling=off)
    said = [turn(prompt_of(case))]
    content = answered(case, said, settings)
    calls = [part.function_call for part in content.parts if part.function_call]
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": DEGREES[call.args["city"]]}))
        for call in calls
    ]
    said += [content, types.Content(role="user", parts=results)]
    second = client(case).models.generate_content(model=case["model"], contents=said, config=settings)
    return {**seen(second), "calls": [[call.name, call.args] for call in calls]}


def schema(case):
    settings = config(response_mime_type="application/json", response_schema=Forecast)
    answer = client(case).models.generate_content(model=case["model"], contents=prompt_of(case), config=settings)
    return {**seen(answer), "parsed": answer.parsed.model_dump()}


def thought(case):
    settings = config(thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2048))
    said = [turn(prompt_of(case))]
    first = answered(case, said, settings)
    said += [first, turn("And now?")]
    second = client(case).models.generate_content(model=case["model"], contents=said, config=settings)
    thoughts = [part.text for part in first.parts if part.thought]
    return {**seen(second), "thought": "".join(thoughts) or None}


def count(case):
    return {"count": client(case).models.count_tokens(model=case["model"], contents=prompt_of(case)).total_tokens}


def embed(case):
    answer = client(case).models.embed_content(model=case["model"], contents=["one", "two words"])
    return {"count": len(answer.embeddings), "dimensions": len(answer.embeddings[0].values)}


def models(case):
    return {"ids": [model.name for model in client(case).models.list()]}


THINGS = {thing.__name__: thing for thing in [plain, stream, tools, schema, thought, count, embed, models]}

if __name__ == "__main__":
    main(THINGS, errors.APIError)
