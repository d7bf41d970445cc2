//! The policy `spend-limit`: what an agent spends is allowed up to one limit, up to a second with an
//! approval, and denied beyond.
//!
//! It counts what it allows, and rests on nothing but that count and the request's arguments, which are
//! what is executed. Its settings, reasons and cases are described in the README beside this crate.

mod settings;

use attorn_policy::{Amount, Context, Error, Policy, ReasonDeclaration, Requirements, Verdict};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use settings::SpendLimit;

const WITHIN_LIMIT: ReasonDeclaration =
    ReasonDeclaration::public("within_limit", "what is spent stays within what is allowed without an approval");
const ABOVE_LIMIT: ReasonDeclaration =
    ReasonDeclaration::public("above_limit", "what is spent passes what is allowed without an approval");
const OVER_LIMIT: ReasonDeclaration =
    ReasonDeclaration::public("over_limit", "what is spent passes what is allowed at all");
const NO_USER: ReasonDeclaration = ReasonDeclaration::public("no_user", "this is only for agents that act for a user");
const AMOUNT_MISSING: ReasonDeclaration =
    ReasonDeclaration::public("amount_missing", "the arguments do not have the amount");
const AMOUNT_INVALID: ReasonDeclaration = ReasonDeclaration::public(
    "amount_invalid",
    "the amount is no whole number of minor units, 1 or more, as a safe integer or a string of digits",
);
const CURRENCY_MISSING: ReasonDeclaration =
    ReasonDeclaration::public("currency_missing", "the arguments do not have the currency");
const OTHER_CURRENCY: ReasonDeclaration =
    ReasonDeclaration::public("other_currency", "the limit is in another currency");

impl Policy for SpendLimit {
    const NAME: &'static str = "spend-limit";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SETTINGS_SCHEMA: &'static str = include_str!("../../settings.schema.json");
    const REASONS: &'static [ReasonDeclaration] = &[
        WITHIN_LIMIT,
        ABOVE_LIMIT,
        OVER_LIMIT,
        NO_USER,
        AMOUNT_MISSING,
        AMOUNT_INVALID,
        CURRENCY_MISSING,
        OTHER_CURRENCY,
    ];

    fn requirements(&self) -> Result<Requirements, Error> {
        let unit = format!("{} minor units", self.currency);
        Ok(Requirements::none().counter(&self.counter, unit, self.scope.into(), self.window.into()))
    }

    fn evaluate(&self, ctx: &Context) -> Result<Verdict, Error> {
        if self.scope.is_of_a_user() && ctx.user.is_none() {
            return Ok(Verdict::deny(NO_USER));
        }
        let arguments: Map<String, Value> = ctx.request.arguments_as()?;
        let Some(amount) = arguments.get(&self.amount_argument) else {
            return Ok(Verdict::deny(AMOUNT_MISSING));
        };
        let Ok(amount) = Amount::deserialize(amount) else {
            return Ok(Verdict::deny(AMOUNT_INVALID));
        };
        let Some(currency) = arguments.get(&self.currency_argument) else {
            return Ok(Verdict::deny(CURRENCY_MISSING));
        };
        if currency.as_str() != Some(&self.currency) {
            return Ok(Verdict::deny(OTHER_CURRENCY));
        }
        Ok(self.limit(ctx.counter(&self.counter)?.used, amount.minor_units()))
    }
}

impl SpendLimit {
    /// What is said of `amount` more, where `used` was spent in this window before.
    ///
    /// Each debit names the limit that it was held against. Should others spend meanwhile, the host adds
    /// up to that and no further, and asks again.
    fn limit(&self, used: u64, amount: u64) -> Verdict {
        // A sum that cannot be counted is over any limit.
        let Some(total) = used.checked_add(amount) else {
            return Verdict::deny(OVER_LIMIT);
        };
        if total <= self.allow_max {
            return Verdict::allow().because(WITHIN_LIMIT).debit(&self.counter, amount, self.allow_max).into();
        }
        match &self.challenge {
            Some(challenge) if total <= challenge.max => Verdict::challenge(ABOVE_LIMIT)
                .approved_by(&challenge.role, challenge.count)
                .debit(&self.counter, amount, challenge.max)
                .into(),
            _ => Verdict::deny(OVER_LIMIT),
        }
    }
}

attorn_policy::export!(SpendLimit);

#[cfg(test)]
mod tests;
