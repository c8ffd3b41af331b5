//! Claims about whole configuration files.

use super::*;

const GOOD: &str = r#"
[capture]
interfaces = ["lo"]

[[service]]
name = "shop"
primary = ["10.0.0.1:8080"]
shadow = ["10.0.0.2:8080", "[2001:db8::]/64:8080"]
mirror = "envoy"
ignore = ["header:x-backend", "body:/**/generated_at"]

[[service.rule]]
name = "prices move"
endpoint = "GET /quotes*"
ignore = "body:/price"
"#;

fn faults(text: &str) -> String {
    Config::parse("config.toml", text).unwrap_err().to_string()
}

#[test]
fn a_whole_file_is_read() {
    let config = Config::parse("config.toml", GOOD).unwrap();
    assert_eq!(config.interfaces, ["lo"]);
    let service = &config.services[0];
    assert_eq!(&*service.name, "shop");
    assert_eq!(service.shadow[1].patterns[0].to_string(), "[2001:db8::]/64:8080");
    let rules: Vec<&str> = service.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(rules, ["header:x-backend", "body:/**/generated_at", "prices move"]);
    assert_eq!(config.targets().len(), 3);
}

#[test]
fn what_is_in_effect_reads_back_as_the_same() {
    let config = Config::parse("config.toml", GOOD).unwrap();
    let again = Config::parse("effective.toml", &config.effective()).unwrap();
    assert_eq!(again.effective(), config.effective());
    assert_eq!(again.digest(), config.digest());
}

