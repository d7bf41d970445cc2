// Where a provider sends its logout tokens (OpenID Connect Back-Channel Logout 1.0), in Attorn's place.

import { once } from 'node:events';
import { createServer } from 'node:http';

export class Receiver {
    #server = createServer((request, response) => this.#take(request, response));
    #tokens = [];

    async start() {
        this.#server.listen(0, '127.0.0.1');
        await once(this.#server, 'listening');
        this.url = `http://127.0.0.1:${this.#server.address().port}/logout`;
        return this;
    }

    // What has come since the last call.
    take() {
        return this.#tokens.splice(0);
    }

    end() {
        this.#server.close();
        this.#server.closeAllConnections();
    }

    async #take(request, response) {
        let body = '';
        for await (const chunk of request) {
            body += chunk;
        }
        this.#tokens.push(new URLSearchParams(body).get('logout_token'));
        response.writeHead(200, { 'cache-control': 'no-store' }).end();
    }
}
