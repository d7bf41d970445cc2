/** Ask before acting: `ATTORN_URL=… ATTORN_KEY=bot.key node ask.js`. */

import { AgentKey, Client } from "attorn-agent";

const { ATTORN_URL = "", ATTORN_KEY = "" } = process.env;
const attorn = new Client(ATTORN_URL, AgentKey.load(ATTORN_KEY));

for (const action of ["faq.read", "faq.write"]) {
  const decision = await attorn.decide({ action, resource: "article/42", purpose: "answer-questions" });
  if (decision.kind === "allow") {
    console.log(`${action}: yes, at ${decision.grant.audience}`);
  } else {
    console.log(`${action}: no, because ${decision.decided.reasons[0]?.code}`);
  }
}
