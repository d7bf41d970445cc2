// What only a component needs, beside the bindings that `wit-bindgen` made.

#include <stdint.h>

// The bindings would give back what was returned, piece by piece. Here it may be a literal, or a part of another text, and
// all memory goes with the sandbox.
#define KEEP(function, name)                                                            \
    __attribute__((export_name("cabi_post_attorn:policy/policy@0.1.0#" name)))    \
    void __wasm_export_exports_attorn_policy_policy_##function##_post_return(uint8_t *returned) { \
        (void)returned;                                                                 \
    }
KEEP(describe, "describe")
KEEP(init, "init")
KEEP(evaluate, "evaluate")

// The bindings name this so that a linker keeps the description of the world. The toolchain adds that itself.
void __component_type_object_force_link_policy_component(void) {
}
