//! Which instances there are: by name, and in target groups of MiniStack; and what they say.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetDescription, TargetTypeEnum};
use edgemint::config::{self, TargetGroupArn};
use edgemint::keystore::Aws;
use edgemint::rotation::instances::{Address, InstancesError, ask, find};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::ministack::{MiniStack, config_for};
use crate::process::Service;
use crate::scripted::{Answer, Scripted};
use crate::tools::openssl;

const READYZ: &str = "GET /readyz";

/// A target group of IP addresses that are spoken to over HTTP.
const IP: TargetTypeEnum = TargetTypeEnum::Ip;

fn instance(url: &str) -> config::Instance {
    config::Instance::parse(url).unwrap()
}

pub(crate) async fn make_group(
    stack: &MiniStack,
    kind: TargetTypeEnum,
    protocol: ProtocolEnum,
    targets: &[(&str, Option<i32>)],
) -> TargetGroupArn {
    let client = Client::new(&stack.config());
    let name = format!("{}-{}-{}", kind.as_str(), protocol.as_str(), targets.len());
    let create = client.create_target_group().name(name).target_type(kind).protocol(protocol);
    let made = create.port(8080).send().await.unwrap();
    let arn = made.target_groups()[0].target_group_arn().unwrap().to_owned();
    for (id, port) in targets {
        let target = TargetDescription::builder().id(*id).set_port(*port).build();
        let register = client.register_targets().target_group_arn(&arn).targets(target);
        register.send().await.unwrap();
    }
    TargetGroupArn::parse(&arn).unwrap()
}

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// Somebody who answers `/readyz`, at an address that is found by its URL.
async fn answering(status: u16, body: &str) -> (Scripted, Address) {
    let server = Scripted::start().await;
    server.answers(READYZ, [Answer::With(status, "none", body.to_owned())]);
    let found = find(&[instance(&server.url())], None, &Aws::new()).await.unwrap();
    let [address] = &found[..] else { panic!("{found:?}") };
    (server, address.clone())
}

#[tokio::test]
async fn every_target_and_every_named_instance_is_found_once() {
    let stack = MiniStack::start().await;
    let aws = Aws::with(stack.config());
    let targets = [("127.0.0.1", Some(7001)), ("127.0.0.2", None), ("fd00::1", Some(7003))];
    let group = make_group(&stack, IP, ProtocolEnum::Http, &targets).await;
    let found = find(&[], Some(&group), &aws).await.unwrap();
    assert_eq!(texts(&found), ["127.0.0.1:7001", "127.0.0.2:8080", "[fd00::1]:7003"]);

    let named = ["http://localhost:7001", "http://127.0.0.1:7001", "https://127.0.0.3"];
    let named = named.map(instance);
    let found = texts(&find(&named, Some(&group), &aws).await.unwrap());
    let at_first = found.iter().filter(|text| text.starts_with("127.0.0.1:7001"));
    assert_eq!(at_first.collect::<Vec<_>>(), ["127.0.0.1:7001 (localhost)"]);
    assert!(found.contains(&"127.0.0.3:443".to_owned()), "{found:?}");
    assert!(found.contains(&"127.0.0.2:8080".to_owned()), "{found:?}");
}

