/** One line protects a tool: `ATTORN_URL=… ATTORN_KEY=bot.key node guard.js`. */

import { AgentKey, Client, NotAllowed } from "attorn-agent";

const { ATTORN_URL = "", ATTORN_KEY = "" } = process.env;
const attorn = new Client(ATTORN_URL, AgentKey.load(ATTORN_KEY));
const about = { resource: "article/{article}", purpose: "answer-questions" };

const read = attorn.guard(
  { action: "faq.read", ...about },
  ({ article, section = "all" }: { article: string; section?: string }, allow) =>
    `article ${article}, ${section}, by ${allow.grant.action}`,
);

const write = attorn.guard({ action: "faq.write", ...about }, (_: { article: string; text: string }) => {
  throw new Error("nobody allowed this");
});

console.log(await read({ article: "42", section: "billing" }));
try {
  await write({ article: "42", text: "nothing costs anything" });
} catch (error) {
  console.log(error instanceof NotAllowed ? error.decision.decided.reasons[0]?.code : error);
}
