// What the drivers of all Node clients share. Cases, lines and settings are those of driver.py.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// `import` does not look where NODE_PATH points, so packages are resolved from the folder that the test names.
const from = createRequire(join(process.env.GAUNTLET_TEST_NODE_CLIENTS, "from-here.js"));
export const load = async (name) => import(pathToFileURL(from.resolve(name)));

export const SYSTEM = "Be brief.";
export const DEGREES = { Paris: "21 degrees", Oslo: "7 degrees" };
export const TOOL = {
  name: "get_weather",
  description: "Weather of a city.",
  schema: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};

export const baseOf = (one) => one.base ?? process.env.BASE_URL;
export const keyOf = (one) => one.key ?? process.env.API_KEY;
export const promptOf = (one) => one.prompt ?? "What is the weather in Paris and in Oslo?";

const headerOf = (headers, name) => headers?.get?.(name) ?? headers?.[name] ?? null;

const errorOf = (error) => {
  const bases = [];
  for (let base = error; base && base !== Object.prototype; base = Object.getPrototypeOf(base)) {
    bases.push(base.constructor?.name);
  }
  return {
    class: error.constructor.name,
    bases,
    status: error.status ?? error.statusCode ?? null,
    message: String(error.message),
    body: JSON.stringify(error.error ?? error.responseBody ?? error.data ?? null),
    retry_after: headerOf(error.headers ?? error.responseHeaders, "retry-after"),
  };
};

export const main = async (things, isOwn) => {
  for (const one of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
    let seen;
    try {
      seen = { ok: true, ...(await things[one.do](one)) };
    } catch (error) {
      seen = isOwn(error)
        ? { ok: false, error: errorOf(error) }
        : { ok: false, error: { class: "Broken", message: String(error), trace: String(error?.stack).slice(-3000) } };
    }
    console.log(JSON.stringify({ id: one.id, ...seen }));
  }
  process.exit(0);
};
