// The part of `attorn:policy@0.1.0-draft` that this policy uses, as componentize-qjs hands it over: records
// are objects, an `option` is a value or `null`, a variant is `{ tag, val }`, an enum is the name of its case,
// and a 64-bit number is a `number`, which holds it exactly: the contract's numbers are all safe ones.

export type Scope = "agent" | "user" | "user-agent" | "root-delegation" | "session";
export type Window = "minute" | "hour" | "day" | "month" | "total";

export interface Description {
  name: string;
  version: string;
  settingsSchema: string;
}

export interface ReasonDeclaration {
  code: string;
  text: string;
  public: boolean;
}

export interface CounterDeclaration {
  name: string;
  unit: string;
  scope: Scope;
  window: Window;
}

export interface Requirements {
  facts: string[];
  reasons: ReasonDeclaration[];
  counters: CounterDeclaration[];
}

export interface Context {
  user: { id: string } | null;
  request: { arguments: string };
  counters: { name: string; used: number }[];
}

export interface Reason {
  code: string;
  text: string;
}

export interface Terms {
  grantMsMax: number | null;
  usesMax: number | null;
  debits: { counter: string; amount: number; atMost: number }[];
  obligations: { kind: string; parameters: string }[];
}

export type Verdict =
  | { tag: "allow"; val: { terms: Terms; reasons: Reason[] } }
  | { tag: "challenge"; val: { approvers: { role: string; count: number }[]; terms: Terms; reason: Reason } }
  | { tag: "deny"; val: Reason[] }
  | { tag: "abstain" };
