//! The table of credentials that announce themselves: a fixed prefix, then a body of known length and alphabet.

/// The alphabet of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// `0-9 a-f A-F`
    Hex,
    /// `A-Z a-z 0-9`
    Alnum,
    /// `A-Z 0-9`
    Upper,
    /// Base64url: letters, digits, `-`, `_`.
    Url,
    /// Base64url and the dot between parts.
    Dotted,
    /// Base64url with a checksum after an equals sign.
    Signed,
    /// Base64 with `+`, `/`, `=`.
    Base64,
    /// A path of webhooks: base64url, `/`, `.`, `@`, `?`, `=`, `&`.
    Path,
}

impl Set {
    pub(crate) fn contains(self) -> fn(u8) -> bool {
        match self {
            Set::Hex => |byte| byte.is_ascii_hexdigit(),
            Set::Alnum => |byte| byte.is_ascii_alphanumeric(),
            Set::Upper => |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Set::Url => |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Set::Dotted => |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
            Set::Signed => |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='),
            Set::Base64 => |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
            Set::Path => |byte| byte.is_ascii_alphanumeric() || b"-_/.@?=&%".contains(&byte),
        }
    }
}

pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) prefix: &'static str,
    pub(crate) set: Set,
    /// Length of the body without the prefix.
    pub(crate) min: usize,
    pub(crate) max: usize,
    /// What the body must also be.
    pub(crate) is_valid: fn(&[u8]) -> bool,
}

const fn row(label: &'static str, prefix: &'static str, set: Set, min: usize, max: usize) -> Row {
    Row { label, prefix, set, min, max, is_valid: |_| true }
}

const fn checked(
    label: &'static str,
    prefix: &'static str,
    set: Set,
    (min, max): (usize, usize),
    is_valid: fn(&[u8]) -> bool,
) -> Row {
    Row { label, prefix, set, min, max, is_valid }
}

