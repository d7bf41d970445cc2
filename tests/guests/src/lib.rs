//! Hostile and odd policies, one file each in `examples/`, built as components for the tests.
//!
//! Nothing here is meant to be used as a policy, and nothing here says what the host has to make of
//! it: that is what the tests are for.

/// The names of all guests, which are the names of the examples.
pub const GUESTS: &[&str] = &[
    "abstain",
    "absurd_terms",
    "allow_all",
    "challenge",
    "challenge_as_told",
    "challenge_by_facts",
    "challenge_groups",
    "challenge_nobody",
    "challenge_private_reason",
    "debit",
    "debit_undeclared",
    "deny_private_reason",
    "deny_public_reason",
    "deny_without_reason",
    "echo_context",
    "error",
    "error_in_init",
    "huge_output",
    "knows",
    "log_flood",
    "logs",
    "loop_in_evaluate",
    "loop_in_init",
    "memory_bomb",
    "needs_fact",
    "no_logins",
    "obliges",
    "reads_context",
    "remembers",
    "stack_overflow",
    "trap",
    "undeclared_reason",
];

/// A policy without settings, of its reasons and one expression.
#[macro_export]
macro_rules! guest {
    (reasons: [$($reason:expr),*], evaluate: |$ctx:ident| $evaluate:expr $(,)?) => {
        #[derive(::serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Guest {}

        impl ::attorn_policy::Policy for Guest {
            const NAME: &'static str = env!("CARGO_CRATE_NAME");
            const VERSION: &'static str = "0.0.0";
            const REASONS: &'static [::attorn_policy::ReasonDeclaration] = &[$($reason),*];

            fn evaluate(
                &self,
                $ctx: &::attorn_policy::Context,
            ) -> ::core::result::Result<::attorn_policy::Verdict, ::attorn_policy::Error> {
                $evaluate
            }
        }

        ::attorn_policy::export!(Guest);
    };
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_list_is_what_there_is() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut files: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert_eq!(files, GUESTS);
    }
}
