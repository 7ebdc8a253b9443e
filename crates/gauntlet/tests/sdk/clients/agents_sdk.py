"""The OpenAI Agents SDK: an agent that calls its tools by itself, by Responses or by chat completions."""

import asyncio
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import openai
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from driver import DEGREES, SYSTEM, base_of, key_of, main, prompt_of
from pydantic import BaseModel

# Its traces would go to OpenAI.
set_tracing_disabled(True)


class Forecast(BaseModel):
    city: str
    celsius: float


CALLED = []


@function_tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    CALLED.append(city)
    return DEGREES[city]


def agent(case, **more):
    client = openai.AsyncOpenAI(base_url=f"{base_of(case)}/v1", api_key=key_of(case), max_retries=0, timeout=60)
    kind = OpenAIResponsesModel if case["door"] == "responses" else OpenAIChatCompletionsModel
    model = kind(model=case["model"], openai_client=client)
    settings = ModelSettings(store=False, include_usage=True) if case["door"] == "responses" else ModelSettings(include_usage=True)
    return Agent(name="forecaster", instructions=SYSTEM, model=model, model_settings=settings, **more)


def seen(result):
    usage = result.context_wrapper.usage
    return {"text": str(result.final_output), "usage": [usage.input_tokens, usage.output_tokens]}


def plain(case):
    return seen(Runner.run_sync(agent(case), prompt_of(case)))


async def streamed(one, prompt):
    result = Runner.run_streamed(one, prompt)
    pieces = 0
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            pieces += 1
    return {"pieces": pieces, **seen(result)}


def stream(case):
    return asyncio.run(streamed(agent(case), prompt_of(case)))


def tools(case):
    CALLED.clear()
    one = agent(case, tools=[get_weather])
    if case.get("stream"):
        told = asyncio.run(streamed(one, prompt_of(case)))
    else:
        told = seen(Runner.run_sync(one, prompt_of(case)))
    return {**told, "calls": [["get_weather", {"city": city}] for city in CALLED]}


def schema(case):
    result = Runner.run_sync(agent(case, output_type=Forecast), prompt_of(case))
    return {**seen(result), "parsed": result.final_output.model_dump()}


THINGS = {thing.__name__: thing for thing in [plain, stream, tools, schema]}

if __name__ == "__main__":
    main(THINGS, openai.OpenAIError)
