/** Allows everything, and looks at nothing: what is left is what QuickJS and the SDK take. */

import { allow, definePolicy, object } from "attorn-policy";

export const policy = definePolicy({
  name: "empty",
  version: "0.0.0",
  settings: object({}),
  reasons: [],
  evaluate: () => allow(),
});
