//! Hosts and addresses as a browser reads them, for lists of hosts that are allowed.
//!
//! The rules are those of the WHATWG URL standard where they decide which host is asked: `\` counts as `/`, what
//! stands before `@` is no host, a host may be written with percent signs, in Unicode, in Punycode, or as one number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Host {
    /// In lower case and Punycode, without a final dot.
    Name(String),
    Ip(IpAddr),
    /// No browser would follow it, or we cannot tell where to: on no list.
    Unreadable,
}

impl Host {
    /// Reads the part of an address between its slashes.
    pub(crate) fn of_authority(authority: &str) -> Host {
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if let Some((inside, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let inside = inside.split_once('%').map_or(inside, |(address, _zone)| address);
            return inside.parse::<Ipv6Addr>().map_or(Host::Unreadable, |address| Host::Ip(address.into()));
        }
        let host = match host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            Some(_) => return Host::Unreadable,
            None => host,
        };
        Host::of_name(host)
    }

    fn of_name(host: &str) -> Host {
        let Some(host) = unescape(host) else { return Host::Unreadable };
        let Ok(ascii) = idna::domain_to_ascii_cow(host.as_bytes(), idna::AsciiDenyList::URL) else {
            return Host::Unreadable;
        };
        let name = ascii.strip_suffix('.').unwrap_or(&ascii).to_owned();
        let last = name.rsplit('.').next().unwrap_or_default();
        if !last.is_empty() && (last.bytes().all(|byte| byte.is_ascii_digit()) || number(last).is_some()) {
            return ipv4(&name).map_or(Host::Unreadable, |address| Host::Ip(address.into()));
        }
        if name.is_empty() { Host::Unreadable } else { Host::Name(name) }
    }

    /// Whether it is on this machine, in this network or of the machinery below it, as far as its name tells.
    pub(crate) fn is_private(&self) -> bool {
        match self {
            Host::Ip(IpAddr::V4(address)) => is_private_v4(*address),
            Host::Ip(IpAddr::V6(address)) => is_private_v6(*address),
            Host::Unreadable => true,
            Host::Name(name) => {
                // RFC 6761, 6762, 8375 and the names that clouds give to their metadata service; then public names that
                // answer with whatever address is written in them.
                const TOPS: [&str; 5] = ["localhost", "local", "internal", "lan", "home.arpa"];
                const MIRRORS: [&str; 5] = ["nip.io", "sslip.io", "xip.io", "localtest.me", "lvh.me"];
                !name.contains('.')
                    || TOPS.iter().chain(&MIRRORS).any(|top| is_below(name, top) || name == top)
            }
        }
    }

    fn as_text(&self) -> Option<String> {
        match self {
            Host::Name(name) => Some(name.clone()),
            Host::Ip(address) => Some(address.to_string()),
            Host::Unreadable => None,
        }
    }
}

fn is_below(name: &str, top: &str) -> bool {
    name.strip_suffix(top).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// Not to be reached from outside, or meant for no single host (IANA special-purpose registries).
fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || matches!((a, b, c), (0, _, _) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _) | (240.., _, _))
        // The metadata services of two clouds that are not link-local.
        || matches!(address.octets(), [168, 63, 129, 16] | [100, 100, 100, 200])
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let low = || Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    match s {
        // Mapped, compatible and translated addresses are those they hold.
        [0, 0, 0, 0, 0, 0 | 0xFFFF, ..] | [0x64, 0xFF9B, ..] => is_private_v4(low()),
        [0x2002, a, b, ..] => is_private_v4(Ipv4Addr::from((u32::from(a) << 16) | u32::from(b))),
        [first, ..] => {
            matches!(first >> 8, 0xFC..=0xFD | 0xFF) || first & 0xFFC0 == 0xFE80 || first & 0xFFC0 == 0xFEC0
        }
    }
}

/// `127.0.0.1`, `0x7f.1`, `2130706433`, `017700000001`: one to four numbers, of which the last fills what is left.
fn ipv4(name: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = name.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) || *last >= 256u64.pow(4 - first.len() as u32)
    {
        return None;
    }
    let head = first.iter().enumerate().fold(0, |sum, (i, part)| sum + part * 256u64.pow(3 - i as u32));
    u32::try_from(head + last).ok().map(Ipv4Addr::from)
}

fn number(part: &str) -> Option<u64> {
    let lower = part.to_ascii_lowercase();
    match lower.strip_prefix("0x") {
        Some("") => Some(0),
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if lower.len() > 1 && lower.starts_with('0') => u64::from_str_radix(&lower, 8).ok(),
        None => lower.parse().ok(),
    }
}

/// The text with `%41` read, once; `None` where it is no text then.
pub(crate) fn unescape(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |i: usize| bytes.get(i).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// An address in its parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// In lower case; empty for `//host`.
    pub(crate) scheme: String,
    pub(crate) host: Host,
    /// Path, query and fragment as they are written.
    pub(crate) rest: String,
}

