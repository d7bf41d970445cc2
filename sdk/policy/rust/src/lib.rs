#![doc = include_str!("../README.md")]

mod amount;
#[doc(hidden)]
#[expect(clippy::same_length_and_capacity, reason = "generated: the capacity of a lifted list is its length")]
pub mod bindings;
mod component;
mod context;
mod error;
mod json;
pub mod log;
mod pattern;
mod policy;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod verdict;

pub use amount::Amount;
pub use bindings::exports::attorn::policy::policy::{
    Agent, Allow, Approval, ApprovalRequirement, AuthenticationMethod, Caller, Challenge, Context, Counter,
    CounterDeclaration, Debit, Delegation, EnforcementPoint, Fact, Group, Obligation, Permission, Phase, Reason,
    Request, Requirements, Scope, Terms, User, Verdict, Window,
};
pub use component::Component;
pub use context::WantedCredential;
pub use error::Error;
/// What [`Context::time_at`] is in.
pub use jiff::{civil, tz::Offset};
pub use pattern::{ActionPattern, ResourcePattern};
pub use policy::{Policy, ReasonDeclaration};

/// The largest number that goes either way between host and policy. A verdict with a larger one is a failure.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Make a type that implements [`Policy`] the policy of this component. Once for each crate, whose
/// crate type is `cdylib`.
///
/// Elsewhere than on WebAssembly it only checks the type, so that the same crate can be tested as
/// plain Rust.
#[macro_export]
macro_rules! export {
    ($policy:ty) => {
        const _: () = {
            type Exported = $crate::Component<$policy>;
            const _: fn() = $crate::Component::<$policy>::check;
            #[cfg(target_family = "wasm")]
    $crate::bindings::export_component!(Exported with_types_in $crate::bindings);
        };
    };
}