#[tokio::test]
async fn a_list_that_would_be_empty_or_lack_somebody_is_an_error_that_says_what_to_do() {
    let nobody = find(&[], None, &Aws::new()).await.unwrap_err();
    assert!(matches!(nobody, InstancesError::Unnamed), "{nobody}");
    let name = [instance("http://no-such-name.invalid:8080")];
    let nowhere = find(&name, None, &Aws::new()).await.unwrap_err();
    assert!(matches!(nowhere, InstancesError::Name { .. }), "{nowhere}");

    let stack = MiniStack::start().await;
    let aws = Aws::with(stack.config());
    let missing =
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/no/0123456789abcdef";
    let by_id = [("i-0123456789abcdef0", None)];
    let address = [("10.0.0.1", None)];
    let groups = [
        (TargetGroupArn::parse(missing).unwrap(), "describe-target-groups"),
        (make_group(&stack, IP, ProtocolEnum::Http, &[]).await, "nobody is registered"),
        (
            make_group(&stack, TargetTypeEnum::Instance, ProtocolEnum::Http, &by_id).await,
            "registers by instance, not by IP address; register the instances by IP address",
        ),
        (make_group(&stack, IP, ProtocolEnum::Tcp, &address).await, "speaks TCP"),
        (make_group(&stack, IP, ProtocolEnum::Http, &by_id).await, "without an IP address"),
    ];
    for (group, expected) in groups {
        let error = find(&[], Some(&group), &aws).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(&group.to_string()), "{error}");
    }
}

/// As the ELB API reference has it.
fn described(call: &str, result: &str) -> Answer {
    let body = format!(
        "<{call}Response xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
         <{call}Result>{result}</{call}Result></{call}Response>"
    );
    Answer::With(200, "none", body)
}

#[tokio::test]
async fn targets_count_in_whatever_state_they_are() {
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/a/0123456789abcdef";
    let group = format!(
        "<TargetGroups><member><TargetGroupArn>{arn}</TargetGroupArn><Protocol>HTTP</Protocol>\
         <Port>80</Port><TargetType>ip</TargetType></member></TargetGroups>"
    );
    let states = ["healthy", "initial", "unhealthy", "unused", "draining", "unavailable", "new"];
    let target = |(number, state): (usize, &&str)| {
        format!(
            "<member><Target><Id>10.0.0.{number}</Id><Port>8080</Port></Target>\
             <TargetHealth><State>{state}</State></TargetHealth></member>"
        )
    };
    let targets: Vec<_> = states.iter().enumerate().map(target).collect();
    let targets =
        format!("<TargetHealthDescriptions>{}</TargetHealthDescriptions>", targets.concat());
    let server = Scripted::start().await;
    let answers =
        [described("DescribeTargetGroups", &group), described("DescribeTargetHealth", &targets)];
    server.answers("POST /", answers);
    let aws = Aws::with(config_for(&server.url()));
    let arn = TargetGroupArn::parse(arn).unwrap();
    assert_eq!(find(&[], Some(&arn), &aws).await.unwrap().len(), states.len());

    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                  <Message>no</Message></Error></ErrorResponse>";
    server.answers("POST /", [Answer::With(403, "none", denied.to_owned())]);
    let error = find(&[], Some(&arn), &aws).await.unwrap_err().to_string();
    let permission = "permission elasticloadbalancing:DescribeTargetGroups";
    assert!(error.contains(permission) && !error.contains("--manual"), "{error}");
}

