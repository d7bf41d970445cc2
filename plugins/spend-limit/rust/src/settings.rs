//! The settings: as JSON, and found right.

use attorn_policy::{NUMBER_MAX, Scope as CounterScope, Window as CounterWindow};
use serde::Deserialize;

/// The most characters of an argument's name.
const NAME_BYTES_MAX: usize = 64;
/// The most bytes of a role: a group is called whatever its provider calls it.
const ROLE_BYTES_MAX: usize = 256;
/// The most people whose approval is asked for.
const APPROVERS_MAX: u32 = 16;

/// Settings that were found right.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub(crate) struct SpendLimit {
    /// Which argument is the amount.
    pub(crate) amount_argument: String,
    /// Which argument is the currency.
    pub(crate) currency_argument: String,
    /// What that has to be.
    pub(crate) currency: String,
    /// The counter of what was spent, in minor units of the currency. It has the currency's name: versions of
    /// a policy share their counters, and cents and yen do not add up.
    pub(crate) counter: String,
    /// Whose spending is counted.
    pub(crate) scope: Scope,
    /// Over what time.
    pub(crate) window: Window,
    /// What may be spent without an approval.
    pub(crate) allow_max: u64,
    /// What may be spent with one.
    pub(crate) challenge: Option<Challenge>,
}

/// Settings as they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    amount_argument: String,
    currency_argument: String,
    currency: String,
    scope: Scope,
    window: Window,
    allow_max: u64,
    challenge: Option<Challenge>,
}

/// Whose approval is needed, and up to what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Challenge {
    pub(crate) max: u64,
    pub(crate) role: String,
    pub(crate) count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    Agent,
    User,
    UserAgent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Window {
    Minute,
    Hour,
    Day,
    Month,
    Total,
}

impl Scope {
    /// Whether there is nobody to count for where there is no user.
    pub(crate) const fn is_of_a_user(self) -> bool {
        matches!(self, Self::User | Self::UserAgent)
    }
}

impl TryFrom<Settings> for SpendLimit {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        let Settings { amount_argument, currency_argument, currency, scope, window, allow_max, challenge } = settings;
        for (field, name) in [("amount_argument", &amount_argument), ("currency_argument", &currency_argument)] {
            if !is_argument(name) {
                return Err(format!("at `{field}`: `{name}` is no name of an argument"));
            }
        }
        if amount_argument == currency_argument {
            return Err(format!("at `currency_argument`: `{amount_argument}` is the amount already"));
        }
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(format!("at `currency`: `{currency}` is no code of three capital letters"));
        }
        check_limit("allow_max", allow_max)?;
        match &challenge {
            None if allow_max == 0 => return Err("at `allow_max`: 0 without a challenge would deny everything".into()),
            None => {}
            Some(Challenge { max, role, count }) => {
                check_limit("challenge.max", *max)?;
                if *max <= allow_max {
                    return Err(format!("at `challenge.max`: {max} is not above `allow_max`, which is {allow_max}"));
                }
                if !is_role(role) {
                    return Err(format!("at `challenge.role`: `{role}` is no role"));
                }
                if !(1..=APPROVERS_MAX).contains(count) {
                    return Err(format!("at `challenge.count`: {count} is not between 1 and {APPROVERS_MAX}"));
                }
            }
        }
        let counter = format!("spent_{}", currency.to_ascii_lowercase());
        Ok(Self { amount_argument, currency_argument, currency, counter, scope, window, allow_max, challenge })
    }
}

fn check_limit(path: &str, limit: u64) -> Result<(), String> {
    if limit > NUMBER_MAX {
        return Err(format!(
            "at `{path}`: {limit} is more than {NUMBER_MAX}, which not every reader of JSON tells apart"
        ));
    }
    Ok(())
}

fn is_argument(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

/// What the host takes for a role: `user`, `operator` or a group's name, which is any text without control characters.
fn is_role(role: &str) -> bool {
    (1..=ROLE_BYTES_MAX).contains(&role.len()) && !role.contains(char::is_control)
}

impl From<Scope> for CounterScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Agent => Self::Agent,
            Scope::User => Self::User,
            Scope::UserAgent => Self::UserAgent,
        }
    }
}

impl From<Window> for CounterWindow {
    fn from(window: Window) -> Self {
        match window {
            Window::Minute => Self::Minute,
            Window::Hour => Self::Hour,
            Window::Day => Self::Day,
            Window::Month => Self::Month,
            Window::Total => Self::Total,
        }
    }
}
