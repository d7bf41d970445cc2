// Long because: what the command line refuses stands in one place.

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::*;

#[path = "args_agent_tests.rs"]
mod agents;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    // The environment of whoever runs the tests is not to matter.
    let server = ["attorn", "--server", "http://127.0.0.1:7400"];
    // What stands between two `'` is one word.
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(n, part)| if n % 2 == 1 { vec![part] } else { part.split_whitespace().collect() });
    Cli::try_parse_from(server.into_iter().chain(words))
}

#[track_caller]
fn refused(line: &str, message: &str) {
    let error = parse(line).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{line}");
    assert!(error.to_string().contains(message), "{line}: {error}");
}

const DELEGATION: &str = "dlg_0123456789abcdef0123456789abcdef";
const REGISTER: &str = "agent register bot --owner me --new-key k";

#[test]
fn the_command_line_agrees_with_itself() {
    Cli::command().debug_assert();
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of what is refused")]
fn arguments_that_mean_nothing_are_refused() {
    for (line, message) in [
        ("agent show Bot", "`Bot` is no agent id"),
        ("agent show ../bot", "may not begin with `.`"),
        ("agent key revoke bot short", "is no key thumbprint"),
        ("operator register alice", "--duty"),
        ("operator register alice --duty king", "`king` is no duty: there is none of that name; one of registrar"),
        ("operator list --limit 0", "0 is not in 1..=200"),
        ("operator list --limit 201", "201 is not in 1..=200"),
        ("operator list --after a&b", "it is no id"),
        ("target show Shop", "`Shop` is no target id"),
        ("target register shop --host /tmp", "`/tmp` is no host"),
        ("target register shop --role reader", "it has no `=`"),
        ("target register shop --role a=b", "it is an action and a resource"),
        ("target register shop --role 'a b/c='", "`` is no name in a database"),
        ("target register shop --user-table logins", "it has no `.`"),
        ("target register shop --host db", "--resource-type"),
        ("target rotate-secret crm", "--secret-file"),
        ("lease show grt_1", "it does not begin with `lse_`"),
        ("lease list --target ../x", "is no target id"),
        (REGISTER, "--allow"),
        ("agent register bot --owner me --new-key a --key-file b --allow p:without-user:a:b/c", "cannot be used with"),
        ("agent register bot --owner me --new-key a --allow p:without-user:a:b/c --ceiling f", "cannot be used with"),
        ("agent register bot --owner me --new-key a --allow p:without-user:a:b", "is no resource pattern"),
        (
            "agent register bot --owner me --new-key a --allow p:without-user:a:b/c --grant-max 5",
            "it is no span of time",
        ),
        ("agent register bot --owner me --new-key a --allow p:without-user:a:b/c --expires-in 0d", "that can be used"),
        ("resource-server register faq --audience x --new-key k", "--resource-type"),
        ("resource-server register faq --audience x --resource-type a/b --new-key k", "is no resource type"),
        (
            "resource-server register faq --audience x --resource-type a --counts-uses maybe --new-key k",
            "`maybe` is neither `reports`, `remembers` nor `no`",
        ),
        ("provider register", "--file"),
        ("provider register --file f --example", "cannot be used with"),
        ("provider update", "--file"),
        ("provider show Main", "`Main` is no provider id"),
        ("provider check", "<TOKEN>"),
        ("provider backchannel set main --client-id attorn", "--private-key-jwt"),
        ("provider backchannel set main --client-id a --private-key-jwt --secret-file f", "cannot be used with"),
        ("provider backchannel set main --private-key-jwt", "--client-id"),
        ("provider check - --use other", "possible values: delegation, user, logout"),
        ("key retire short", "is no key thumbprint"),
        ("key rotate --compromised", "unexpected argument"),
        ("policy push p --component c --cpu-us-max 5", "--wall-us-max"),
        ("policy push p --component c --action faq.r*", "is no action pattern"),
        ("policy activate p --version -1", "unexpected argument"),
        ("policy activate p one", "invalid digit"),
        ("policy activate p 1 2", "unexpected argument"),
        ("policy activate p 1 --version 1", "cannot be used with"),
        ("policy rollback p 1 --to 1", "cannot be used with"),
        ("policy push p --component c --user maybe", "`maybe` is neither `with` nor `without`"),
        ("policy change", "--activate"),
        ("policy change --activate p", "it has no `=`"),
        ("policy change --activate p=one", "`one` is no version"),
        ("policy diff p 1 2 3", "'3'"),
        ("policy new-key", "<FILE>"),
        ("policy settings", "--rego"),
        ("policy test --rego policies", "--component"),
        ("policy test --rego policies --component c --update", "cannot be used with"),
        ("policy test here --rego policies --component c", "cannot be used with"),
        ("policy test --with {}", "--rego"),
        ("policy dev --activate p", "--settings"),
        ("policy dev --settings {}", "--activate"),
        ("policy sign c", "--key"),
        ("policy verify c", "--public-key"),
        ("policy push p --component c --signature s --unsigned", "cannot be used with"),
        ("policy publish c", "<REGISTRY/REPOSITORY:TAG>"),
        ("policy publish c spend-limit:1", "it names no registry"),
        ("policy publish c https://ghcr.io/a:1", "it is a URL"),
        ("policy publish c ghcr.io/a:1 --signature s --unsigned", "cannot be used with"),
        ("policy publish c ghcr.io/a:1 --public-key k --unsigned", "cannot be used with"),
        ("policy publish c ghcr.io/a:1 --username ci", "--password-file"),
        ("policy publish c ghcr.io/a:1 --username ci --password secret", "unexpected argument"),
        ("policy publish c ghcr.io/a:1 --password-file p", "--username"),
        ("policy pull", "<REGISTRY/REPOSITORY:TAG|@DIGEST>"),
        ("policy pull ghcr.io/a", "it has neither a tag nor a digest"),
        ("policy pull ghcr.io/../a:1", "its repository is no lower-case letters"),
        ("policy pull ghcr.io/a@sha256:00", "what follows `@`"),
        ("policy pull ghcr.io/a:1 --public-key k --unsigned", "cannot be used with"),
        ("policy signer register release", "--public-key"),
        ("policy signer register Release --public-key k", "`Release` is no policy signer id"),
        ("policy signer require maybe", "possible values: on, off"),
        ("policy diff a b --on tuesday", "possible values: cases, history"),
        ("policy diff a b --on history --action faq.r*", "is no action pattern"),
        ("policy diff a b --on history --since yesterday", "as `24h`"),
        ("audit replay", "<DECISION|ENTRY>"),
        ("audit replay x", "neither an entry"),
        ("policy explain --agent b --action a.b --resource a/1", "--purpose"),
        ("policy explain --agent b --action a.b --resource a/1 --purpose p --arguments []", "it is no JSON object"),
        ("policy explain --agent b --action a.b --resource a/1 --purpose p --with p", "it has no `=`"),
        ("load cancel a/b", "it is no id of a load"),
        ("load cancel ..", "it is no id of a load"),
        ("policy logs P", "`P` is no policy id"),
        ("policy logs p q", "unexpected argument"),
        ("policy logs --level loud", "possible values: debug, info, warn, error"),
        ("decide --key k --action faq.* --resource a/1 --purpose p", "is no action"),
        ("decide --key k --action faq.read --resource a --purpose p", "is no resource"),
        ("proxy call Crm GET /v2 --key k --purpose p", "`Crm` is no target id"),
        ("proxy call crm FETCH /v2 --key k --purpose p", "`FETCH` is no"),
        ("proxy call crm GET --key k --purpose p", "<PATH>"),
        ("proxy call crm GET /v2 --purpose p", "<--key <FILE>|--certificate <FILE>>"),
        ("proxy call crm GET /v2 --key k", "--purpose"),
        ("proxy call crm GET /v2 --key k --purpose p --media-type text/plain", "--body"),
        ("proxy call crm GET /v2 --key k --purpose p --header etag", "it has no `:`"),
        ("proxy call crm GET /v2 --key k --purpose p --on-behalf-of a/b", "is no delegation id"),
    ] {
        refused(line, message);
    }
}

#[test]
fn arguments_about_people_that_mean_nothing_are_refused() {
    for (line, message) in [
        ("user register --provider main", "--subject"),
        ("user find --provider Main --subject s", "`Main` is no provider id"),
        ("user show alice!", "is no user id"),
        ("user revoke usr_1 --agent Bot", "`Bot` is no agent id"),
        ("user erase", "<ID>"),
        ("user erase alice!", "is no user id"),
        ("session revoke a/b", "is no session id"),
        ("entitlement set --user usr_1", "--permission"),
        ("entitlement set --group g --permission p", "it is an action and a resource in one argument"),
        ("entitlement delete", "--user"),
        ("entitlement delete --group g", "--issuer"),
        ("entitlement delete --everyone", "--issuer"),
        ("entitlement delete --issuer https://a.example", "--user"),
        ("entitlement delete --user usr_1 --everyone --issuer https://a.example", "cannot be used with"),
        ("entitlement delete --group g --everyone --issuer https://a.example", "cannot be used with"),
        ("delegation show dlg_1/..", "is no delegation id"),
        ("delegation list --user usr_1 --agent bot", "cannot be used with"),
        ("delegation create --key k --purpose p", "--token"),
        ("delegation create --token - --purpose p", "--key"),
        ("delegation create --key k --token - --purpose p --for 5", "it is no span of time"),
        ("delegation offer dlg_1 --key k --to reader", "--permission"),
        ("delegation offer dlg_1 --key k --permission p", "it is an action and a resource in one argument"),
        ("delegation accept dlg_1", "--key"),
        ("delegation own", "--key"),
        ("delegation give-back --key k", "<ID>"),
        ("my revoke", "<ID>"),
        ("my revoke-all --agent Bot", "`Bot` is no agent id"),
        ("freeze now", "unexpected argument"),
        ("clock accept", "<STANDS>"),
        ("clock accept fast", "possible values"),
        ("clock accept ahead", "<APART_MS>"),
        ("grant revoke grt_1", "is no grant id"),
        ("init --listen localhost", "invalid socket address"),
        ("completions cmd", "possible values"),
        ("--server http://attorn.example agent list", "cannot be used multiple times"),
    ] {
        refused(line, message);
    }
}

#[test]
fn audits_are_told_apart_and_need_what_they_need() {
    for (line, message) in [
        ("audit verify --receipt r", "--key"),
        ("audit verify --receipt r --file f --key k", "cannot be used with"),
        ("audit verify --dir d --file f", "cannot be used with"),
        ("audit verify --config c --dir d", "cannot be used with"),
        ("audit verify --alone --dir d", "cannot be used with"),
        ("audit export --out log.txt --dir d", "cannot be used with"),
        ("audit export --witnessed", "--dir"),
        ("audit receipt 1 --wait now", "possible values"),
        ("audit receipt x", "neither an entry (an index, `EPOCH/INDEX`, `LOG/EPOCH/INDEX`) nor a decision's id"),
        ("audit show 1/", "neither an entry (an index, `EPOCH/INDEX`, `LOG/EPOCH/INDEX`) nor a decision's id"),
        ("audit list --epoch 1 --newest", "cannot be used with"),
        ("audit list --from dec_1", "it is no entry"),
        ("audit export --epoch 1 --dir d --witnessed", "cannot be used with"),
        ("audit replay 1/2/3/4", "neither an entry"),
        ("audit show x", "neither an entry (an index, `EPOCH/INDEX`, `LOG/EPOCH/INDEX`) nor a decision's id"),
    ] {
        refused(line, message);
    }
}

#[test]
fn what_is_done_with_the_data_directory_takes_exactly_what_it_needs() {
    for (line, message) in [
        ("init --listen localhost", "invalid socket address"),
        ("backup", "<DIR>"),
        ("backup a b", "unexpected argument"),
        ("restore", "<BACKUP>"),
        ("repair monday", "unexpected argument"),
    ] {
        refused(line, message);
    }
}

#[test]
fn questions_to_the_log_that_mean_nothing_are_refused() {
    for (line, message) in [
        ("audit list --agent Bot", "`Bot` is no agent id"),
        ("audit list --decision maybe", "possible values: allow, challenge, deny"),
        ("audit list --since yesterday", "it is no time"),
        ("audit list --policy p=x", "`x` is no version"),
        ("audit list --action faq.r*", "is no action pattern"),
        ("audit list --type a/b", "`a/b` is no type of entries; types are agent_ceiling_changed, "),
        ("audit watch --type nonsense", "`nonsense` is no type of entries; types are "),
        ("audit list --after a/b", "it is not what a list prints"),
        ("audit list --limit 0", "0 is not in 1..=200"),
        ("audit watch --count 0", "0 is not in 1.."),
        ("audit watch --newest", "unexpected argument"),
    ] {
        refused(line, message);
    }
}

#[test]
fn the_server_s_url_is_checked_before_anything_is_sent() {
    let error = Cli::try_parse_from(["attorn", "--server", "http://attorn.example", "agent", "list"]).unwrap_err();
    assert!(error.to_string().contains("plain http is used only on loopback"), "{error}");
    for (given, meant) in [
        ("127.0.0.1:7400", "it is `http://127.0.0.1:7400`"),
        ("localhost:7400", "it is `http://localhost:7400`"),
        ("attorn.example", "it is `https://attorn.example`"),
    ] {
        let error = Cli::try_parse_from(["attorn", "--server", given, "agent", "list"]).unwrap_err().to_string();
        assert!(error.contains("cannot be the server's URL: ") && error.contains(meant), "{error}");
    }
    let error = Cli::try_parse_from(["attorn", "--server", "a b", "agent", "list"]).unwrap_err().to_string();
    assert!(!error.contains("with how it is spoken to"), "{error}");
}

#[test]
fn what_the_help_shows_parses() {
    let allow = "--allow answer-questions:without-user:faq.read:article/*";
    for line in [
        "init --dir ./attorn",
        "serve",
        "serve --config ./attorn/attorn.toml",
        "backup /var/backups/attorn/monday",
        "backup monday --config ./attorn/attorn.toml",
        "restore /var/backups/attorn/monday",
        "restore monday --config ./attorn/attorn.toml --data-dir ./attorn/data-2",
        "repair",
        "repair --config ./attorn/attorn.toml",
        "repair --with-foreign-state",
        "repair --with-lost-records",
        "demo --keep --component a.wasm --looping-component b.wasm --own-data-component c.wasm --interop d",
        "demo --act 1 --act 3 --spend-limit-component a.wasm --postgresql b",
        "demo --story",
        "operator register carol --duty policy_admin,policy_weakener",
        "operator register carol --duty policy_admin --duty auditor",
        "operator revoke carol",
        &format!("{REGISTER} {allow} {allow} --label team=a --grant-max 30s --expires-in 90d --instance pod-1"),
        "agent register bot --owner support@example.org --key-file bot.jwk --ceiling ceiling.json",
        &format!("agent register bot --owner me {allow} --identity spiffe://example.org/bot --instance pod-1"),
        &format!("{REGISTER} {allow} --identity spiffe://example.org/bot --identity-method x509,jwt"),
        "agent suspend bot --reason odd",
        "agent key add bot --new-key k --instance pod-2 --algorithm eddsa",
        "agent key revoke bot -PrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "agent identity add bot spiffe://example.org/bot --method x509,jwt --instance pod-1",
        "agent identity revoke bot spiffe://example.org/bot",
        "agent identity add bot --workload-issuer https://k8s.example --subject system:serviceaccount:a:b",
        "agent identity revoke bot --workload-issuer https://k8s.example --subject system:serviceaccount:a:b",
        "workload-issuer register cluster --issuer https://k8s.example --jwks jwks.json --algorithm RS256,ES256",
        "workload-issuer update cluster --jwks jwks.json",
        "workload-issuer list --after cluster",
        "workload-issuer show cluster",
        "workload-issuer revoke cluster",
        "trust-domain register example.org --bundle bundle.json",
        "trust-domain update example.org --bundle roots.pem",
        "trust-domain list --after example.net",
        "trust-domain revoke example.org",
        "resource-server register faq --audience https://faq.example --resource-type article,image --new-key k",
        "provider register --file main.json",
        "provider register --example",
        "provider update --file main.json",
        "provider list --limit 5 --after main",
        "provider revoke main",
        "provider check - --provider main --use logout",
        "provider backchannel set main --client-id attorn --private-key-jwt",
        "provider backchannel set main --client-id attorn --secret-file f --login-hint-claim email",
        "provider backchannel set main --client-id attorn --same-secret",
        "provider backchannel show main",
        "provider backchannel remove main",
        "policy push p --component c --settings {} --action faq.* --resource-type article --required --activate",
        "policy push p --component c --cpu-us-max 1 --wall-us-max 2 --memory-bytes-max 3",
        "policy push p --component c --signature c.minisig",
        "policy push p --component c --unsigned",
        "policy publish c ghcr.io/acme/a:1 --signature s --username ci --password-file - --json",
        "policy publish c localhost:5000/a:1 --unsigned --plain-http",
        "policy pull ghcr.io/acme/a:1 -o policy.wasm --public-key release.key.pub",
        &format!("policy pull ghcr.io/a@sha256:{} --out policy.wasm --unsigned", "0".repeat(64)),
        "policy signer register release --public-key k --name 'the release team'",
        "policy signer list --limit 5 --after release",
        "policy signer show release",
        "policy signer revoke release --reason lost",
        "policy signer require",
        "policy signer require on",
        "policy signer require off --reason away",
        "policy activate p",
        "policy activate p 2",
        "policy activate p --version 2",
        "policy rollback p",
        "policy rollback p 2",
        "policy rollback p --to 2",
        "policy explain --agent b --action a.b --resource a/1 --purpose p --arguments {} --with p=3 --without q",
        "policy settings --rego bundle.tar.gz --with {}",
        "policy test --rego policies --component c --with {} --junit tests.xml --json",
        "policy logs",
        "policy logs -f spend-limit --level warn --json",
        "decide --key k --action faq.read --resource article/42 --purpose p --arguments {} --idempotency-key x",
        "proxy call crm GET /v2/contacts/42?fields=name --key k --purpose p",
        "proxy call crm POST /v2/contacts/42/notes --body - --json --key k --purpose p",
        &format!("proxy call crm PUT /v2 --key k --purpose p --on-behalf-of {DELEGATION} --wait-for-approval 5m"),
        &format!("proxy call crm GET /v2 --key k --purpose p --delegation {DELEGATION} --header 'if-match: 7'"),
        "load list",
        "load cancel cli-0123456789abcdef",
        "user register --provider main --subject 5f1c7a0e",
        "user find --provider main --subject 5f1c7a0e",
        "user show usr_1",
        "user revoke usr_1 --agent bot --reason odd",
        "user erase usr_1 --yes --reason asked",
        "session revoke ses_1 --reason gone",
        "entitlement list",
        "entitlement list --limit 7 --after eyJhIjoxfQ",
        "entitlement delete --group staff --issuer https://sso.example.org/realms/main",
        "entitlement delete --user usr_1",
        "delegation list --limit 5 --after dlg_1",
        "delegation list --user usr_1",
        "delegation list --agent bot",
        &format!("delegation show {DELEGATION}"),
        &format!("delegation tree {DELEGATION}"),
        &format!("delegation revoke {DELEGATION} --reason odd"),
        "delegation create --key k --token - --purpose p --for 10m",
        &format!("delegation accept {DELEGATION} --key k"),
        "decide --certificate c --certificate-key k --action faq.read --resource article/42 --purpose p",
        "delegation own --key k",
        "delegation own --certificate c --certificate-key k",
        &format!("delegation give-back {DELEGATION} --key k --reason done"),
        "my delegations --limit 5",
        &format!("my revoke {DELEGATION}"),
        "my revoke-all --agent bot --reason odd",
        "freeze --reason odd",
        "thaw",
        "frozen",
        "clock show",
        "clock accept behind 7200000 --reason odd",
        "grant list --limit 200 --after grt_0123456789abcdef0123456789abcdef",
        "audit list --from 7 --json",
        "audit list --agent support-bot --decision deny --since 24h",
        "audit list --newest --limit 10",
        "audit list --user usr_0123456789abcdef0123456789abcdef --action account.* --json",
        "audit list --policy p=3 --owner a@b.example --resource article/* --until 2026-01-02T03:04:05Z --after x_-9",
        "audit list --epoch 1 --agent support-bot --from 7",
        "audit epochs",
        "audit show 12",
        "audit show 1/12",
        "key rotate-log --reason odd",
        "key list-provider-client",
        "key rotate-provider-client --overlap 2h --reason odd",
        "key rotate-provider-client --compromised",
        "provider backchannel set main --client-id attorn --private-key-jwt --page",
        "key rotate-log --config attorn.toml --compromised",
        "key rotate-log --with-bad-entries",
        "operator renew alice",
        "backup /b --keys /k",
        "restore /b --keys /k --data-dir /d",
        "audit watch --decision deny",
        "audit watch --agent support-bot --from 0 --json --count 3",
        "audit verify --file log.txt --key a+b+c",
        "audit verify --receipt r --key log.key",
        "audit verify --dir d --since c --policy p",
        "audit verify --config attorn.toml --alone",
        "audit checkpoint",
        "audit checkpoint --wait witnessed",
        "audit receipt 12",
        "audit receipt 1/12",
        "audit receipt dec_0123456789abcdef0123456789abcdef --wait witnessed",
        "audit export --out log.txt",
        "audit export --dir d --witnessed",
        "audit export --epoch 1 --out epoch-1.export",
        "audit key",
        "audit key --epoch 1",
        "audit list --since 1w --wide",
        "audit list --since 2026-01-02 --about dec_0123456789abcdef0123456789abcdef",
        "agent suspend support-bot --reason INC-4711",
        "agent retire support-bot --yes --reason replaced",
        "fact import owners.jsonl",
        "operator revoke carol --reason left",
        "completions zsh",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn a_permission_is_one_argument() {
    let (server, issuer) = ("http://127.0.0.1:7400", "https://sso.example.org");
    let (read, own) = ("invoice.read invoice/*", "account.* account/{user.id}/*");
    for arguments in [
        vec!["entitlement", "set", "--everyone", "--issuer", issuer, "--permission", own],
        vec!["entitlement", "set", "--group", "a b", "--issuer", issuer, "--permission", read, "--permission", own],
        vec!["entitlement", "set", "--user", "usr_1", "--permission", own],
        vec!["delegation", "create", "--key", "k", "--token", "t", "--purpose", "p", "--permission", read],
        vec!["delegation", "offer", DELEGATION, "--key", "k", "--to", "reader", "--permission", read, "--for", "1h"],
    ] {
        if let Err(error) = Cli::try_parse_from([&["attorn", "--server", server][..], &arguments].concat()) {
            panic!("{arguments:?}: {error}");
        }
    }
    let fields = ["attorn", "delegation", "offer", DELEGATION, "--key", "k", "--to", "b", "--permission", own];
    let error = Cli::try_parse_from(fields).unwrap_err().to_string();
    assert!(error.contains("is no resource pattern"), "{error}");
}

#[test]
fn a_shell_completes_what_has_names() {
    let mut script = Vec::new();
    clap_complete::generate(
        clap_complete::Shell::Bash,
        &mut <Cli as clap::CommandFactory>::command(),
        "attorn",
        &mut script,
    );
    let script = String::from_utf8(script).unwrap();
    for values in ["agent_ceiling_changed agent_identity_added ", "registrar policy_admin policy_weakener approver "] {
        assert!(script.contains(&format!("compgen -W \"{values}")), "{values}");
    }
    // They would fill the help, which says how they are found.
    assert!(!parse("audit list --help").unwrap_err().to_string().contains("agent_ceiling_changed"));
    let help = parse("operator register --help").unwrap_err().to_string();
    assert!(help.contains("[possible values: registrar, policy_admin, ") && !help.contains('`'), "{help}");
}

#[test]
fn help_is_no_error() {
    let error = parse("agent register --help").unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::DisplayHelp, 0));
    assert!(error.to_string().contains("Examples:"));
}
