use super::*;

#[test]
fn who_an_agent_is_is_said_in_one_way() {
    for (line, message) in [
        (
            "agent register bot --owner me --allow p:without-user:a:b/c",
            "<--new-key <FILE>|--key-file <PUB.jwk>|--identity <SPIFFE_ID>>",
        ),
        ("agent register bot --owner me --allow p:without-user:a:b/c --identity bot", "is no SPIFFE ID"),
        (
            "agent register bot --owner me --allow p:without-user:a:b/c --identity spiffe://a.example/b --expires-in 5d",
            "--new-key",
        ),
        ("agent register bot --owner me --new-key k --allow p:without-user:a:b/c --identity-method jwt", "--identity"),
        ("agent key add bot", "<--new-key <FILE>|--key-file <PUB.jwk>>"),
        ("decide --action a.b --resource a/1 --purpose p", "<--key <FILE>|--certificate <FILE>>"),
        ("decide --certificate c --action a.b --resource a/1 --purpose p", "--certificate-key"),
        ("decide --key k --certificate-key c --action a.b --resource a/1 --purpose p", "cannot be used with"),
        (
            "decide --key k --certificate c --certificate-key k --action a.b --resource a/1 --purpose p",
            "cannot be used with",
        ),
    ] {
        refused(line, message);
    }
}

#[test]
fn every_verb_about_credentials_outside_shows_an_example() {
    let command = Cli::command();
    for noun in ["target", "lease", "approval", "approval-webhook", "proxy"] {
        let noun = command.find_subcommand(noun).unwrap();
        for verb in noun.get_subcommands() {
            let (noun, verb_name) = (noun.get_name(), verb.get_name());
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.starts_with("Examples:") && help.contains(&format!("attorn {noun} {verb_name}")),
                "{noun} {verb_name}"
            );
        }
    }
}

#[test]
fn an_identity_is_a_spiffe_id_or_a_workload() {
    for (line, message) in [
        ("agent identity add bot --method jwt", "<SPIFFE_ID>"),
        ("agent identity add bot spiffe://example.org/bot", "--method"),
        ("agent identity add bot --workload-issuer https://k8s.example", "--subject"),
        ("agent identity add bot --subject a --method jwt", "--workload-issuer"),
        (
            "agent identity add bot spiffe://example.org/bot --workload-issuer https://k --subject a",
            "cannot be used with",
        ),
        ("agent identity revoke bot", "<SPIFFE_ID>"),
        ("workload-issuer register c --issuer https://k8s.example", "--jwks"),
        ("workload-issuer register c --jwks j", "--issuer"),
        (
            "workload-issuer register c --issuer https://k8s.example --jwks j --algorithm HS256",
            "`HS256` is no algorithm",
        ),
    ] {
        refused(line, message);
    }
}
