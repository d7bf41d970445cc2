// Where oidc-provider keeps what it knows: in memory, shared by the providers before and after a rotation of
// keys, and with a list of sessions, which its own adapter does not give.
//
// Keeps nothing on disk, and forgets only what has expired: it lives as long as one test.

export class Store {
    #models = new Map();

    // What oidc-provider takes as `adapter`.
    adapter() {
        return (name) => this.#model(name);
    }

    // All that is there of one kind.
    values(name) {
        return [...this.#model(name).live()].map(([, payload]) => payload);
    }

    #model(name) {
        if (!this.#models.has(name)) {
            this.#models.set(name, new Model());
        }
        return this.#models.get(name);
    }
}

class Model {
    #entries = new Map();

    *live() {
        for (const [id, { payload, expires }] of this.#entries) {
            if (expires <= Date.now()) {
                this.#entries.delete(id);
            } else {
                yield [id, payload];
            }
        }
    }

    async upsert(id, payload, lifetimeS) {
        const expires = lifetimeS === undefined ? Infinity : Date.now() + lifetimeS * 1000;
        this.#entries.set(id, { payload, expires });
    }

    async find(id) {
        return this.#first((key) => key === id);
    }

    async findByUid(uid) {
        return this.#first((_, payload) => payload.uid === uid);
    }

    async findByUserCode(userCode) {
        return this.#first((_, payload) => payload.userCode === userCode);
    }

    async consume(id) {
        const payload = await this.find(id);
        payload.consumed = Math.floor(Date.now() / 1000);
    }

    async destroy(id) {
        this.#entries.delete(id);
    }

    async revokeByGrantId(grantId) {
        for (const [id, payload] of this.live()) {
            if (payload.grantId === grantId) {
                this.#entries.delete(id);
            }
        }
    }

    #first(test) {
        for (const [id, payload] of this.live()) {
            if (test(id, payload)) {
                return payload;
            }
        }
        return undefined;
    }
}
