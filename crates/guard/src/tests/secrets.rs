use super::{SECRETS, check, scan};

const RANDOM: &str = "aZ3kQ9xW7vB2nM5cL8pR4tY6uE1sD0fGhJqKwXzVbN";

/// Credentials are put together here, so that no scanner takes this file for a leak.
fn of(prefix: &str, len: usize) -> String {
    prefix.to_owned() + &RANDOM.repeat(8)[..len]
}

fn hex(prefix: &str, len: usize) -> String {
    prefix.to_owned() + &"3c9a0ce6e0046edca03ca6ef838278f1".repeat(4)[..len]
}

#[test]
fn credentials_with_a_prefix_are_found_whole() {
    let check_one = |label: &str, secret: String| {
        check(SECRETS, &format!("key {secret}, please"), &[&format!("{label}={secret}")]);
        check(SECRETS, &format!("TOKEN=\"{secret}\""), &[&format!("{label}={secret}")]);
        check(SECRETS, &format!("x{secret}"), &[]);
    };
    check_one("gauntlet_key", of("gk_", 43));
    check_one("openai_project", of("sk-proj-", 80));
    check_one("openai_service_account", of("sk-svcacct-", 80));
    check_one("openai_admin", of("sk-admin-", 80));
    check_one("anthropic", of("sk-ant-api03-", 93));
    check_one("aws_access_key_id", format!("AKIA{}", "JQ2MXW7PLD3RTY5Z"));
    check_one("gcp_api_key", of("AIza", 35));
    check_one("gcp_oauth_secret", of("GOCSPX-", 28));
    check_one("github_pat", of("ghp_", 36));
    check_one("github_server", of("ghs_", 36));
    check_one("github_fine_grained", of("github_pat_", 82));
    check_one("gitlab_pat", of("glpat-", 20));
    check_one("slack_bot", of("xoxb-905797950911-650884157677-", 24));
    check_one("slack_app", of("xapp-1-A012345-", 60));
    check_one("stripe_live", of("sk_live_", 24));
    check_one("npm", of("npm_", 36));
    check_one("pypi", of("pypi-AgEIcHlwaS5vcmc", 60));
    check_one("huggingface", of("hf_", 34));
    check_one("twilio", hex("SK", 32));
    check_one("databricks", hex("dapi", 32));
    check_one("mailgun", hex("key-", 32));
    check_one("digitalocean", hex("dop_v1_", 64));
    check_one("vault", of("hvs.", 90));
    check_one("sendgrid", format!("{}.{}", of("SG.", 22), of("", 43)));
    check_one("mailchimp", hex("", 32) + "-us12");
    check_one("telegram", of("5073895597:AA", 33));
    check_one("slack_webhook", of("https://hooks.slack.com/services/T6AWORVWG/BGI2TQX08/", 24));
}

#[test]
fn mentions_and_placeholders_are_no_secrets() {
    for text in [
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "OPENAI_API_KEY=sk-...your-key-here...",
        "token: ${{ secrets.GITHUB_TOKEN }}",
        "api_key = os.environ[\"API_KEY\"]",
        "password: ********, password: string, password=changeme123",
        "keys start with sk-ant-api03- or ghp_ or xoxb-",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sha256:bfa45000d394fbd69098d38528237d212989d6364b72820b0f8ee83707af8e76",
        "\"integrity\": \"sha512-ySl3oRG3Gx1MmqZqiYOiiwKidlOI1Jm0cydoYT2AE4n9Z69wEV1Ky79zUgHnOFrPMIVsVgZHBxb/fjOyKIwNs1==\"",
        "request_id=8dd1d115-93e9-4968-a205-6b11352963e2",
        "max_tokens=4096, token_count: 1234567890123456789, cache_key=user:profile:12345678901",
        "-----BEGIN PUBLIC KEY-----\nTeNv95CDYopX5wxesnXowc0k6L2fPOwIMGdumc8yWPzY7/j0\n-----END PUBLIC KEY-----",
        "postgres://user:password@localhost/db, http://host:8080/a@b, https://x.org",
        "scikit sk-learn-contrib-some-long-project-name",
    ] {
        assert!(scan(text, SECRETS).is_empty(), "{text}: {:?}", scan(text, SECRETS));
    }
}

#[test]
fn names_give_random_values_away() {
    let check = |text, expected: &[&str]| check(SECRETS, text, expected);
    check("api_key: MiaiZYrTBYwZ929dziWqpS3IAcsQYrFz", &["generic_api_key=MiaiZYrTBYwZ929dziWqpS3IAcsQYrFz"]);
    check("{\"db_password\": \"tDqOuZZk80i6T386Q\"}", &["password=tDqOuZZk80i6T386Q"]);
    check("DB_PASSWORD=@cuL_UaPglyn\nPORT=1", &["password=@cuL_UaPglyn"]);
    check(
        "Authorization: Bearer R8FHXZwQd5GdJ1Qmd8xUdDKHl06Ca1o0DSxb",
        &["bearer_opaque=R8FHXZwQd5GdJ1Qmd8xUdDKHl06Ca1o0DSxb"],
    );
    check(
        "AWS_SECRET_ACCESS_KEY=sOmycV/N8HNXYBC0gFEg0PInhPF+2sgNOf0C4sjc",
        &["aws_secret_key=sOmycV/N8HNXYBC0gFEg0PInhPF+2sgNOf0C4sjc"],
    );
    check("postgres://admin:T4QG35mCV99EeSnV@db.internal:5432/x", &["postgres_url=T4QG35mCV99EeSnV"]);
}

