"""LangChain's chat models for the three vendors: each speaks its vendor's door."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import anthropic
import openai
from driver import DEGREES, SYSTEM, TOOL, base_of, key_of, main, prompt_of
from google.genai import errors
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_google_genai.chat_models import ChatGoogleGenerativeAIError
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Forecast(BaseModel):
    """The weather of a city."""

    city: str
    celsius: float


@tool(TOOL["name"], description=TOOL["description"])
def get_weather(city: str) -> str:
    """Weather of a city."""
    return DEGREES[city]


def model(case, **more):
    key = key_of(case)
    match case["door"]:
        case "chat":
            return ChatOpenAI(model=case["model"], base_url=f"{base_of(case)}/v1", api_key=key, max_retries=0, stream_usage=True)
        case "responses":
            url = f"{base_of(case)}/v1"
            return ChatOpenAI(model=case["model"], base_url=url, api_key=key, max_retries=0, use_responses_api=True, store=False)
        case "messages":
            return ChatAnthropic(model=case["model"], base_url=base_of(case), api_key=key, max_retries=0, max_tokens=4096, **more)
        case "gemini":
            return ChatGoogleGenerativeAI(
                model=case["model"], base_url=base_of(case), google_api_key=key, max_retries=1, max_output_tokens=64
            )


def said(case):
    return [SystemMessage(SYSTEM), HumanMessage(prompt_of(case))]


def seen(message):
    usage = message.usage_metadata
    return {
        "text": message.text or None,
        "calls": [[call["name"], call["args"]] for call in message.tool_calls],
        "usage": usage and [usage["input_tokens"], usage["output_tokens"]],
    }


def plain(case):
    return seen(model(case).invoke(said(case)))


def stream(case):
    whole, pieces = None, 0
    for chunk in model(case).stream(said(case)):
        whole = chunk if whole is None else whole + chunk
        pieces += bool(chunk.text)
    return {"pieces": pieces, **seen(whole)}


def answered(case, bound, conversation):
    if not case.get("stream"):
        return bound.invoke(conversation)
    whole = None
    for chunk in bound.stream(conversation):
        whole = chunk if whole is None else whole + chunk
    return whole


def tools(case):
    bound = model(case).bind_tools([get_weather])
    conversation = said(case)
    first = answered(case, bound, conversation)
    conversation.append(first)
    for call in first.tool_calls:
        conversation.append(ToolMessage(DEGREES[call["args"]["city"]], tool_call_id=call["id"]))
    second = bound.invoke(conversation)
    return {**seen(second), "calls": seen(first)["calls"]}


def schema(case):
    parsed = model(case).with_structured_output(Forecast).invoke(said(case))
    return {"parsed": parsed.model_dump()}


def thought(case):
    thinking = model(case, thinking={"type": "enabled", "budget_tokens": 2048})
    first = answered(case, thinking, said(case))
    thoughts = [block["reasoning"] for block in first.content_blocks if block["type"] == "reasoning"]
    second = thinking.invoke([*said(case), first, HumanMessage("And now?")])
    return {**seen(second), "thought": "".join(thoughts) or None}


def embed(case):
    embeddings = OpenAIEmbeddings(
        model=case["model"], base_url=f"{base_of(case)}/v1", api_key=key_of(case), check_embedding_ctx_length=False
    )
    vectors = embeddings.embed_documents(["one", "two words"])
    return {"count": len(vectors), "dimensions": len(vectors[0])}


THINGS = {thing.__name__: thing for thing in [plain, stream, tools, schema, thought, embed]}

if __name__ == "__main__":
    main(THINGS, (openai.OpenAIError, anthropic.AnthropicError, errors.APIError, ChatGoogleGenerativeAIError))
