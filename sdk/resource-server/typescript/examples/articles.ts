/** A service that keeps articles: `ATTORN_URL=… ATTORN_KEY=faq.key ATTORN_AUDIENCE=… PORT=8080 node articles.js`. */

import { createServer } from "node:http";

import { AgentKey, Refused, ResourceServer } from "attorn-resource-server";

const { ATTORN_URL = "", ATTORN_AUDIENCE = "", ATTORN_KEY = "", PORT = "8080" } = process.env;
const options = { key: AgentKey.load(ATTORN_KEY), publicUrl: `http://127.0.0.1:${PORT}` };
const service = new ResourceServer(ATTORN_URL, ATTORN_AUDIENCE, options);

createServer(async ({ method = "", url: path = "", headers }, response) => {
  try {
    const asked = { action: "faq.read", resource: path.slice(1), arguments: {} };
    const { agent } = await service.accept({ method, path, headers, ...asked });
    response.end(`${path}, for ${agent}\n`);
  } catch (error) {
    response.writeHead(error instanceof Refused ? error.status : 500).end();
  }
}).listen(Number(PORT), "127.0.0.1");
