/** What the README shows is what is run against a server by `cargo xtask interop --only sdks`. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

test("the examples of the README are those that are run", () => {
  const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
  const readme = read("README.md");
  const ask = read("examples/ask.ts").split("*/\n\n")[1] ?? "";
  assert.ok(readme.includes(`\`\`\`ts\n${ask}\`\`\``));
  assert.ok(ask.split("\n").length <= 16);
  const guard = /const read = [^]*?\n\);\n/.exec(read("examples/guard.ts"))?.[0] ?? "";
  assert.ok(guard !== "" && readme.includes(`\`\`\`ts\n${guard}\`\`\``));
  const service = readFileSync(new URL("../../../../resource-server/typescript/README.md", import.meta.url), "utf8");
  const path = "../../../../resource-server/typescript/examples/articles.ts";
  const articles = /const options = [^]*/.exec(readFileSync(new URL(path, import.meta.url), "utf8"))?.[0] ?? "";
  assert.ok(articles !== "" && service.includes(`\`\`\`ts\n${articles}\`\`\``));
});
