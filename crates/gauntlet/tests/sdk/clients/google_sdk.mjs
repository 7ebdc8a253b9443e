// Google's official SDK for Node. As google_sdk.py.

import { DEGREES, SYSTEM, TOOL, baseOf, keyOf, load, main, promptOf } from "./driver.mjs";

const { ApiError, GoogleGenAI } = await load("@google/genai");

const DECLARED = { name: TOOL.name, description: TOOL.description, parametersJsonSchema: TOOL.schema };

const models = (one) =>
  new GoogleGenAI({ apiKey: keyOf(one), httpOptions: { baseUrl: baseOf(one), timeout: 60_000 } }).models;

const config = (more = {}) => ({ systemInstruction: SYSTEM, maxOutputTokens: 64, ...more });
const turn = (text) => ({ role: "user", parts: [{ text }] });

const seen = (answer) => {
  const candidate = answer.candidates[0];
  const parts = candidate.content?.parts ?? [];
  const usage = answer.usageMetadata;
  const texts = (isThought) =>
    parts.filter((part) => part.text && Boolean(part.thought) === isThought).map((part) => part.text).join("") || null;
  return {
    text: texts(false),
    calls: parts.filter((part) => part.functionCall).map(({ functionCall: call }) => [call.name, call.args]),
    thought: texts(true),
    finish: candidate.finishReason ?? null,
    usage: usage ? [usage.promptTokenCount, usage.candidatesTokenCount] : null,
    model: answer.modelVersion,
  };
};

// The model's turn: whole, or the parts of a stream one after the other.
const answered = async (one, contents, settings) => {
  const asked = { model: one.model, contents, config: settings };
  if (!one.stream) return (await models(one).generateContent(asked)).candidates[0].content;
  const parts = [];
  for await (const chunk of await models(one).generateContentStream(asked)) {
    parts.push(...(chunk.candidates?.[0]?.content?.parts ?? []));
  }
  return { role: "model", parts };
};

const THINGS = {
  plain: async (one) =>
    seen(await models(one).generateContent({ model: one.model, contents: promptOf(one), config: config() })),
  stream: async (one) => {
    const asked = { model: one.model, contents: promptOf(one), config: config() };
    const all = [];
    for await (const chunk of await models(one).generateContentStream(asked)) {
      if (chunk.candidates) all.push(seen(chunk));
    }
    const texts = all.map((chunk) => chunk.text).filter(Boolean);
    return { pieces: texts.length, ...all.at(-1), text: texts.join("") };
  },
  tools: async (one) => {
    const settings = config({ tools: [{ functionDeclarations: [DECLARED] }] });
    const contents = [turn(promptOf(one))];
    const content = await answered(one, contents, settings);
    const calls = content.parts.filter((part) => part.functionCall).map((part) => part.functionCall);
    const results = calls.map(({ id, name, args }) => ({
      functionResponse: { id, name, response: { result: DEGREES[args.city] } },
    }));
    contents.push(content, { role: "user", parts: results });
    const second = await models(one).generateContent({ model: one.model, contents, config: settings });
    return { ...seen(second), calls: calls.map(({ name, args }) => [name, args]) };
  },
  schema: async (one) => {
    const responseJsonSchema = {
      type: "object",
      properties: { city: { type: "string" }, celsius: { type: "number" } },
      required: ["city", "celsius"],
    };
    const settings = config({ responseMimeType: "application/json", responseJsonSchema });
    const answer = await models(one).generateContent({ model: one.model, contents: promptOf(one), config: settings });
    return { ...seen(answer), parsed: JSON.parse(answer.text) };
  },
  thought: async (one) => {
    const settings = config({ thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } });
    const contents = [turn(promptOf(one))];
    const content = await answered(one, contents, settings);
    contents.push(content, turn("And now?"));
    const second = await models(one).generateContent({ model: one.model, contents, config: settings });
    const thoughts = content.parts.filter((part) => part.thought).map((part) => part.text);
    return { ...seen(second), thought: thoughts.join("") || null };
  },
  count: async (one) => {
    const counted = await models(one).countTokens({ model: one.model, contents: promptOf(one) });
    return { count: counted.totalTokens };
  },
  embed: async (one) => {
    const answer = await models(one).embedContent({ model: one.model, contents: ["one", "two words"] });
    return { count: answer.embeddings.length, dimensions: answer.embeddings[0].values.length };
  },
};

await main(THINGS, (error) => error instanceof ApiError);
