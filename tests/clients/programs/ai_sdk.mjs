// Vercel's AI SDK over Chat Completions (@ai-sdk/openai-compatible) and Messages (@ai-sdk/anthropic).
//
//     QPTY_URL=… [QPTY_KEY=…] [QPTY_MODEL=…] node tests/clients/programs/ai_sdk.mjs [FAMILY/SCENARIO …]
//
// The same lines of JSON as the Python programs print: see scenarios.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const url = (process.env.QPTY_URL ?? "http://127.0.0.1:8080").replace(/\/+$/, "");
const key = process.env.QPTY_KEY ?? "";
const model = process.env.QPTY_MODEL ?? "claude-sonnet-4.5";
const settings = { baseURL: `${url}/v1`, apiKey: key || "none" };
const families = {
  chat: (apiKey = settings.apiKey) =>
    createOpenAICompatible({
      ...settings, apiKey, name: "qpty", includeUsage: true, supportsStructuredOutputs: true,
    })(model),
  messages: (apiKey = settings.apiKey) => createAnthropic({ ...settings, apiKey })(model),
};

const HELLO = "Hello! How can I help you today?";
const UNICODE = "Grüße, 世界 🌍 — «два» <b>&amp;</b> *stars* `ticks` \\n";
const COUNT = Array.from({ length: 30 }, (_, index) => `line ${index + 1}`).join("\n");
const PICTURE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
const plan = (...steps) => `Do as planned.\nPLAN: ${JSON.stringify(steps)}`;

const makeTools = (made) => ({
  add: tool({
    description: "Add two numbers.",
    inputSchema: z.object({ a: z.number().int(), b: z.number().int() }),
    execute: ({ a, b }) => {
      made.push([a, b]);
      return `${a + b}`;
    },
  }),
  now: tool({ description: "The time.", inputSchema: z.object({}), execute: () => "noon" }),
});

globalThis.AI_SDK_LOG_WARNINGS = false;

class SkipScenario extends Error {}

const scenarios = {
  async generate(model) {
    const { text, finishReason, usage } = await generateText({ model, maxRetries: 0, prompt: "hello" });
    assert.deepEqual([text, finishReason], [HELLO, "stop"]);
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0, JSON.stringify(usage));
    return { usage: { input: usage.inputTokens, output: usage.outputTokens } };
  },

  async system(model) {
    const prompt = `echo ${UNICODE}`;
    const { text } = await generateText({ model, maxRetries: 0, system: "Be brief.", temperature: 0.5, prompt });
    assert.equal(text, UNICODE);
  },

  async stream(model) {
    const errors = [];
    const result = streamText({
      model, maxRetries: 0, prompt: "count 30", onError: ({ error }) => { errors.push(error); },
    });
    let text = "";
    let deltas = 0;
    for await (const delta of result.textStream) {
      text += delta;
      deltas += 1;
    }
    assert.deepEqual(errors, []);
    assert.deepEqual([text, await result.finishReason], [COUNT, "stop"]);
    return { deltas };
  },

  async tools(model) {
    const made = [];
    const steps = [{ tool: "add", input: { a: 2, b: 40 } }, { tool: "add", input: { a: 42, b: 1 } }, { text: "It is 43." }];
    const result = await generateText({
      model, maxRetries: 0, tools: makeTools(made), stopWhen: stepCountIs(5), prompt: plan(...steps),
    });
    assert.deepEqual([result.text, made], ["It is 43.", [[2, 40], [42, 1]]]);
    return { steps: result.steps.length };
  },

  async tools_stream(model) {
    const made = [];
    const steps = [
      { say: "Let me look. ", tool: "add", input: { a: 2, b: 40 } },
      { tool: "now", input: {} },
      { text: "It is 42 at noon." },
    ];
    const result = streamText({
      model, maxRetries: 0, tools: makeTools(made), stopWhen: stepCountIs(5), prompt: plan(...steps),
    });
    const kinds = [];
    for await (const part of result.fullStream) {
      assert.notEqual(part.type, "error", String(part.error));
      kinds.push(part.type);
    }
    assert.deepEqual([await result.text, made], ["It is 42 at noon.", [[2, 40]]]);
    assert.equal(kinds.filter((kind) => kind === "tool-result").length, 2);
    return { steps: (await result.steps).length };
  },

  async conversation(model) {
    const messages = [{ role: "user", content: "remember the red door" }];
    const first = await generateText({ model, maxRetries: 0, messages });
    messages.push({ role: "assistant", content: first.text }, { role: "user", content: "recall" });
    const { text } = await generateText({ model, maxRetries: 0, messages });
    assert.equal(text, "You told me: the red door");
  },

  async image(model) {
    const content = [
      { type: "text", text: "images" },
      { type: "file", mediaType: "image/png", data: Buffer.from(PICTURE, "base64") },
    ];
    const { text } = await generateText({ model, maxRetries: 0, messages: [{ role: "user", content }] });
    assert.equal(text, "I got 1 images.");
  },

  async object(model) {
    const person = { name: "Ada Lovelace", age: 36 };
    const schema = z.object({ name: z.string(), age: z.number().int() });
    // The package asks for the object as JSON text, or as the input of a tool of its own, by what it thinks of the model.
    const prompt = plan({ text: JSON.stringify(person) });
    const { output } = await generateText({ model, maxRetries: 0, output: Output.object({ schema }), prompt });
    assert.deepEqual(output, person);
  },

  async wrong_key(_, family) {
    if (!key) throw new SkipScenario("the server asks for no key");
    const call = generateText({ model: families[family]("of-somebody-else"), maxRetries: 0, prompt: "hello" });
    await assert.rejects(call, (error) => APICallError.isInstance(error) && error.statusCode === 401);
  },
};

const version = JSON.parse(readFileSync(new URL("../node_modules/ai/package.json", import.meta.url))).version;
const wanted = process.argv.slice(2);
let failed = false;
for (const [family, make] of Object.entries(families)) {
  for (const [scenario, run] of Object.entries(scenarios)) {
    const name = `${family}/${scenario}`;
    if (wanted.length && !wanted.includes(name)) continue;
    const started = performance.now();
    const line = { name, ok: true, skipped: null, facts: { client: "ai", version } };
    try {
      Object.assign(line.facts, await run(make(), family));
    } catch (error) {
      if (error instanceof SkipScenario) line.skipped = error.message;
      else {
        line.ok = false;
        failed = true;
        const at = error.stack?.split("\n").find((frame) => frame.includes("ai_sdk.mjs"))?.trim() ?? "";
        Object.assign(line.facts, { error: `${error.name}: ${error.message}`, body: error.responseBody, at });
      }
    }
    line.seconds = Math.round((performance.now() - started) / 10) / 100;
    console.log(JSON.stringify(line));
  }
}
process.exitCode = failed ? 1 : 0;
