//! Reading the context. The types are the contract's own; these are the ways in which policies read
//! them.
//!
//! There is deliberately none for `claimed_properties`: nobody checked them, and a policy that rests on
//! them lets the agent decide.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Agent, Context, Counter, Error, Request, User, json};

/// What is asked for that is no token.
///
/// Whoever holds a login can do all that it can, as often as they like while it lives, and not only what is decided here;
/// uses are not counted, and arguments are none. A policy that is about one kind compares [`kind`](Self::kind).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WantedCredential {
    /// Of which kind: `postgresql` is a login in a database. `proxy` gives the agent nothing: if this is allowed, the
    /// request goes on to the target's service, once, with what is in its arguments. There may be others.
    pub kind: String,
    /// The target where it would be made or where the request would go; none if the resource's type is tied to none.
    pub target: Option<String>,
}

impl Context {
    /// When it is decided, as clocks show it that are this far ahead of UTC: year to second, and the day of the week.
    ///
    /// There are no time zones in a policy: their rules change, and the same decision would come out another way. Where
    /// summer time matters, the offset is a setting or a fact.
    ///
    /// # Errors
    ///
    /// No calendar has that time.
    pub fn time_at(&self, offset: Offset) -> Result<DateTime, Error> {
        let time = i64::try_from(self.time).map_err(|_| Error::new("time: it is beyond every calendar"))?;
        Ok(offset.to_datetime(Timestamp::from_millisecond(time)?))
    }

    /// What is asked for; none where that is a token, which is good for what is decided here and nothing else.
    ///
    /// # Errors
    ///
    /// The host describes it in a way that this version does not know.
    pub fn wanted_credential(&self) -> Result<Option<WantedCredential>, Error> {
        const NAME: &str = "attorn.credential";
        let found = self.extensions.iter().find(|(name, _)| name == NAME);
        found.map(|(name, value)| json::parse(name, value)).transpose()
    }

    /// The fact of this template, which has to be among the requirements. `None` if it is missing:
    /// nobody pushed one, it expired, or a field of the template is empty.
    ///
    /// # Errors
    ///
    /// The template is not among the requirements, or the fact is no `T`.
    pub fn fact<T: DeserializeOwned>(&self, template: &str) -> Result<Option<T>, Error> {
        let Some(fact) = self.facts.iter().find(|fact| fact.template == template) else {
            return Err(Error::new(format!("fact `{template}` is not among the requirements")));
        };
        fact.value.as_deref().map(|value| json::parse(&format!("fact `{template}`"), value)).transpose()
    }

    /// The counter of this name, which has to be among the requirements.
    ///
    /// # Errors
    ///
    /// It is not among the requirements.
    pub fn counter(&self, name: &str) -> Result<&Counter, Error> {
        let found = self.counters.iter().find(|counter| counter.name == name);
        found.ok_or_else(|| Error::new(format!("counter `{name}` is not among the requirements")))
    }
}

impl Agent {
    /// The value of this label, if the registrar set it.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

impl Request {
    /// The arguments. What is decided here is what is executed: the grant carries their digest.
    ///
    /// # Errors
    ///
    /// They are no `T`.
    pub fn arguments_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json::parse("arguments", &self.arguments)
    }
}

impl User {
    /// The claims that the provider's configuration lets through.
    ///
    /// # Errors
    ///
    /// They are no `T`.
    pub fn claims_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json::parse("claims", &self.claims)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::testing;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Transfer {
        cents: u64,
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let mut ctx = testing::context("account.transfer", "account/42");
        ctx.request.arguments = r#"{"cents":1200}"#.into();
        assert_eq!(ctx.request.arguments_as::<Transfer>().unwrap(), Transfer { cents: 1200 });
        ctx.request.arguments = r#"{"cents":-1}"#.into();
        assert_eq!(
            ctx.request.arguments_as::<Transfer>().unwrap_err().to_string(),
            "arguments: at `cents`: invalid value: integer `-1`, expected u64 at line 1 column 11"
        );
    }

    #[test]
    fn the_time_is_what_clocks_show_there() {
        let mut ctx = testing::context("faq.read", "article/42");
        let at = |ctx: &crate::Context, hours| ctx.time_at(jiff::tz::offset(hours)).map(|time| time.to_string());
        assert_eq!(at(&ctx, 0).unwrap(), "2026-01-05T09:00:00");
        assert_eq!(at(&ctx, -10).unwrap(), "2026-01-04T23:00:00");
        assert_eq!(ctx.time_at(jiff::tz::offset(-10)).unwrap().weekday(), jiff::civil::Weekday::Sunday);
        ctx.time = i64::MAX.unsigned_abs();
        assert!(at(&ctx, 0).is_err());
        ctx.time = u64::MAX;
        assert_eq!(at(&ctx, 0).unwrap_err().to_string(), "time: it is beyond every calendar");
    }

    #[test]
    fn a_missing_fact_is_not_an_undeclared_one() {
        let mut ctx = testing::context("account.read", "account/42");
        let undeclared = ctx.fact::<u32>("user/{user.id}/risk").unwrap_err().to_string();
        assert_eq!(undeclared, "fact `user/{user.id}/risk` is not among the requirements");
        ctx.facts.push(testing::fact("user/{user.id}/risk", None));
        assert_eq!(ctx.fact::<u32>("user/{user.id}/risk").unwrap(), None);
        ctx.facts[0].value = Some("7".into());
        assert_eq!(ctx.fact::<u32>("user/{user.id}/risk").unwrap(), Some(7));
        ctx.facts[0].value = Some("\"high\"".into());
        assert!(
            ctx.fact::<u32>("user/{user.id}/risk").unwrap_err().to_string().starts_with("fact `user/{user.id}/risk`: ")
        );
    }

    #[test]
    fn a_credential_that_is_no_token_is_seen() {
        let mut ctx = testing::context("db.query", "database/crm");
        assert_eq!(ctx.wanted_credential().unwrap(), None);
        ctx.extensions.push(("attorn.later".into(), "{}".into()));
        assert_eq!(ctx.wanted_credential().unwrap(), None);
        ctx.extensions.push(("attorn.credential".into(), r#"{"kind":"postgresql","target":"crm"}"#.into()));
        let wanted = ctx.wanted_credential().unwrap().unwrap();
        assert_eq!((wanted.kind.as_str(), wanted.target.as_deref()), ("postgresql", Some("crm")));
        ctx.extensions[1].1 = "7".into();
        assert!(ctx.wanted_credential().unwrap_err().to_string().starts_with("attorn.credential: "));
    }

    #[test]
    fn labels_are_found_by_their_whole_name() {
        let mut ctx = testing::context("account.read", "account/42");
        ctx.agent.labels = vec![("team".into(), "support".into())];
        assert_eq!(ctx.agent.label("team"), Some("support"));
        assert_eq!(ctx.agent.label("tea"), None);
    }
}
