//! `deploy/eventbridge/`: the template is one, and its command is one of ours.

use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetTypeEnum};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::ministack::environment_for;
use crate::rotation::world::{Ran, World};
use crate::tools::venv_program;

fn template() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/eventbridge/rotate.yaml")
}

#[test]
fn the_linter_of_templates_finds_nothing() {
    let lint = |file: &Path| {
        let Output { status, stdout, .. } =
            Command::new(venv_program("cfn-lint")).arg(file).output().unwrap();
        (status.success(), String::from_utf8(stdout).unwrap())
    };
    assert_eq!(lint(&template()), (true, String::new()));
    // And it would find something.
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.yaml");
    let text = std::fs::read_to_string(template()).unwrap();
    std::fs::write(&broken, text.replace("!GetAtt TaskRole.Arn", "!GetAtt TaskRole.Name")).unwrap();
    assert!(!lint(&broken).0);
}

/// The container's command, with the parameters of the stack put in.
fn command(parameters: &[(&str, &str)]) -> Vec<String> {
    let text = std::fs::read_to_string(template()).unwrap();
    let (_, rest) = text.split_once("Command:\n").unwrap();
    let items = rest.lines().map_while(|line| line.trim().strip_prefix("- "));
    let value = |item: &str| {
        let reference = item.strip_prefix("!Ref ").map(|name| format!("${{{name}}}"));
        let mut item = reference.unwrap_or_else(|| item.trim_start_matches("!Sub ").to_owned());
        for (name, value) in parameters {
            item = item.replace(&format!("${{{name}}}"), value);
        }
        assert!(!item.contains("${"), "{item} has no value");
        item
    };
    items.map(value).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduled_command_rotates_without_a_configuration() {
    let world = World::new("scheduled").await;
    let (source, group) = (world.store.to_string(), world.group.id().to_string());
    let targets = [("127.0.0.1", Some(9))];
    let target_group = crate::instances::make_group(
        &world.stack,
        TargetTypeEnum::Ip,
        ProtocolEnum::Http,
        &targets,
    )
    .await;
    let target_group = target_group.to_string();
    let probe = format!("{}/lab-a/probe.txt", world.edge.url);
    let arguments = command(&[
        ("Ring", source.strip_prefix("ssm:").unwrap()),
        ("KmsKey", "alias/edgemint"),
        ("KeyGroup", &group),
        ("Probe", &probe),
        ("TargetGroup", &target_group),
    ]);
    // A folder without edgemint.toml, as in the container.
    let elsewhere = tempfile::tempdir().unwrap();
    let run = |arguments: &[String]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgemint"));
        command.args(arguments).envs(environment_for(&world.stack.url()));
        Ran(command.current_dir(elsewhere.path()).output().unwrap())
    };
    let fresh = run(&arguments);
    assert!(fresh.done().contains("nothing to do"), "{}", fresh.text());
    assert_eq!(fresh.json().pop().unwrap()["rotated"], false);
    let aged: Vec<String> =
        arguments.iter().map(|word| if word == "30d" { "0s" } else { word }.to_owned()).collect();
    let due = run(&[aged, vec!["--dry-run".to_owned()]].concat());
    assert!(due.done().contains("cloudfront:CreatePublicKey"), "{}", due.text());
}
