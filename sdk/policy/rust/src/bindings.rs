//! What `wit-bindgen` makes of the contract. Not for use by name: what a policy needs is re-exported
//! at the top of the crate.

wit_bindgen::generate!({
    path: "../../../wit",
    world: "policy-component",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "attorn_policy::bindings",
    additional_derives: [PartialEq, Eq],
});