#[test]
fn files_of_passwords_are_known_by_their_form() {
    let check = |text: &str, expected: &[&str]| check(SECRETS, text, expected);
    check("machine api.example.com login ann password k7#pQ2w\n", &["netrc=k7#pQ2w"]);
    check("machine h\n  login ann\n  password tr0ub4dor\n", &["netrc=tr0ub4dor"]);
    check("the login page asks for a password 3 times", &[]);
    let bcrypt = of("$2y$10$", 53);
    check(&format!("ann:{bcrypt}\n"), &[&format!("password_hash={bcrypt}")]);
    let apr1 = format!("$apr1${}${}", &RANDOM[..8], &RANDOM[..22]);
    check(&format!("ann:{apr1}\n"), &[&format!("password_hash={apr1}")]);
    check("it costs $2 and $10$ and {SHA}", &[]);
    let auth = "{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": \"YW5uOmJhc2ljIHRva2VuIDEyMzQ1Njc4OTAx\"}}}";
    check(auth, &["generic_api_key=YW5uOmJhc2ljIHRva2VuIDEyMzQ1Njc4OTAx"]);
    let basic = "{\"Authorization\": \"Basic ZGVtbzpwNTVaN2tMcTlXeA==\"}";
    check(basic, &["bearer_opaque=ZGVtbzpwNTVaN2tMcTlXeA=="]);
}

#[test]
fn addresses_that_carry_a_secret_are_found() {
    let signature = format!("{}%2B{}%3D", &RANDOM[..38], &RANDOM[..4]);
    let url = format!("https://x.blob.core.windows.net/c/f?sv=2022-11-02&sp=r&sig={signature}");
    check(SECRETS, &format!("{url}&x=1"), &[&format!("azure_sas={signature}")]);
    check(SECRETS, "https://example.com/?page=2&sig=short", &[]);
    let uuid = "5e1f3c2a-8b7d-4c6e-9f10-a2b3c4d5e6f7";
    let hook = format!(
        "https://acme.webhook.office.com/webhookb2/{uuid}@{uuid}/IncomingWebhook/{}/{uuid}",
        hex("", 32)
    );
    check(SECRETS, &format!("post to {hook} please"), &[&format!("teams_webhook={hook}")]);
}

#[test]
fn keys_with_their_mark_at_the_end_or_in_the_middle_are_found() {
    let check_one = |label: &str, secret: String| {
        check(SECRETS, &format!("found `{secret}`"), &[&format!("{label}={secret}")]);
    };
    check_one("newrelic", hex("", 36) + "NRAL");
    check_one("azure_devops", of("", 76) + "AZDO" + &RANDOM[..4]);
    check_one("mailgun", format!("{}-{}-{}", hex("", 32), hex("", 8), hex("", 8)));
    check_one("aws_session_token", of("IQoJb3JpZ2luX2Vj", 300));
}

#[test]
fn the_name_of_a_value_may_stand_before_it() {
    let value = hex("", 32);
    let check = |text: String, is_found: bool| {
        let expected = format!("generic_api_key={value}");
        check(SECRETS, &text, &[expected.as_str()][..usize::from(is_found)]);
    };
    check(format!("<add key=\"API_KEY\" value=\"{value}\"/>"), true);
    check(format!("- name: SERVICE_TOKEN\n  value: {value}"), true);
    check(format!("<add key=\"BUILD\" value=\"{value}\"/>"), false);
    check(format!("my api key is {value}"), true);
    check(format!("ENV SERVICE_PAT {value}"), true);
    super::check(SECRETS, "ENV DB_PASSWORD mWPvnR2$XE7", &["password=mWPvnR2$XE7"]);
    check(format!("next_page_token: {value}, idempotency_key={value}"), false);
    check(format!("\"private_key_id\": \"{value}\""), false);
}

#[test]
fn a_word_before_a_random_value_gives_it_away_without_an_assignment() {
    let value = hex("", 32);
    let check = |text: String, is_found: bool| {
        let expected = format!("generic_api_key={value}");
        check(SECRETS, &text, &[expected.as_str()][..usize::from(is_found)]);
    };
    check(format!("acme SECRET {value}"), true);
    check(format!("acmeKEY {value} for the demo"), true);
    check(format!("curl --token {value}"), true);
    check(format!("acme-private-key-{value}"), true);
    check(format!("new Client('api_key', '{value}')"), true);
    check(format!("md5 {value}, commit {value}, the monkey {value}"), false);
    check(format!("public key {value}; request token {value}"), false);
    check(format!("a token of {value}"), false);
}

#[test]
fn tokens_and_keys_are_known_by_their_structure() {
    let jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    check(SECRETS, &format!("t={jwt}."), &[&format!("jwt={jwt}")]);
    check(SECRETS, "eyJub3QiOiJhIGhlYWRlciJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVm", &[]);
    let line = &RANDOM.repeat(2)[..64];
    for brk in ["\n", "\\n"] {
        let pem = format!(
            "-----BEGIN RSA PRIVATE KEY-----{brk}{line}{brk}{line}{brk}abc={brk}-----END RSA PRIVATE KEY-----"
        );
        check(SECRETS, &format!("see {pem} here"), &[&format!("rsa_pem={pem}")]);
    }
    let cut = format!("-----BEGIN PRIVATE KEY-----\n{line}\n{line}");
    check(SECRETS, &format!("{cut}\nand then text"), &[&format!("rsa_pem={cut}")]);
    check(SECRETS, "a file that starts with -----BEGIN PRIVATE KEY----- is a key", &[]);
}

#[test]
fn an_endless_token_is_taken_up_to_the_bound() {
    let text = format!("eyJhbGciOiJIUzI1NiJ9.{}", "a1B2".repeat(10_000));
    let found = scan(&text, SECRETS);
    assert_eq!(found.first().map(|f| f.span.clone()), Some(0..crate::SECRET_MAX));
}
