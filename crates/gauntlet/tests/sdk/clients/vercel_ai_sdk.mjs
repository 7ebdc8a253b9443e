// The Vercel AI SDK with its providers for the three vendors: each speaks its vendor's door, and runs tools by itself.

import { DEGREES, SYSTEM, TOOL, baseOf, keyOf, load, main, promptOf } from "./driver.mjs";

const { AISDKError, embedMany, generateObject, generateText, stepCountIs, streamText, tool } = await load("ai");
const { createAnthropic } = await load("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = await load("@ai-sdk/google");
const { createOpenAI } = await load("@ai-sdk/openai");
const { z } = await load("zod");

const Forecast = z.object({ city: z.string(), celsius: z.number() });

const modelOf = (one) => {
  const apiKey = keyOf(one);
  const openai = () => createOpenAI({ baseURL: `${baseOf(one)}/v1`, apiKey });
  switch (one.door) {
    case "chat":
      return openai().chat(one.model);
    case "responses":
      return openai().responses(one.model);
    case "messages":
      return createAnthropic({ baseURL: `${baseOf(one)}/v1`, apiKey })(one.model);
    case "gemini":
      return createGoogleGenerativeAI({ baseURL: `${baseOf(one)}/v1beta`, apiKey })(one.model);
  }
};

const asked = (one, more = {}) => ({
  model: modelOf(one),
  system: SYSTEM,
  prompt: promptOf(one),
  maxRetries: 0,
  maxOutputTokens: 4096,
  ...more,
});

const withTool = (called) => ({
  stopWhen: stepCountIs(3),
  tools: {
    [TOOL.name]: tool({
      description: TOOL.description,
      inputSchema: z.object({ city: z.string() }),
      execute: async (input) => {
        called.push([TOOL.name, input]);
        return DEGREES[input.city];
      },
    }),
  },
});

const usageOf = (usage) => [usage.inputTokens, usage.outputTokens];

// A stream's errors come as a part of it; without this they would only be printed.
const streamed = async (one, more) => {
  let failure = null;
  const result = streamText({ ...asked(one, more), onError: ({ error }) => (failure = error) });
  let pieces = 0;
  for await (const part of result.fullStream) pieces += part.type === "text-delta" ? 1 : 0;
  if (failure) throw failure;
  return { pieces, text: await result.text, finish: await result.finishReason, usage: usageOf(await result.usage) };
};

const THINGS = {
  plain: async (one) => {
    const { text, finishReason, usage } = await generateText(asked(one));
    return { text, finish: finishReason, usage: usageOf(usage) };
  },
  stream: (one) => streamed(one, {}),
  tools: async (one) => {
    const called = [];
    if (one.stream) return { ...(await streamed(one, withTool(called))), calls: called };
    const { text } = await generateText(asked(one, withTool(called)));
    return { text, calls: called };
  },
  schema: async (one) => {
    const { object } = await generateObject(asked(one, { schema: Forecast }));
    return { parsed: object };
  },
  embed: async (one) => {
    const model = createOpenAI({ baseURL: `${baseOf(one)}/v1`, apiKey: keyOf(one) }).embedding(one.model);
    const { embeddings } = await embedMany({ model, values: ["one", "two words"], maxRetries: 0 });
    return { count: embeddings.length, dimensions: embeddings[0].length };
  },
};

await main(THINGS, (error) => AISDKError.isInstance(error));
