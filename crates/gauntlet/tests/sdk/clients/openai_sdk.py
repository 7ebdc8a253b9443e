"""The official OpenAI SDK: chat completions, Responses, legacy completions, embeddings, the list of models."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import openai
from driver import DEGREES, SYSTEM, TOOL, base_of, key_of, main, prompt_of
from pydantic import BaseModel

FUNCTION = {"name": TOOL["name"], "description": TOOL["description"], "parameters": TOOL["schema"]}


class Forecast(BaseModel):
    city: str
    celsius: float


class ResponseFailed(openai.OpenAIError):
    """This SDK hands the failure of a response on as an event, as any other."""


def client(case):
    return openai.OpenAI(base_url=f"{base_of(case)}/v1", api_key=key_of(case), max_retries=0, timeout=60)


def messages(case):
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt_of(case)}]


def cached_of(details):
    return details and details.cached_tokens


# Chat completions.


def chat_seen(completion):
    choice = completion.choices[0]
    calls = choice.message.tool_calls or []
    return {
        "text": choice.message.content,
        "refusal": choice.message.refusal,
        "calls": [[call.function.name, json.loads(call.function.arguments)] for call in calls],
        "thought": getattr(choice.message, "reasoning_content", None),
        "finish": choice.finish_reason,
        "usage": completion.usage and [completion.usage.prompt_tokens, completion.usage.completion_tokens],
        "cached": cached_of(completion.usage and completion.usage.prompt_tokens_details),
        "model": completion.model,
    }


def chat(case, **asked):
    """As asked for: whole, or put together by the SDK from a stream."""
    completions = client(case).chat.completions
    if not case.get("stream"):
        return completions.create(**asked)
    with completions.stream(**asked) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


def chat_plain(case):
    return chat_seen(client(case).chat.completions.create(model=case["model"], messages=messages(case), max_tokens=64))


def chat_stream(case):
    asked = {"model": case["model"], "messages": messages(case), "stream_options": {"include_usage": True}}
    with client(case).chat.completions.stream(**asked) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        return {"pieces": len(pieces), **chat_seen(stream.get_final_completion())}


def chat_tools(case):
    asked = {"model": case["model"], "tools": [{"type": "function", "function": FUNCTION}]}
    said = messages(case)
    completions = client(case).chat.completions
    first = chat(case, **asked, messages=said)
    said.append(first.choices[0].message.model_dump(exclude_none=True))
    for call in first.choices[0].message.tool_calls or []:
        city = json.loads(call.function.arguments)["city"]
        said.append({"role": "tool", "tool_call_id": call.id, "content": DEGREES[city]})
    second = completions.create(**asked, messages=said)
    return {**chat_seen(second), "calls": chat_seen(first)["calls"], "first_finish": chat_seen(first)["finish"]}


def chat_schema(case):
    asked = {"model": case["model"], "messages": messages(case), "response_format": Forecast}
    completion = client(case).chat.completions.parse(**asked)
    return {**chat_seen(completion), "parsed": completion.choices[0].message.parsed.model_dump()}


def chat_thought(case):
    said = messages(case)
    first = chat(case, model=case["model"], messages=said, reasoning_effort="high")
    said.append(first.choices[0].message.model_dump(exclude_none=True))
    said.append({"role": "user", "content": "And now?"})
    second = chat(case, model=case["model"], messages=said, reasoning_effort="high")
    return {**chat_seen(second), "thought": chat_seen(first)["thought"]}


# Responses.


def response_seen(response):
    summaries = [part.text for item in response.output if item.type == "reasoning" for part in item.summary]
    calls = [item for item in response.output if item.type == "function_call"]
    return {
        "text": response.output_text or None,
        "calls": [[call.name, json.loads(call.arguments)] for call in calls],
        "thought": "".join(summaries) or None,
        "finish": response.status,
        "usage": response.usage and [response.usage.input_tokens, response.usage.output_tokens],
        "cached": cached_of(response.usage and response.usage.input_tokens_details),
        "model": response.model,
    }


def response_asked(case, **more):
    return {"model": case["model"], "instructions": SYSTEM, "store": False, **more}


def respond(case, **more):
    responses = client(case).responses
    if not case.get("stream"):
        return responses.create(**response_asked(case, **more))
    with responses.stream(**response_asked(case, **more)) as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


def responses_plain(case):
    return response_seen(client(case).responses.create(**response_asked(case, input=prompt_of(case))))


def responses_stream(case):
    with client(case).responses.stream(**response_asked(case, input=prompt_of(case))) as stream:
        kinds = []
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.failed":
                raise ResponseFailed(event.response.error.message)
        response = stream.get_final_response()
    return {"pieces": kinds.count("response.output_text.delta"), **response_seen(response)}


def responses_tools(case):
    tool = {"type": "function", "strict": True, **FUNCTION}
    said = [{"role": "user", "content": prompt_of(case)}]
    first = respond(case, input=said, tools=[tool])
    said += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    for item in first.output:
        if item.type == "function_call":
            result = DEGREES[json.loads(item.arguments)["city"]]
            said.append({"type": "function_call_output", "call_id": item.call_id, "output": result})
    second = respond(case, input=said, tools=[tool])
    return {**response_seen(second), "calls": response_seen(first)["calls"]}


def responses_schema(case):
    response = client(case).responses.parse(**response_asked(case, input=prompt_of(case), text_format=Forecast))
    return {**response_seen(response), "parsed": response.output_parsed.model_dump()}


def responses_thought(case):
    more = {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    said = [{"role": "user", "content": prompt_of(case)}]
    first = respond(case, input=said, **more)
    said += [item.model_dump(exclude_none=True) for item in first.output]
    said.append({"role": "user", "content": "And now?"})
    second = respond(case, input=said, **more)
    return {**response_seen(second), "thought": response_seen(first)["thought"]}


# The rest.


def completions_plain(case):
    completion = client(case).completions.create(model=case["model"], prompt=prompt_of(case), max_tokens=64)
    return {"text": completion.choices[0].text, "finish": completion.choices[0].finish_reason}


def completions_stream(case):
    chunks = client(case).completions.create(model=case["model"], prompt=prompt_of(case), max_tokens=64, stream=True)
    texts = [chunk.choices[0].text for chunk in chunks if chunk.choices]
    return {"text": "".join(texts), "pieces": len([text for text in texts if text])}


def embed(case):
    answer = client(case).embeddings.create(model=case["model"], input=["one", "two words"])
    return {"count": len(answer.data), "dimensions": len(answer.data[0].embedding)}


def models(case):
    return {"ids": [model.id for model in client(case).models.list()]}


THINGS = {
    thing.__name__: thing
    for thing in [
        chat_plain, chat_stream, chat_tools, chat_schema, chat_thought,
        responses_plain, responses_stream, responses_tools, responses_schema, responses_thought,
        completions_plain, completions_stream, embed, models,
    ]
}

if __name__ == "__main__":
    main(THINGS, openai.OpenAIError)
