// Reads documents, a JSON object {"kind": "html" | "mermaid", "text": …} a line; answers each with a line: the list of what
// is wrong with it.

import { createInterface } from "node:readline";

import { HtmlValidate } from "html-validate";
import { JSDOM } from "jsdom";

// Mermaid sanitizes texts by a library that needs a document.
const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");

const html = new HtmlValidate({
  root: true,
  extends: ["html-validate:standard", "html-validate:a11y", "html-validate:document"],
  rules: {
    // The roles of a table whose rows are drawn as cards on a phone: display would take them away.
    "no-redundant-role": "off",
  },
});

const validators = {
  async html(text) {
    const { results } = await html.validateString(text);
    return results.flatMap(({ messages }) => messages.map(({ line, ruleId, message }) => `${line}: ${message} (${ruleId})`));
  },
  async mermaid(text) {
    try {
      const { diagramType } = await mermaid.parse(text);
      return diagramType === "sequence" ? [] : [`it is a ${diagramType}`];
    } catch (error) {
      return [String(error)];
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { kind, text } = JSON.parse(line);
  console.log(JSON.stringify(await validators[kind](text)));
}
