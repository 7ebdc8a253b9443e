// The official OpenAI SDK for Node: chat completions, Responses, embeddings, the list of models. As openai_sdk.py.

import { DEGREES, SYSTEM, TOOL, baseOf, keyOf, load, main, promptOf } from "./driver.mjs";

const { default: OpenAI } = await load("openai");
const { zodResponseFormat, zodTextFormat } = await load("openai/helpers/zod");
const { z } = await load("zod");

const Forecast = z.object({ city: z.string(), celsius: z.number() });
const FUNCTION = { name: TOOL.name, description: TOOL.description, parameters: TOOL.schema };

const client = (one) =>
  new OpenAI({ baseURL: `${baseOf(one)}/v1`, apiKey: keyOf(one), maxRetries: 0, timeout: 60_000 });

const messages = (one) => [
  { role: "system", content: SYSTEM },
  { role: "user", content: promptOf(one) },
];

const chatSeen = (completion) => {
  const { message, finish_reason } = completion.choices[0];
  return {
    text: message.content ?? null,
    refusal: message.refusal ?? null,
    calls: (message.tool_calls ?? []).map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
    thought: message.reasoning_content ?? null,
    finish: finish_reason,
    usage: completion.usage ? [completion.usage.prompt_tokens, completion.usage.completion_tokens] : null,
    model: completion.model,
  };
};

const chat = async (one, asked) => {
  const completions = client(one).chat.completions;
  if (!one.stream) return completions.create({ model: one.model, ...asked });
  return completions.stream({ model: one.model, ...asked }).finalChatCompletion();
};

const responseSeen = (response) => ({
  text: response.output_text || null,
  calls: response.output
    .filter((item) => item.type === "function_call")
    .map((call) => [call.name, JSON.parse(call.arguments)]),
  thought:
    response.output
      .filter((item) => item.type === "reasoning")
      .flatMap((item) => item.summary.map((part) => part.text))
      .join("") || null,
  finish: response.status,
  usage: response.usage ? [response.usage.input_tokens, response.usage.output_tokens] : null,
  model: response.model,
});

const responses = async (one, asked) => {
  const whole = { model: one.model, instructions: SYSTEM, store: false, ...asked };
  if (!one.stream) return client(one).responses.create(whole);
  return client(one).responses.stream(whole).finalResponse();
};

const THINGS = {
  chat_plain: async (one) => chatSeen(await chat(one, { messages: messages(one), max_tokens: 64 })),
  chat_stream: async (one) => {
    const asked = { model: one.model, messages: messages(one), stream_options: { include_usage: true } };
    const stream = client(one).chat.completions.stream(asked);
    let pieces = 0;
    stream.on("content", () => (pieces += 1));
    const completion = await stream.finalChatCompletion();
    return { pieces, ...chatSeen(completion) };
  },
  chat_tools: async (one) => {
    const tools = [{ type: "function", function: FUNCTION }];
    const said = messages(one);
    const first = await chat(one, { tools, messages: said });
    const { message } = first.choices[0];
    said.push({ role: "assistant", content: message.content, tool_calls: message.tool_calls });
    for (const call of message.tool_calls ?? []) {
      const { city } = JSON.parse(call.function.arguments);
      said.push({ role: "tool", tool_call_id: call.id, content: DEGREES[city] });
    }
    const second = await chat({ ...one, stream: false }, { tools, messages: said });
    return { ...chatSeen(second), calls: chatSeen(first).calls, first_finish: chatSeen(first).finish };
  },
  chat_schema: async (one) => {
    const format = zodResponseFormat(Forecast, "Forecast");
    const asked = { model: one.model, messages: messages(one), response_format: format };
    const completion = await client(one).chat.completions.parse(asked);
    return { ...chatSeen(completion), parsed: completion.choices[0].message.parsed };
  },
  responses_plain: async (one) => responseSeen(await responses(one, { input: promptOf(one) })),
  responses_stream: async (one) => {
    const stream = client(one).responses.stream({ model: one.model, instructions: SYSTEM, input: promptOf(one) });
    let pieces = 0;
    stream.on("response.output_text.delta", () => (pieces += 1));
    const response = await stream.finalResponse();
    return { pieces, ...responseSeen(response) };
  },
  responses_tools: async (one) => {
    const tools = [{ type: "function", strict: true, ...FUNCTION }];
    const input = [{ role: "user", content: promptOf(one) }];
    const first = await responses(one, { tools, input });
    const calls = first.output.filter((item) => item.type === "function_call");
    for (const { type, id, call_id, name, arguments: text } of calls) {
      input.push({ type, id, call_id, name, arguments: text });
    }
    for (const call of calls) {
      const output = DEGREES[JSON.parse(call.arguments).city];
      input.push({ type: "function_call_output", call_id: call.call_id, output });
    }
    const second = await responses({ ...one, stream: false }, { tools, input });
    return { ...responseSeen(second), calls: responseSeen(first).calls };
  },
  responses_schema: async (one) => {
    const text = { format: zodTextFormat(Forecast, "Forecast") };
    const response = await client(one).responses.parse({ model: one.model, input: promptOf(one), text });
    return { ...responseSeen(response), parsed: response.output_parsed };
  },
  embed: async (one) => {
    const answer = await client(one).embeddings.create({ model: one.model, input: ["one", "two words"] });
    return { count: answer.data.length, dimensions: answer.data[0].embedding.length };
  },
  models: async (one) => {
    const ids = [];
    for await (const model of client(one).models.list()) ids.push(model.id);
    return { ids };
  },
};

await main(THINGS, (error) => error instanceof OpenAI.OpenAIError);