/// Hexadecimal in groups of 8, 4, 4, 4 and 12.
fn is_uuid(body: &[u8]) -> bool {
    body.iter().enumerate().all(|(i, byte)| match i {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

fn has_digit(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_digit)
}

fn has_dot(body: &[u8]) -> bool {
    body.contains(&b'.')
}

fn has(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

/// The longest prefix that matches wins; the first row of equal ones.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    // Ours. 32 random bytes in base64url.
    row("gauntlet_key", "gk_", Set::Url, 43, 43),
    // Models.
    row("openai_project", "sk-proj-", Set::Url, 40, 200),
    row("openai_service_account", "sk-svcacct-", Set::Url, 40, 200),
    row("openai_admin", "sk-admin-", Set::Url, 40, 200),
    checked("openai_legacy", "sk-", Set::Alnum, (48, 52), |body| has(body, b"T3BlbkFJ")),
    checked("deepseek", "sk-", Set::Hex, (32, 32), |body| body.iter().any(u8::is_ascii_digit)),
    checked("litellm_key", "sk-", Set::Url, (20, 64), is_mixed),
    row("anthropic", "sk-ant-api03-", Set::Url, 60, 120),
    row("anthropic_admin", "sk-ant-admin01-", Set::Url, 60, 120),
    row("anthropic_oauth", "sk-ant-oat01-", Set::Url, 60, 120),
    row("openrouter", "sk-or-v1-", Set::Hex, 64, 64),
    row("langfuse_secret", "sk-lf-", Set::Url, 36, 36),
    row("huggingface", "hf_", Set::Alnum, 30, 40),
    row("huggingface_org", "api_org_", Set::Alnum, 30, 40),
    row("groq", "gsk_", Set::Alnum, 48, 56),
    row("perplexity", "pplx-", Set::Alnum, 40, 64),
    row("xai", "xai-", Set::Alnum, 64, 100),
    row("replicate", "r8_", Set::Alnum, 36, 40),
    row("langsmith", "lsv2_pt_", Set::Url, 40, 64),
    row("langsmith_service", "lsv2_sk_", Set::Url, 40, 64),
    row("pinecone", "pcsk_", Set::Url, 50, 90),
    row("nvidia", "nvapi-", Set::Url, 60, 80),
    row("fireworks", "fw_", Set::Alnum, 20, 40),
    row("elevenlabs", "sk_", Set::Hex, 48, 48),
    row("cerebras", "csk-", Set::Alnum, 40, 60),
    row("tavily", "tvly-", Set::Url, 28, 64),
    // Clouds.
    row("aws_access_key_id", "AKIA", Set::Upper, 16, 16),
    row("aws_session_key_id", "ASIA", Set::Upper, 16, 16),
    row("aws_session_token", "IQoJb3JpZ2luX2Vj", Set::Base64, 100, 2048),
    row("aws_session_token", "FwoGZXIvYXdz", Set::Base64, 100, 2048),
    row("aws_bedrock_key", "ABSK", Set::Base64, 100, 300),
    row("gcp_api_key", "AIza", Set::Url, 35, 35),
    row("gcp_oauth_secret", "GOCSPX-", Set::Url, 28, 28),
    row("gcp_oauth_token", "ya29.", Set::Url, 20, 1024),
    row("gcp_refresh_token", "1//0", Set::Url, 40, 120),
    row("digitalocean", "dop_v1_", Set::Hex, 64, 64),
    row("digitalocean_oauth", "doo_v1_", Set::Hex, 64, 64),
    row("digitalocean_refresh", "dor_v1_", Set::Hex, 64, 64),
    row("heroku", "HRKU-AA", Set::Url, 50, 66),
    row("heroku", "HRKU-", Set::Url, 36, 66),
    row("fly", "FlyV1 fm2_", Set::Base64, 100, 1024),
    row("fly", "fm2_", Set::Base64, 100, 1024),
    row("fly_access", "fo1_", Set::Url, 43, 43),
    row("supabase", "sbp_", Set::Hex, 40, 40),
    row("supabase_secret", "sb_secret_", Set::Url, 31, 40),
    row("planetscale", "pscale_tkn_", Set::Url, 32, 64),
    row("planetscale_oauth", "pscale_oauth_", Set::Url, 32, 64),
    row("planetscale_password", "pscale_pw_", Set::Url, 32, 64),
    row("netlify", "nfp_", Set::Alnum, 36, 40),
    row("vercel", "vcp_", Set::Alnum, 24, 64),
    row("tailscale", "tskey-auth-", Set::Url, 20, 64),
    row("tailscale", "tskey-api-", Set::Url, 20, 64),
    row("tailscale", "tskey-client-", Set::Url, 20, 64),
    row("alibaba", "LTAI", Set::Alnum, 17, 24),
    row("pulumi", "pul-", Set::Hex, 40, 40),
    row("doppler", "dp.pt.", Set::Alnum, 40, 44),
    row("doppler", "dp.ct.", Set::Alnum, 40, 44),
    row("doppler", "dp.sa.", Set::Alnum, 40, 44),
    row("doppler", "dp.scim.", Set::Alnum, 40, 44),
    row("doppler", "dp.audit.", Set::Alnum, 40, 44),
    row("doppler", "dp.st.", Set::Dotted, 40, 80),
    row("vault", "hvs.", Set::Url, 24, 200),
    row("vault_batch", "hvb.", Set::Url, 100, 300),
    row("onepassword", "ops_eyJ", Set::Base64, 200, 1500),
    row("age_secret_key", "AGE-SECRET-KEY-1", Set::Upper, 58, 58),
    // Code and registries.
    row("github_pat", "ghp_", Set::Alnum, 36, 36),
    row("github_oauth", "gho_", Set::Alnum, 36, 36),
    row("github_user", "ghu_", Set::Alnum, 36, 36),
    row("github_server", "ghs_", Set::Alnum, 36, 36),
    row("github_refresh", "ghr_", Set::Alnum, 36, 76),
    row("github_fine_grained", "github_pat_", Set::Url, 60, 90),
    row("gitlab_pat", "glpat-", Set::Dotted, 20, 60),
    row("gitlab_deploy", "gldt-", Set::Url, 20, 40),
    row("gitlab_trigger", "glptt-", Set::Hex, 40, 40),
    row("gitlab_runner", "glrt-", Set::Url, 20, 60),
    row("gitlab_runner_registration", "GR1348941", Set::Url, 20, 30),
    row("gitlab_feed", "glft-", Set::Url, 20, 40),
    row("gitlab_job", "glcbt-", Set::Url, 20, 60),
    row("bitbucket", "ATBB", Set::Alnum, 28, 40),
    row("bitbucket", "ATCTT3", Set::Base64, 100, 300),
    row("npm", "npm_", Set::Alnum, 36, 36),
    row("pypi", "pypi-AgEIcHlwaS5vcmc", Set::Url, 40, 300),
    row("pypi_test", "pypi-AgENdGVzdC5weXBpLm9yZw", Set::Url, 40, 300),
    row("rubygems", "rubygems_", Set::Hex, 48, 48),
    row("crates_io", "cio", Set::Alnum, 32, 32),
    row("dockerhub", "dckr_pat_", Set::Url, 27, 27),
    row("dockerhub_oauth", "dckr_oat_", Set::Url, 27, 40),
    row("sonar", "sqp_", Set::Hex, 40, 40),
    row("sonar", "squ_", Set::Hex, 40, 40),
    row("sonar", "sqa_", Set::Hex, 40, 40),
    row("postman", "PMAK-", Set::Url, 59, 59),
    row("snyk", "snyk_uat.", Set::Dotted, 40, 400),
    row("sentry", "sntrys_", Set::Base64, 80, 300),
    row("sentry_user", "sntryu_", Set::Hex, 64, 64),
    row("grafana", "glsa_", Set::Url, 41, 41),
    row("grafana_cloud", "glc_", Set::Base64, 32, 400),
    row("newrelic", "NRAK-", Set::Alnum, 27, 27),
    row("newrelic_insert", "NRII-", Set::Url, 32, 32),
    row("linear", "lin_api_", Set::Alnum, 40, 40),
    row("linear_oauth", "lin_oauth_", Set::Alnum, 32, 64),
    row("notion", "ntn_", Set::Alnum, 43, 50),
    row("notion", "secret_", Set::Alnum, 43, 43),
    row("figma", "figd_", Set::Url, 40, 44),
    checked("atlassian", "ATATT3", Set::Signed, (60, 400), has_digit),
    row("prefect", "pnu_", Set::Alnum, 36, 36),
    row("posthog", "phx_", Set::Url, 40, 60),
    row("databricks", "dapi", Set::Hex, 32, 32),
    row("buildkite", "bkua_", Set::Hex, 40, 40),
    row("circleci", "CCIPAT_", Set::Url, 40, 80),
    row("sourcegraph", "sgp_", Set::Url, 40, 64),
    row("contentful", "CFPAT-", Set::Url, 43, 43),
    row("readme", "rdme_", Set::Alnum, 70, 70),
    row("dependency_track", "odt_", Set::Alnum, 32, 48),
    row("infracost", "ico-", Set::Alnum, 32, 32),
    row("hashicorp_waypoint", "wypt_", Set::Alnum, 40, 80),
    // Payments, messages, shops.
    row("stripe_live", "sk_live_", Set::Alnum, 24, 120),
    row("stripe_test", "sk_test_", Set::Alnum, 24, 120),
    row("stripe_restricted", "rk_live_", Set::Alnum, 24, 120),
    row("stripe_restricted", "rk_test_", Set::Alnum, 24, 120),
    row("stripe_webhook", "whsec_", Set::Base64, 32, 64),
    row("square", "sq0csp-", Set::Url, 43, 43),
    row("square_access", "sq0atp-", Set::Url, 22, 22),
    row("square_access", "EAAA", Set::Url, 60, 60),
    row("shopify", "shpat_", Set::Hex, 32, 32),
    row("shopify", "shpss_", Set::Hex, 32, 32),
    row("shopify", "shppa_", Set::Hex, 32, 32),
    row("shopify", "shpca_", Set::Hex, 32, 32),
    row("shippo", "shippo_live_", Set::Hex, 40, 40),
    row("shippo", "shippo_test_", Set::Hex, 40, 40),
    row("easypost", "EZAK", Set::Alnum, 54, 54),
    row("easypost", "EZTK", Set::Alnum, 54, 54),
    row("duffel", "duffel_live_", Set::Url, 43, 43),
    row("duffel", "duffel_test_", Set::Url, 43, 43),
    row("flutterwave", "FLWSECK_TEST-", Set::Alnum, 32, 34),
    row("flutterwave", "FLWSECK-", Set::Url, 32, 36),
    row("twilio", "SK", Set::Hex, 32, 32),
    checked("sendgrid", "SG.", Set::Dotted, (60, 70), has_dot),
    row("mailgun", "key-", Set::Hex, 32, 32),
    row("brevo", "xkeysib-", Set::Url, 81, 81),
    row("brevo_smtp", "xsmtpsib-", Set::Url, 81, 81),
    row("resend", "re_", Set::Url, 32, 36),
    row("slack_bot", "xoxb-", Set::Url, 40, 80),
    row("slack_user", "xoxp-", Set::Url, 40, 100),
    row("slack_session", "xoxc-", Set::Url, 40, 120),
    row("slack_refresh", "xoxr-", Set::Url, 40, 120),
    row("slack_legacy", "xoxs-", Set::Url, 40, 100),
    row("slack_config", "xoxe.xoxp-", Set::Url, 40, 200),
    row("slack_config", "xoxe-", Set::Url, 40, 200),
    row("slack_app", "xapp-", Set::Url, 60, 120),
    row("slack_webhook", "https://hooks.slack.com/services/", Set::Path, 40, 60),
    row("slack_webhook", "https://hooks.slack.com/workflows/", Set::Path, 40, 90),
    row("discord_webhook", "https://discord.com/api/webhooks/", Set::Path, 70, 110),
    row("discord_webhook", "https://discordapp.com/api/webhooks/", Set::Path, 70, 110),
    row("teams_webhook", "https://outlook.office.com/webhook/", Set::Path, 80, 220),
    row("facebook", "EAACEdEose0cBA", Set::Alnum, 20, 250),
    row("facebook", "EAAG", Set::Alnum, 80, 250),
    row("facebook", "EAAM", Set::Alnum, 80, 250),
    row("dropbox", "sl.", Set::Url, 120, 1400),
    row("adafruit", "aio_", Set::Alnum, 28, 28),
    row("typeform", "tfp_", Set::Dotted, 40, 70),
    row("dynatrace", "dt0c01.", Set::Dotted, 80, 100),
    row("frameio", "fio-u-", Set::Url, 64, 64),
    // Further published prefixes.
    row("anthropic", "sk-ant-", Set::Url, 60, 160),
    row("openai_session", "sess-", Set::Alnum, 40, 60),
    row("langfuse_public", "pk-lf-", Set::Url, 36, 36),
    row("github_server", "ghs_", Set::Dotted, 36, 600),
    row("gitlab_oauth", "gloas-", Set::Url, 40, 80),
    row("gitlab_agent", "glagent-", Set::Url, 40, 80),
    row("gitlab_incoming_mail", "glimt-", Set::Url, 20, 60),
    row("gitlab_scim", "glsoat-", Set::Url, 20, 60),
    row("gitlab_flags", "glffct-", Set::Url, 20, 60),
    row("gitlab_runner_token", "glrtr-", Set::Url, 20, 60),
    row("cloudflare_ca", "v1.0-", Set::Url, 140, 200),
    checked("buildkite", "bkua_", Set::Alnum, (40, 40), has_digit),
    row("sourcegraph_cody", "slk_", Set::Hex, 64, 64),
    row("sourcegraph_workspace", "sgd_", Set::Hex, 64, 64),
    row("mongodb_service_account", "mdb_sa_sk_", Set::Url, 40, 40),
    row("pagarme", "ak_live_", Set::Alnum, 30, 40),
    row("pagarme", "ak_test_", Set::Alnum, 30, 40),
    row("scrapfly", "scp-live-", Set::Hex, 32, 32),
    row("scrapfly", "scp-test-", Set::Hex, 32, 32),
    row("scalingo", "tk-us-", Set::Url, 48, 48),
    row("clojars", "CLOJARS_", Set::Alnum, 60, 60),
    row("defined_networking", "dnkey-", Set::Url, 50, 90),
    row("docker_swarm", "SWMTKN-1-", Set::Url, 60, 90),
    row("grafana_api", "eyJrIjoi", Set::Base64, 60, 400),
    checked("harness", "pat.", Set::Dotted, (60, 80), is_mixed),
    checked("harness", "sat.", Set::Dotted, (60, 80), is_mixed),
    row("honeycomb", "hcaik_", Set::Alnum, 58, 64),
    row("honeycomb", "hcxik_", Set::Alnum, 58, 64),
    row("intra42", "s-s4t2ud-", Set::Hex, 64, 64),
    checked("launchdarkly", "sdk-", Set::Url, (36, 36), is_uuid),
    checked("launchdarkly", "api-", Set::Url, (36, 36), is_uuid),
    row("mapbox", "pk.eyJ", Set::Dotted, 60, 200),
    row("mapbox", "sk.eyJ", Set::Dotted, 60, 200),
    row("microsoft_teams", "https://outlook.office365.com/webhook/", Set::Path, 80, 220),
    row("newrelic_browser", "NRJS-", Set::Hex, 19, 19),
    row("newrelic_query", "NRIQ-", Set::Url, 32, 32),
    row("nuget", "oy2", Set::Alnum, 43, 43),
    row("octopus", "API-", Set::Upper, 26, 26),
    row("openshift", "sha256~", Set::Url, 43, 43),
    checked("plaid", "access-sandbox-", Set::Url, (36, 36), is_uuid),
    checked("plaid", "access-production-", Set::Url, (36, 36), is_uuid),
    checked("plaid", "access-development-", Set::Url, (36, 36), is_uuid),
    row("prefect", "pnb_", Set::Alnum, 36, 36),
    row("settlemint", "sm_aat_", Set::Alnum, 16, 16),
    row("settlemint", "sm_pat_", Set::Alnum, 16, 16),
    row("sendinblue", "xkeysib-", Set::Url, 60, 90),
    row("shopify", "shpua_", Set::Hex, 32, 32),
    row("shopify", "shptka_", Set::Hex, 32, 32),
    row("shopify", "shprt_", Set::Alnum, 32, 40),
    row("slack_config", "xoxe-1-", Set::Url, 100, 200),
    row("slack_cookie", "xoxd-", Set::Path, 40, 400),
    row("slack_workflow", "xwfp-", Set::Url, 40, 120),
    row("stripe_ephemeral", "ek_live_", Set::Alnum, 24, 120),
    row("telnyx", "KEY0", Set::Url, 50, 60),
    row("terraform", "tfe_", Set::Dotted, 60, 120),
    row("together", "tgp_v1_", Set::Url, 40, 50),
    row("trello", "ATTA", Set::Hex, 72, 72),
    row("twitch", "oauth:", Set::Alnum, 30, 30),
    row("vercel", "vck_", Set::Alnum, 50, 64),
    row("vercel_blob", "vercel_blob_rw_", Set::Url, 30, 80),
    row("weights_and_biases", "wandb_v1_", Set::Url, 60, 100),
    row("yandex", "t1.", Set::Dotted, 180, 260),
    row("yandex", "AQVN", Set::Url, 35, 38),
    row("yandex", "y0_", Set::Url, 50, 60),
    row("zuplo", "zpka_", Set::Url, 40, 60),
    row("aiven", "AVNS_", Set::Url, 16, 40),
    row("apify", "apify_api_", Set::Alnum, 32, 40),
    row("artifactory", "AKCp", Set::Alnum, 65, 75),
    row("artifactory_reference", "cmVmdGtu", Set::Alnum, 56, 56),
    row("coze", "pat_", Set::Alnum, 64, 64),
    row("deno", "ddp_", Set::Alnum, 36, 36),
    row("deno", "dop_", Set::Alnum, 36, 36),
    row("dropbox", "sl.u.", Set::Url, 120, 1400),
    row("e2b", "e2b_", Set::Hex, 40, 40),
    row("facebook", "EAA", Set::Alnum, 100, 250),
    row("firecrawl", "fc-", Set::Hex, 32, 32),
    checked("hubspot", "pat-na1-", Set::Url, (36, 36), is_uuid),
    checked("hubspot", "pat-eu1-", Set::Url, (36, 36), is_uuid),
    row("jina", "jina_", Set::Alnum, 50, 70),
    row("mem0", "m0-", Set::Alnum, 40, 40),
    row("neon", "napi_", Set::Alnum, 60, 70),
    row("paddle", "pdl_live_", Set::Alnum, 50, 80),
    row("paddle", "pdl_sdbx_", Set::Alnum, 50, 80),
    row("polar", "polar_", Set::Url, 32, 60),
    row("posthog_project", "phc_", Set::Url, 40, 60),
    row("render", "rnd_", Set::Alnum, 28, 40),
    row("scaleway", "SCW", Set::Upper, 17, 17),
    row("sentry", "sntryi_", Set::Alnum, 64, 64),
    row("stytch", "secret-live-", Set::Url, 36, 60),
    row("trigger", "tr_prod_", Set::Alnum, 16, 40),
    row("trigger", "tr_dev_", Set::Alnum, 16, 40),
    checked("voyage", "pa-", Set::Url, (43, 43), is_mixed),
    row("zapier", "https://hooks.zapier.com/hooks/catch/", Set::Path, 12, 40),
    row("discord_webhook", "https://canary.discord.com/api/webhooks/", Set::Path, 70, 110),
    row("discord_webhook", "https://ptb.discord.com/api/webhooks/", Set::Path, 70, 110),
    row("slack_webhook", "https://hooks.slack.com/triggers/", Set::Path, 40, 90),
];

/// Digits and both cases, or digits in plenty: random rather than a slug such as `sk-learn-contrib-project`.
fn is_mixed(body: &[u8]) -> bool {
    let count = |test: fn(&u8) -> bool| body.iter().filter(|byte| test(byte)).count();
    let is_scrambled = super::assigned::is_scrambled(body);
    (count(u8::is_ascii_digit) >= 2 || is_scrambled)
        && count(u8::is_ascii_uppercase) >= 2
        && count(u8::is_ascii_lowercase) >= 2
}
