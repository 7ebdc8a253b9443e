// Speaks to an OpenAI-compatible server through the official Node SDK, and says what was seen.
//
// The cases, the settings and the fields are those of conversation.py. The packages come from the folder that
// GAUNTLET_TEST_NODE_MODULES names: `import` does not look where NODE_PATH points, so they are required from there.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.GAUNTLET_TEST_NODE_MODULES, "from-here.js"));
const OpenAI = require("openai");
const { zodResponseFormat } = require("openai/helpers/zod");
const { z } = require("zod");

const MODEL = process.env.MODEL;
const PROMPT = process.env.PROMPT ?? "What is the weather in Paris?";
const MAX_TOKENS = Number(process.env.MAX_TOKENS ?? "64");
const EXTRA_BODY = JSON.parse(process.env.EXTRA_BODY ?? "{}");
const MESSAGES = [
  { role: "system", content: "Be brief." },
  { role: "user", content: PROMPT },
];
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Weather of a city.",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};
const WEATHER_CHOICE = { type: "function", function: { name: "get_weather" } };
const Forecast = z.object({ city: z.string(), celsius: z.number() });
const FORECAST_FORMAT = zodResponseFormat(Forecast, "Forecast");

const settings = {
  baseURL: process.env.BASE_URL,
  apiKey: process.env.API_KEY,
  // No retries: a test wants to see the first answer, not what comes of the third.
  maxRetries: 0,
  timeout: 120_000,
  defaultHeaders: JSON.parse(process.env.EXTRA_HEADERS ?? "{}"),
};
const client = new OpenAI(settings);

const ask = (more = {}) => ({ model: MODEL, messages: MESSAGES, max_tokens: MAX_TOKENS, ...EXTRA_BODY, ...more });

const toolsOf = (message) =>
  (message.tool_calls ?? []).map((call) => ({
    id: call.id,
    name: call.function.name,
    arguments: call.function.arguments,
  }));

const gauntletHeaders = (headers) =>
  Object.fromEntries(
    [...(headers?.entries() ?? [])].filter(
      ([name]) => name.startsWith("x-gauntlet-") || name === "server-timing" || name === "retry-after",
    ),
  );

const completionOf = (completion) => {
  const choice = completion.choices[0];
  return {
    id: completion.id,
    model: completion.model,
    text: choice.message.content,
    refusal: choice.message.refusal ?? null,
    finish: choice.finish_reason,
    tool_calls: toolsOf(choice.message),
    usage: completion.usage ?? null,
  };
};

const errorOf = (error) => {
  const classes = [];
  for (let base = Object.getPrototypeOf(error); base?.constructor !== Error && base; base = Object.getPrototypeOf(base)) {
    classes.push(base.constructor.name);
  }
  return {
    class: error.constructor.name,
    classes,
    status: error.status ?? null,
    code: error.code ?? null,
    type: error.type ?? null,
    param: error.param ?? null,
    message: error.message,
    headers: gauntletHeaders(error.headers),
  };
};

// Reads a stream chunk by chunk. An error on the way is kept beside what came before it.
const readStream = async (more = {}) => {
  const started = performance.now();
  const seen = { text: "", refusal: "", finish: null, usage: null, chunks: 0, first_ms: null, model: null };
  try {
    for await (const chunk of await client.chat.completions.create(ask({ stream: true, ...more }))) {
      seen.chunks += 1;
      seen.model = chunk.model ?? seen.model;
      seen.usage = chunk.usage ?? seen.usage;
      for (const choice of chunk.choices) {
        seen.text += choice.delta.content ?? "";
        seen.refusal += choice.delta.refusal ?? "";
        seen.finish = choice.finish_reason ?? seen.finish;
        if (choice.delta.content && seen.first_ms === null) {
          seen.first_ms = Math.round((performance.now() - started) * 1000) / 1000;
        }
      }
    }
  } catch (error) {
    if (!(error instanceof OpenAI.OpenAIError)) throw error;
    return { ...seen, ok: false, error: errorOf(error) };
  }
  return seen;
};