#[test]
fn routes_are_read_and_those_that_cannot_be_used_are_told() {
    let with = |routes: &str| {
        let text = GOOD.replace("mirror =", &format!("routes = [{routes}]\nmirror ="));
        Config::parse("config.toml", &text)
    };
    let config = with(r#""/posts/{slug}", "GET /files/**""#).unwrap();
    assert_eq!(config.policy().services[0].routes, config.services[0].routes);
    assert!(config.effective().contains(r#"routes = ["/posts/{slug}", "GET /files/**"]"#));
    let said = |routes: &str| with(routes).unwrap_err().to_string();
    let bad = said(r#""posts""#);
    assert!(bad.contains("config.toml:9: routes = 'posts': 'posts' is no path"), "{bad}");
    let twice = said(r#""/a", "/a""#);
    assert!(twice.contains("routes: '/a' is named twice"), "{twice}");
    let hidden = said(r#""/a/**", "GET /a/b""#);
    let expected = "routes: 'GET /a/b' is never reached: '/a/**' before it takes the same";
    assert!(hidden.contains(expected), "{hidden}");
}

#[test]
fn threads_are_at_least_one() {
    let with = |n| GOOD.replace("[\"lo\"]", &format!("[\"lo\"]\nthreads = {n}"));
    assert_eq!(Config::parse("config.toml", &with(4)).unwrap().threads.get(), 4);
    assert!(faults(&with(0)).contains("config.toml:4: 'threads' must be from 1 to 64"));
}

#[test]
fn the_digest_changes_with_a_rule() {
    let config = Config::parse("config.toml", GOOD).unwrap();
    let other = Config::parse("config.toml", &GOOD.replace("/price", "/prices")).unwrap();
    assert_ne!(other.digest(), config.digest());
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_a_suggestion() {
    let text = GOOD.replace("shadow = ", "shadows = ");
    let said = faults(&text);
    assert!(
        said.contains(
            "config.toml:8: unknown key 'shadows' in [[service]]; did you mean 'shadow'?"
        ),
        "{said}"
    );
    assert!(said.contains("a [[service]] needs its shadow"), "{said}");
}

#[test]
fn every_fault_is_told_in_the_order_of_lines() {
    let said = faults(
        "[capture]\nsnaplen_bytes = 12\n[[service]]\nname = 7\nprimary = [\"10.0.0.1\"]\n\
             shadow = [\"10.0.0.2:8080\"]\npair_by = [\"heder:x\"]\n",
    );
    let lines: Vec<&str> = said.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        lines,
        ["config.toml:2", "config.toml:4", "config.toml:5", "config.toml:7"],
        "{said}"
    );
    assert!(said.contains("the port is missing"), "{said}");
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    assert!(faults("[capture]\ninterfaces = [\n").starts_with("config.toml:"));
}

#[test]
fn the_example_is_a_good_file_with_the_defaults() {
    let example = Config::parse("config.toml", include_str!("../../systemd/config.toml")).unwrap();
    let uncommented: String = include_str!("../../systemd/config.toml")
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.contains(" = ") && !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .take_while(|line| !line.starts_with("name = \"quotes move"))
        .collect();
    let spelled_out = Config::parse("config.toml", &uncommented).unwrap();
    assert_eq!(spelled_out.effective(), example.effective());
    // The example has every key of [capture].
    for line in example.effective().lines().take_while(|line| *line != "[pairing]") {
        assert!(uncommented.lines().any(|its| its == line), "{line}");
    }
}

#[test]
fn tunnels_are_captured_where_they_are_asked_for() {
    let tunnels = |line: &str| {
        let text = GOOD.replace("[capture]", &format!("[capture]\n{line}"));
        Config::parse("config.toml", &text).map(|config| config.tunnels)
    };
    assert!(!tunnels("").unwrap());
    assert!(tunnels("tunnels = true").unwrap());
    let said = tunnels("tunnels = 1").unwrap_err().to_string();
    assert!(said.contains("config.toml:3: 'tunnels' must be true or false"), "{said}");
}

#[test]
fn an_empty_file_asks_for_a_service() {
    assert!(faults("").contains("no [[service]]"));
}

#[test]
fn a_window_below_the_response_timeout_is_refused() {
    let text = format!("[pairing]\nwindow_ms = 1000\n{GOOD}");
    assert!(faults(&text).contains("must not be below response_timeout_ms"));
}

#[test]
fn a_store_is_a_file_and_no_url() {
    let said = faults(&format!("[store]\npath = \"http://ch:8123/tapdiff\"\n{GOOD}"));
    assert!(said.contains("config.toml:2: path = 'http://ch:8123/tapdiff': a URL"), "{said}");
}

#[test]
fn a_second_copy_and_what_tells_noise_may_be_named() {
    let with = |lines: &str| {
        let text = GOOD.replace("mirror = \"envoy\"", lines);
        Config::parse("config.toml", &text)
    };
    let plain = with("").unwrap();
    assert_eq!(plain.services[0].noise, NoiseLayers::ALL);
    assert!(with("secondary = []").unwrap().services[0].secondary.is_empty());
    let config =
        with("secondary = [\"10.0.0.3:8080\"]\nnoise = [\"self\"]\nclock_slack_ms = 5000").unwrap();
    let policy = &config.policy().services[0];
    assert!(policy.noise.iter().eq([NoiseLayer::Itself]));
    assert_eq!(policy.clock_slack, Duration::from_secs(5));
    assert!(config.targets().iter().any(|target| target.origin.leg == Leg::Secondary));
    assert!(config.effective().contains("noise = [\"self\"]"));
    assert_ne!(config.digest(), plain.digest());
    assert_eq!(with("noise = []").unwrap().services[0].noise, NoiseLayers::NONE);

    let said = with("noise = [\"etag\"]").unwrap_err().to_string();
    assert!(said.contains("config.toml:9: noise = 'etag': 'etag' is no kind of noise"), "{said}");
    let said = with("secondary = [\"10.0.0.1:8080\"]").unwrap_err().to_string();
    assert!(said.contains("is both primary of 'shop' and secondary of 'shop'"), "{said}");
}

#[test]
fn one_address_cannot_be_both_legs() {
    let text = GOOD.replace("10.0.0.2:8080", "10.0.0.1:8080");
    let said = faults(&text);
    assert!(said.contains("'10.0.0.1:8080' is both primary of 'shop' and shadow of 'shop'"));
}

#[test]
fn no_packet_is_captured_twice() {
    assert!(faults(&GOOD.replace("[\"lo\"]", "[\"lo\", \"any\"]")).contains("'any' captures"));
    assert!(faults(&GOOD.replace("[\"lo\"]", "[\"lo\", \"lo\"]")).contains("'lo' is named"));
}

#[test]
fn one_address_cannot_serve_two_services() {
    let other = "[[service]]\nname = \"b\"\nprimary = [\"10.0.0.1:8080\"]\nshadow = [\":1\"]\n";
    let said = faults(&format!("{GOOD}{other}"));
    assert!(said.contains("is both primary of 'shop' and primary of 'b'"), "{said}");
}
