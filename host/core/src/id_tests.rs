use super::*;

#[track_caller]
fn refused(input: &str, message: &str) {
    let error = input.parse::<AgentId>().unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(error.help().starts_with("lower-case letters"));
}

#[test]
fn hostile_ids_are_refused_with_what_is_wrong() {
    refused("", "`` is no agent id: it is empty");
    refused("*", "`*` is no agent id: it may not begin with `*`");
    refused("bot*", "`bot*` is no agent id: `*` at byte 3 is not allowed");
    refused("../bot", "`../bot` is no agent id: it may not begin with `.`");
    refused("bot/..", "`bot/..` is no agent id: `/` at byte 3 is not allowed");
    refused("bot\0", "`bot\\u{0}` is no agent id: `\\u{0}` at byte 3 is not allowed");
    refused("b\u{43e}t", "`b\\u{43e}t` is no agent id: `\\u{43e}` at byte 1 is not allowed");
    refused("bot\u{202e}", "`bot\\u{202e}` is no agent id: `\\u{202e}` at byte 3 is not allowed");
    refused("Bot", "`Bot` is no agent id: it may not begin with `B`");
    let long = "b".repeat(65);
    refused(&long, &format!("`{}...` is no agent id: it has 65 bytes, and 64 is the most", &long[..64]));
}

#[test]
fn what_was_parsed_prints_the_same() {
    for text in ["a", "support-bot", "bot_2"] {
        assert_eq!(text.parse::<AgentId>().unwrap().to_string(), text);
    }
    let grant = GrantId::from_random([0xa5; 16]);
    assert_eq!(grant.to_string().parse::<GrantId>().unwrap(), grant);
    let digest = Digest::from_bytes([0xab; 32]);
    assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    assert!("grt_A5".parse::<GrantId>().is_err());
    assert!(grant.to_string().parse::<DecisionId>().is_err());
    assert!(digest.to_string().to_uppercase().parse::<Digest>().is_err());
}