/// Schemes whose `\` is a slash, and of which any number of slashes leads to the host (WHATWG URL, "special scheme").
pub(crate) const SPECIAL: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];

impl Address {
    /// Reads an absolute address, or one that begins with `//`. `None` when it has no host.
    pub(crate) fn parse(text: &str) -> Option<Address> {
        let text: String = text
            .trim_matches(|c: char| c <= ' ')
            .chars()
            .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
            .collect();
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        };
        let (scheme, after) = match text.split_once(':') {
            Some((scheme, after)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), after),
            _ => (String::new(), text.as_str()),
        };
        let is_slash = |c: char| c == '/' || c == '\\';
        let is_special = scheme.is_empty() || SPECIAL.contains(&scheme.as_str());
        let after = if is_special && (!scheme.is_empty() || after.starts_with(is_slash)) {
            let bare = after.trim_start_matches(is_slash);
            if scheme.is_empty() && after.len() - bare.len() < 2 {
                return None;
            }
            bare
        } else {
            after.strip_prefix("//")?
        };
        let ends = |c: char| matches!(c, '/' | '?' | '#') || is_special && c == '\\';
        let end = after.find(ends).unwrap_or(after.len());
        let host = Host::of_authority(&after[..end]);
        (end > 0).then(|| Address { scheme, host, rest: after[end..].to_owned() })
    }
}

/// The hosts that are allowed: `docs.example.com`, or `*.example.com` for all names below `example.com`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    names: Vec<String>,
    below: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(hosts: &[impl AsRef<str>]) -> Hosts {
        let mut new = Hosts::default();
        for host in hosts {
            let host = host.as_ref().trim();
            let (list, name) = match host.strip_prefix("*.") {
                Some(name) => (&mut new.below, name),
                None => (&mut new.names, host),
            };
            // A line that names no host allows none.
            list.extend(Host::of_authority(name).as_text());
        }
        new
    }

    pub(crate) fn allow(&self, host: &Host) -> bool {
        let Some(name) = host.as_text() else { return false };
        self.names.contains(&name) || self.below.iter().any(|top| is_below(&name, top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_those_that_a_browser_would_ask() {
        let check = |text: &str, expected: &str| {
            let host = Address::parse(text).map(|address| address.host);
            let name = host.as_ref().and_then(Host::as_text).unwrap_or_else(|| format!("{host:?}"));
            assert_eq!(name, expected, "{text}");
        };
        check("https://Docs.Example.com./a", "docs.example.com");
        check("https://example.com@evil.test/", "evil.test");
        check("https://evil.test\\@example.com/", "evil.test");
        check("https:\\\\evil.test", "evil.test");
        check("https:evil.test/x", "evil.test");
        check("//evil.test", "evil.test");
        check("https://%65vil.test:443/", "evil.test");
        check("https://аpple.com/", "xn--pple-43d.com");
        check("https://ｅvil。test/", "evil.test");
        check("ht\ntps://evil.test", "evil.test");
        check("http://2130706433/", "127.0.0.1");
        check("http://0x7f.1/", "127.0.0.1");
        check("http://0177.0.0.01:80/", "127.0.0.1");
        check("http://[::1]:80/", "::1");
        check("http://1.2.3.4.5/", "Some(Unreadable)");
        check("http://a b/", "Some(Unreadable)");
        check("/etc/passwd", "None");
        check("mailto:ann@example.com", "None");
    }

    #[test]
    fn lists_name_hosts_and_all_below_a_name() {
        let hosts = Hosts::new(&["example.com", "*.cdn.example.com", "Bücher.example", "10.0.0.1", ""]);
        let check = |name: &str, expected: bool| {
            assert_eq!(hosts.allow(&Host::of_authority(name)), expected, "{name}");
        };
        check("EXAMPLE.com", true);
        check("www.example.com", false);
        check("a.cdn.example.com", true);
        check("a.b.cdn.example.com", true);
        check("cdn.example.com", false);
        check("evilcdn.example.com", false);
        check("example.com.evil.test", false);
        check("xn--bcher-kva.example", true);
        check("10.1", true);
        check("", false);
    }

    #[test]
    fn private_hosts_are_told() {
        let check = |name: &str, expected: bool| {
            assert_eq!(Host::of_authority(name).is_private(), expected, "{name}");
        };
        for name in
            ["localhost", "127.1", "10.0.0.5", "169.254.169.254", "[::ffff:127.0.0.1]", "[fd00::1]", "[::1]"]
        {
            check(name, true);
        }
        for name in [
            "metadata.google.internal",
            "2852039166",
            "db",
            "10.0.0.1.nip.io",
            "100.64.0.1",
            "[64:ff9b::a00:1]",
        ] {
            check(name, true);
        }
        for name in
            ["example.com", "8.8.8.8", "[2606:4700::1]", "internal.example.com", "localhost.example.com"]
        {
            check(name, false);
        }
    }
}
