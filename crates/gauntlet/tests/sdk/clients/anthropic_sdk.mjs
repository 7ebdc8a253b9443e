// The official Anthropic SDK for Node. As anthropic_sdk.py.

import { DEGREES, SYSTEM, TOOL, baseOf, keyOf, load, main, promptOf } from "./driver.mjs";

const { default: Anthropic } = await load("@anthropic-ai/sdk");
const { zodOutputFormat } = await load("@anthropic-ai/sdk/helpers/zod");
const { z } = await load("zod");

const Forecast = z.object({ city: z.string(), celsius: z.number() });
const TOOLS = [{ name: TOOL.name, description: TOOL.description, input_schema: TOOL.schema }];

const client = (one) => new Anthropic({ baseURL: baseOf(one), apiKey: keyOf(one), maxRetries: 0, timeout: 60_000 });

const asked = (one, more = {}) => ({
  model: one.model,
  system: SYSTEM,
  max_tokens: 4096,
  messages: [{ role: "user", content: promptOf(one) }],
  ...more,
});

const seen = (message) => {
  const of = (type) => message.content.filter((block) => block.type === type);
  return {
    text: of("text").map((block) => block.text).join("") || null,
    calls: of("tool_use").map((block) => [block.name, block.input]),
    thought: of("thinking").map((block) => block.thinking).join("") || null,
    finish: message.stop_reason,
    usage: [message.usage.input_tokens, message.usage.output_tokens],
    model: message.model,
  };
};

const create = async (one, more = {}) =>
  one.stream
    ? client(one).messages.stream(asked(one, more)).finalMessage()
    : client(one).messages.create(asked(one, more));

const THINGS = {
  plain: async (one) => seen(await create(one)),
  stream: async (one) => {
    const stream = client(one).messages.stream(asked(one));
    let pieces = 0;
    stream.on("text", () => (pieces += 1));
    const message = await stream.finalMessage();
    return { pieces, ...seen(message) };
  },
  tools: async (one) => {
    const messages = [{ role: "user", content: promptOf(one) }];
    const first = await create(one, { messages, tools: TOOLS });
    const calls = first.content.filter((block) => block.type === "tool_use");
    messages.push({ role: "assistant", content: first.content });
    messages.push({
      role: "user",
      content: calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: DEGREES[call.input.city] })),
    });
    const second = await create({ ...one, stream: false }, { messages, tools: TOOLS });
    return { ...seen(second), calls: seen(first).calls, first_finish: first.stop_reason };
  },
  schema: async (one) => {
    const output_config = { format: zodOutputFormat(Forecast) };
    const message = await client(one).messages.parse(asked(one, { output_config }));
    return { ...seen(message), parsed: message.parsed_output };
  },
  thought: async (one) => {
    const thinking = { type: "enabled", budget_tokens: 2048 };
    const messages = [{ role: "user", content: promptOf(one) }];
    const first = await create(one, { messages, thinking });
    messages.push({ role: "assistant", content: first.content }, { role: "user", content: "And now?" });
    const second = await create(one, { messages, thinking });
    return { ...seen(second), thought: seen(first).thought };
  },
  count: async (one) => {
    const messages = [{ role: "user", content: promptOf(one) }];
    const counted = await client(one).messages.countTokens({ model: one.model, system: SYSTEM, messages });
    return { count: counted.input_tokens };
  },
};

await main(THINGS, (error) => error instanceof Anthropic.AnthropicError);