const embed = async (more = {}) => {
  const answer = await client.embeddings.create({ model: MODEL, input: ["one", "two words"], ...EXTRA_BODY, ...more });
  return {
    model: answer.model,
    count: answer.data.length,
    dimensions: answer.data[0].embedding.length,
    first: answer.data[0].embedding.slice(0, 4),
    usage: answer.usage,
  };
};

const finish = async (stream) => {
  let events = 0;
  for await (const _ of stream) events += 1;
  const completion = await stream.finalChatCompletion();
  return { events, ...completionOf(completion), parsed: completion.choices[0].message.parsed ?? null };
};

const CASES = {
  chat: async () => completionOf(await client.chat.completions.create(ask())),

  chat_stream: () => readStream(),

  chat_stream_usage: () => readStream({ stream_options: { include_usage: true } }),

  // Leaves a stream after its first piece of text, as a user who closes the page.
  stream_leave: async () => {
    for await (const chunk of await client.chat.completions.create(ask({ stream: true }))) {
      const text = chunk.choices[0]?.delta.content;
      if (text) return { text };
    }
    return { text: null };
  },

  tools: async () =>
    completionOf(await client.chat.completions.create(ask({ tools: [WEATHER], tool_choice: WEATHER_CHOICE }))),

  // The SDK's own helper puts the pieces of the tool calls together.
  tools_stream: () => finish(client.chat.completions.stream(ask({ tools: [WEATHER], tool_choice: WEATHER_CHOICE }))),

  // A whole round: the model asks for a tool, gets its result, and answers.
  tools_round: async () => {
    const first = await client.chat.completions.create(ask({ tools: [WEATHER] }));
    const message = first.choices[0].message;
    const results = (message.tool_calls ?? []).map((call) => ({
      role: "tool",
      tool_call_id: call.id,
      content: JSON.stringify({ celsius: 21 }),
    }));
    const messages = [...MESSAGES, message, ...results];
    return completionOf(await client.chat.completions.create(ask({ messages, tools: [WEATHER] })));
  },

  parse: async () => {
    const completion = await client.chat.completions.parse(ask({ response_format: FORECAST_FORMAT }));
    return { ...completionOf(completion), parsed: completion.choices[0].message.parsed ?? null };
  },

  parse_stream: () => finish(client.chat.completions.stream(ask({ response_format: FORECAST_FORMAT }))),

  embeddings: () => embed(),

  embeddings_float: () => embed({ encoding_format: "float" }),

  models: async () => {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return { ids };
  },

  // Fields that the SDK does not know, both ways.
  unknown_fields: async () => {
    const extra = { x_unknown: { deep: [1, 2.5, "ü"] }, top_k: 5 };
    const completion = await client.chat.completions.create(ask(extra));
    const known = ["id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"];
    const rest = Object.entries(completion).filter(([name]) => !known.includes(name) && !name.startsWith("_"));
    return { ...completionOf(completion), extra: Object.fromEntries(rest) };
  },

  headers: async () => {
    const headers = { "x-gauntlet-session": "s-1", "x-gauntlet-tags": "sdk,node" };
    const { data, response } = await client.chat.completions.create(ask(), { headers }).withResponse();
    return { status: response.status, headers: gauntletHeaders(response.headers), ...completionOf(data) };
  },

  headers_stream: async () => {
    const { data, response } = await client.chat.completions.create(ask({ stream: true })).withResponse();
    let text = "";
    for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? "";
    return { status: response.status, headers: gauntletHeaders(response.headers), text };
  },

  error_auth: async () => {
    const other = client.withOptions({ apiKey: "wrong-key" });
    return completionOf(await other.chat.completions.create(ask()));
  },

  error_unknown_model: async () =>
    completionOf(await client.chat.completions.create(ask({ model: "no-such-model" }))),
};

const names = process.argv.length > 2 ? process.argv.slice(2) : (process.env.CASE ?? "chat").split(",");
for (const name of names) {
  let seen;
  try {
    seen = { ok: true, ...(await CASES[name]()) };
  } catch (error) {
    if (!(error instanceof OpenAI.OpenAIError)) throw error;
    seen = { ok: false, error: errorOf(error) };
  }
  console.log(JSON.stringify({ case: name, ...seen }));
}
