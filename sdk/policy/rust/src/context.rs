//! Reading the context. The types are the contract's own; these are the ways in which policies read
//! them.
//!
//! There is deliberately none for `claimed_properties`: nobody checked them, and a policy that rests on
//! them lets the agent decide.

use serde::de::DeserializeOwned;

use crate::{Agent, Context, Counter, Error, Request, User, json};

impl Context {
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
    fn labels_are_found_by_their_whole_name() {
        let mut ctx = testing::context("account.read", "account/42");
        ctx.agent.labels = vec![("team".into(), "support".into())];
        assert_eq!(ctx.agent.label("team"), Some("support"));
        assert_eq!(ctx.agent.label("tea"), None);
    }
}