#[tokio::test]
async fn an_instance_tells_what_it_signs_with_whether_it_is_ready_or_not() {
    let body = r#"{"status":"ready","key_pair_id":"K1","ring_revision":7,"longest_lifetime":3600,"more":[]}"#;
    let (_server, address) = answering(200, body).await;
    let report = ask(&address).await.unwrap();
    assert_eq!((report.key_pair_id.as_deref(), report.ready), (Some("K1"), true));
    assert_eq!((report.ring_revision, report.longest_lifetime), (Some(7), Some(3600)));

    for body in
        [r#"{"status":"stopping","key_pair_id":"K1"}"#, r#"{"status":"ready","key_pair_id":null}"#]
    {
        let (_server, address) = answering(503, body).await;
        let report = ask(&address).await.unwrap();
        assert_eq!((report.ready, report.ring_revision), (false, None), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_itself_is_understood() {
    let service = Service::start().await;
    let url = format!("http://127.0.0.1:{}", service.port);
    let found = find(&[instance(&url)], None, &Aws::new()).await.unwrap();
    let report = ask(&found[0]).await.unwrap();
    assert_eq!((report.key_pair_id.as_deref(), report.ready), (Some("K2TESTKEY"), true));
    assert!(report.ring_revision.is_some() && report.longest_lifetime.is_some(), "{report:?}");
}

#[tokio::test]
async fn nobody_else_answers_in_an_instances_place() {
    let (other, _) = answering(200, r#"{"status":"ready","key_pair_id":"K1"}"#).await;
    let redirecting = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", redirecting.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 307 Elsewhere\r\nLocation: {}/readyz\r\nContent-Length: 0\r\n\r\n",
        other.url()
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = redirecting.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let found = find(&[instance(&url)], None, &Aws::new()).await.unwrap();
    let error = ask(&found[0]).await.unwrap_err().to_string();
    assert!(error.contains("status 307"), "{error}");
    assert!(other.calls(READYZ).is_empty());
}

#[tokio::test]
async fn what_is_not_this_services_answer_is_no_report() {
    let long = format!(r#"{{"status":"{}"}}"#, "x".repeat(20_000));
    let cases = [
        (200, "<html>", "expected value"),
        (200, r#"["ready","K1",7,3600]"#, "an object"),
        (200, r#"{"status":"ready","key_pair_id":"K1\u001b[2J"}"#, "letters and digits"),
        (200, r#"{"key_pair_id":"K1"}"#, "status"),
        (200, r#"{"status":"ready"}"#, "key_pair_id"),
        (200, r#"{"status":"ready","key_pair_id":null}"#, "without a key"),
        (503, r#"{"status":"stopping"}"#, "key_pair_id"),
        (200, &long, "16384 bytes"),
        (404, r#"{"status":"ready","key_pair_id":"K1"}"#, "status 404"),
    ];
    for (status, body, expected) in cases {
        let (_server, address) = answering(status, body).await;
        let error = ask(&address).await.unwrap_err();
        assert!(matches!(error, InstancesError::Stranger { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains(&address.to_string()), "{text}");
    }
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for_and_not_forgotten() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url =
        |listener: &std::net::TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let named = [instance(&url(&closed)), instance(&url(&silent))];
    drop(closed);
    let found = find(&named, None, &Aws::new()).await.unwrap();
    assert_eq!(found.len(), 2);
    let started = Instant::now();
    let (one, other) = tokio::join!(ask(&found[0]), ask(&found[1]));
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert!(matches!(error, InstancesError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("counts as signing with the old key"), "{error}");
    }
}

/// OpenSSL's own server, under a certificate that nobody vouches for.
struct Tls {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Tls {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"];
        let certificate = [&request[..], &["-keyout", "key", "-out", "cert"]].concat();
        let made = openssl(folder.path(), &certificate);
        assert!(made.status.success(), "{made:?}");
        let body = r#"{"status":"ready","key_pair_id":"K1"}"#;
        let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        std::fs::write(folder.path().join("readyz"), answer).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new("openssl")
            .current_dir(folder.path())
            .args(["s_server", "-quiet", "-HTTP", "-cert", "cert", "-key", "key", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "openssl s_server does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port, _folder: folder }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_certificate_matters_for_a_name_and_not_for_a_target() {
    let tls = Tls::start();
    let stack = MiniStack::start().await;
    let aws = Aws::with(stack.config());
    let target = [("127.0.0.1", Some(i32::from(tls.port)))];
    let group = make_group(&stack, IP, ProtocolEnum::Https, &target).await;
    let found = find(&[], Some(&group), &aws).await.unwrap();
    assert_eq!(ask(&found[0]).await.unwrap().key_pair_id.as_deref(), Some("K1"));

    for host in ["localhost", "127.0.0.1"] {
        let named = [instance(&format!("https://{host}:{}", tls.port))];
        let found = find(&named, Some(&group), &aws).await.unwrap();
        let first = found.iter().find(|address| address.to_string().starts_with("127.0.0.1"));
        let error = ask(first.unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{error}");
    }
}
