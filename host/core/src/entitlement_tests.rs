//! What patterns are refused, what they resolve to, and that no value reaches further than its segment.

use proptest::prelude::*;

use super::*;
use crate::permission::Resource;

fn pattern(resource: &str) -> EntitlementPattern {
    EntitlementPattern::parse("account.read", resource).unwrap()
}

#[track_caller]
fn refused(resource: &str, message: &str) {
    let error = EntitlementPattern::parse("account.read", resource).unwrap_err().to_string();
    assert!(error.contains(message), "{resource}: {error}");
}

fn resolved(resource: &str, id: Option<&str>) -> Option<String> {
    let permission = pattern(resource).resolve(|_| id.map(str::to_owned))?;
    Some(permission.resource.to_string())
}

#[test]
fn patterns_that_mean_too_much_or_nothing_are_refused() {
    refused("", "it has no `/`");
    refused("account", "it has no `/`");
    refused("{user.id}/1", "the type of a resource is no field");
    refused("account/{user.id", "neither text nor one field");
    refused("account/a{user.id}", "neither text nor one field");
    refused("account/{user.id}{user.id}", "neither text nor one field");
    refused("account/{user.name}", "neither text nor one field");
    refused("account/{user.claim.}", "neither text nor one field");
    refused("account/{user.claim.Name}", "neither text nor one field");
    refused("account/{user.id}*", "neither text nor one field");
    refused("account/x*", "must follow a whole segment");
    refused("account/../{user.id}", "may not be `..`");
    refused(&format!("account/{}", "a".repeat(250)), "256 is the most");
    assert!(EntitlementPattern::parse("account.", "account/1").is_err());
}

#[test]
fn fields_are_filled_in_and_escaped() {
    assert_eq!(resolved("account/{user.id}/*", Some("usr_1")).unwrap(), "account/usr_1/*");
    assert_eq!(resolved("account/{user.claim.customer}", Some("a/b*")).unwrap(), "account/a=2Fb=2A");
    assert_eq!(resolved("account/{user.id}/x", Some("..")).unwrap(), "account/=2E=2E/x");
    assert_eq!(resolved("account/{user.id}", Some("a=b")).unwrap(), "account/a=3Db");
    assert_eq!(resolved("account/{user.id}", Some("")), None);
    assert_eq!(resolved("account/{user.id}", None), None);
    assert_eq!(resolved("account/{user.id}", Some(&"=".repeat(100))), None);
    assert_eq!(resolved("account/*", None).unwrap(), "account/*");
    assert_eq!(resolved("*", None).unwrap(), "*");
}

proptest! {
    #[test]
    fn no_value_reaches_another_user_s_resources(one in ".{1,40}", other in ".{1,40}", rest in "[a-z]{1,8}") {
        prop_assume!(one != other);
        let of = |value: &str| pattern("account/{user.id}/*").resolve(|_| Some(value.to_owned()));
        let (Some(mine), Some(theirs)) = (of(&one), of(&other)) else { return Ok(()) };
        // At the very end of what fits, nothing more does.
        let Ok(own) = mine.resource.to_string().replace('*', &rest).parse::<Resource>() else { return Ok(()) };
        prop_assert!(mine.resource.covers(&own));
        prop_assert!(!theirs.resource.covers(&own), "{one:?} {other:?} {own}");
        prop_assert!(!mine.resource.within(&theirs.resource));
    }
}
